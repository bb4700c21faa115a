"""The classes that a random sample of labels was drawn from."""

from __future__ import annotations

import polars as pl

from schemas.contract import Contract
from schemas.frames import dy


class Strata(dy.Schema):
    """The classes that a random sample of labels was drawn from: a row a given class."""

    label = dy.String(primary_key=True, min_length=1, description="given class")
    samples = dy.Int64(min=0, description="that bore it when the sample was drawn, and that no expert had relabelled")
    drawn = dy.Int64(min=0, description="of them, at random")

    @dy.rule()
    def drawn_are_of_the_samples(cls) -> pl.Expr:
        """Hold the sample to what it was drawn from."""
        return pl.col("drawn") <= pl.col("samples")


STRATA = Contract("strata", version=1, schema=Strata)
