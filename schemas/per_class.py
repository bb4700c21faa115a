"""Metrics by class; null where a metric is undefined."""

from __future__ import annotations

import dataframely as dy

from schemas.contract import Contract


class PerClass(dy.Schema):
    """Metrics by class; null where a metric is undefined."""

    label = dy.String(primary_key=True, min_length=1)
    support = dy.Int64(min=0, description="samples of this class in the split")
    predicted = dy.Int64(min=0, description="samples said to be of this class")
    precision = dy.Float64(nullable=True, min=0, max=1)
    recall = dy.Float64(nullable=True, min=0, max=1)
    specificity = dy.Float64(nullable=True, min=0, max=1)
    f1 = dy.Float64(nullable=True, min=0, max=1)
    auroc = dy.Float64(nullable=True, min=0, max=1, description="one against the rest")
    label_accuracy = dy.Float64(
        nullable=True, min=0, max=1, description="share of training samples truly of this class that bear it"
    )
    clean_precision = dy.Float64(
        nullable=True, min=0, max=1, description="of the judged clean given this class, the share truly clean"
    )
    clean_recall = dy.Float64(
        nullable=True, min=0, max=1, description="of the truly clean of this class, the share judged clean"
    )


PER_CLASS = Contract("per_class", version=1, schema=PerClass)
