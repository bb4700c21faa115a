"""How good the judgement of labels was, epoch by epoch: known where `evaluate` was given the truth."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy


class Judgement(dy.Schema):
    """How good the judgement of labels was: a row an epoch of phase 1 and class, and one for all classes."""

    epoch = dy.Int32(primary_key=True, min=0, description="counted from 0")
    label = dy.String(primary_key=True, min_length=1, description="class; (all) for all together")
    clean_precision = dy.Float64(
        nullable=True, min=0, max=1, description="of the judged clean given this class, the share truly clean"
    )
    clean_recall = dy.Float64(
        nullable=True, min=0, max=1, description="of the truly clean of this class, the share judged clean"
    )
    loss_clean = dy.Float64(nullable=True, min=0, description="mean loss of those whose label is right, in nats")
    loss_noisy = dy.Float64(nullable=True, min=0, description="mean loss of those whose label is wrong")
    loss_picked = dy.Float64(nullable=True, min=0, description="mean loss of the judged clean")


JUDGEMENT = Contract("judgement", version=2, schema=Judgement)
ALL = "(all)"
"""Stands for all classes together."""
