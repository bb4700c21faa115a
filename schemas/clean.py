"""Which training samples phase 1 judged to bear a right label, and how surely."""

from __future__ import annotations

import polars as pl

from schemas.contract import Contract
from schemas.frames import dy
from schemas.posteriors import sums_to_one


class Clean(dy.Schema):
    """Which training samples phase 1 judged to bear a right label, and how surely."""

    sample_id = dy.String(primary_key=True, min_length=1)
    judged_clean = dy.Bool(nullable=True, description="null where the method makes no judgement (cross-entropy)")
    certainty = dy.Float32(
        nullable=True,
        min=0,
        max=1,
        description="share of the last epochs and networks in which it was picked; of class-aware, the chance that the "
        "label is right",
    )
    true_posterior = dy.List(
        dy.Float32(min=0, max=1),
        nullable=True,
        description="chance of each true class by image and label, in the order of classes.yaml; null if not estimated",
    )

    @dy.rule()
    def true_posterior_sums_to_one(cls) -> pl.Expr:
        """Hold each posterior to a distribution."""
        return sums_to_one("true_posterior").fill_null(True)


CLEAN = Contract("clean", version=1, schema=Clean, optional={"certainty": None, "true_posterior": None})
