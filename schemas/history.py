"""A row an epoch of training."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy


class History(dy.Schema):
    """A row an epoch of training."""

    epoch = dy.Int32(primary_key=True, min=0, description="counted from 0")
    learning_rate = dy.Float64(min=0)
    forget_rate = dy.Float64(min=0, max=1, description="share of each batch left out")
    noise_rate_estimate = dy.Float64(
        nullable=True,
        min=0,
        max=1,
        description="null before the noise is estimated, or where it is not",
    )
    train_loss = dy.Float64(description="what was lowered: mean over the samples learnt from, in nats")
    val_loss = dy.Float64(nullable=True, min=0, description="null if there is no validation split")
    val_accuracy = dy.Float64(nullable=True, min=0, max=1)
    val_balanced_accuracy = dy.Float64(nullable=True, min=0, max=1)
    val_macro_f1 = dy.Float64(nullable=True, min=0, max=1)
    val_macro_precision = dy.Float64(nullable=True, min=0, max=1)
    val_macro_auroc = dy.Float64(nullable=True, min=0, max=1)
    val_mcc = dy.Float64(nullable=True, min=-1, max=1)
    val_precision_by_class = dy.List(dy.Float64(nullable=True, min=0, max=1), nullable=True)
    val_recall_by_class = dy.List(dy.Float64(nullable=True, min=0, max=1), nullable=True)
    val_f1_by_class = dy.List(dy.Float64(nullable=True, min=0, max=1), nullable=True)
    val_auroc_by_class = dy.List(dy.Float64(nullable=True, min=0, max=1), nullable=True)
    val_confusion = dy.List(dy.Int64(min=0), nullable=True, description="K x K, row by row: reference, then class said")
    kept_share = dy.Float64(min=0, max=1, description="of the training samples, by network 1")
    kept_share_by_class = dy.List(
        dy.Float64(nullable=True, min=0, max=1), description="by given class; null for a class without samples"
    )


HISTORY = Contract("history", version=2, schema=History)
