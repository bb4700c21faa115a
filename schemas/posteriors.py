"""Rules that all tables with posteriors share."""

from __future__ import annotations

import polars as pl


def sums_to_one(column: str) -> pl.Expr:
    """Say of each row whether its posterior is a distribution, to within a thousandth."""
    return (pl.col(column).list.sum() - 1).abs() < 1e-3


def one_length(column: str) -> pl.Expr:
    """Say of each row whether it has as many classes as the first."""
    return pl.col(column).list.len() == pl.col(column).list.len().first()
