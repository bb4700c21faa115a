"""Metrics by class; null where a metric is undefined."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy


class PerClass(dy.Schema):
    """Metrics by class; null where a metric is undefined."""

    label = dy.String(primary_key=True, min_length=1)
    support = dy.Int64(min=0, description="samples of this class in the split")
    predicted = dy.Int64(min=0, description="samples said to be of this class")
    precision = dy.Float64(nullable=True, min=0, max=1)
    precision_low = dy.Float64(nullable=True, min=0, max=1, description="of the 95 % interval, as all that end so")
    precision_high = dy.Float64(nullable=True, min=0, max=1)
    recall = dy.Float64(nullable=True, min=0, max=1, description="sensitivity")
    recall_low = dy.Float64(nullable=True, min=0, max=1)
    recall_high = dy.Float64(nullable=True, min=0, max=1)
    specificity = dy.Float64(nullable=True, min=0, max=1)
    specificity_low = dy.Float64(nullable=True, min=0, max=1)
    specificity_high = dy.Float64(nullable=True, min=0, max=1)
    f1 = dy.Float64(nullable=True, min=0, max=1)
    f1_low = dy.Float64(nullable=True, min=0, max=1)
    f1_high = dy.Float64(nullable=True, min=0, max=1)
    auroc = dy.Float64(nullable=True, min=0, max=1, description="one against the rest")
    auroc_low = dy.Float64(nullable=True, min=0, max=1)
    auroc_high = dy.Float64(nullable=True, min=0, max=1)
    average_precision = dy.Float64(nullable=True, min=0, max=1, description="one against the rest")
    average_precision_low = dy.Float64(nullable=True, min=0, max=1)
    average_precision_high = dy.Float64(nullable=True, min=0, max=1)
    mcc = dy.Float64(nullable=True, min=-1, max=1, description="Matthews' correlation, one against the rest")
    log_loss = dy.Float64(nullable=True, min=0, description="mean over the samples of this class, in nats")
    training_samples = dy.Int64(min=0, description="of this class, by the labels judged by")
    class_group = dy.String(description="many, medium or few training samples")
    label_accuracy_before = dy.Float64(
        nullable=True, min=0, max=1, description="share of training samples truly of this class that first bore it"
    )
    label_accuracy = dy.Float64(nullable=True, min=0, max=1, description="share of them that bear it now")
    errors_found = dy.Int64(nullable=True, min=0, description="truly of this class, labelled otherwise, and looked at")
    errors_mended = dy.Int64(nullable=True, min=0, description="of these, those that bear it now")
    errors_made = dy.Int64(nullable=True, min=0, description="bore it, were looked at, and bear another now")
    clean_precision = dy.Float64(
        nullable=True, min=0, max=1, description="of the judged clean given this class, the share truly clean"
    )
    clean_recall = dy.Float64(
        nullable=True, min=0, max=1, description="of the truly clean of this class, the share judged clean"
    )
    thrown_out = dy.Int64(nullable=True, min=0, description="truly clean of this class, and judged noise")


PER_CLASS = Contract("per_class", version=2, schema=PerClass)
