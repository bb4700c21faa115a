"""What a network says of each sample of a split."""

from __future__ import annotations

import polars as pl

from schemas.contract import Contract
from schemas.frames import dy
from schemas.posteriors import one_length, sums_to_one
from schemas.samples import SPLITS


class Predictions(dy.Schema):
    """What a network says of each sample of a split."""

    sample_id = dy.String(primary_key=True, min_length=1)
    split = dy.String(check={"is_train_val_or_test": lambda c: c.is_in(SPLITS)})
    label = dy.String(min_length=1, description="the reference it is judged by")
    predicted_label = dy.String(min_length=1)
    posterior = dy.List(
        dy.Float32(min=0, max=1),
        nullable=True,
        description="by class, in the order of classes.yaml; sums to 1; null where only the classes said are known",
    )

    @dy.rule()
    def posterior_sums_to_one(cls) -> pl.Expr:
        """Hold each posterior to a distribution."""
        return sums_to_one("posterior")

    @dy.rule()
    def posterior_has_the_same_length_in_every_row(cls) -> pl.Expr:
        """Hold all posteriors to one number of classes."""
        return one_length("posterior")


PREDICTIONS = Contract("predictions", version=1, schema=Predictions)
