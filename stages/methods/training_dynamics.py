"""What the course of training tells of each sample, derived from its signals."""

from __future__ import annotations

import polars as pl


def training_dynamics(signals: pl.LazyFrame) -> pl.LazyFrame:
    """Return a row a sample of one network's signals.

    Args:
        signals: columns sample_id, epoch, margin, variance_of_gradients; a row a sample and epoch.

    Returns:
        sample_id; area_under_margin, the mean over the epochs of the given label's logit less the largest other
        (Pleiss et al. 2020, eq. 2): low where the label is likely wrong; forgetting_events, how often the label was
        told in one epoch and not in the next (Toneva et al. 2019), null where it was never told; the last epoch's
        variance_of_gradients.
    """
    told = (pl.col("margin") > 0).sort_by("epoch")
    forgotten = (told.shift(1) & ~told).sum().cast(pl.Int32)
    return signals.group_by("sample_id").agg(
        area_under_margin=pl.col("margin").cast(pl.Float64).sort_by("epoch").mean().cast(pl.Float32),
        forgetting_events=pl.when(told.any()).then(forgotten),
        variance_of_gradients=pl.col("variance_of_gradients").sort_by("epoch").last(),
    )
