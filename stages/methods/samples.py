"""What several stages read of a table of samples, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray


def posteriors(table: pl.DataFrame, column: str = "posterior") -> NDArray[np.float64]:
    """Return a column of posteriors, lists of one length, as (N, K) whose rows sum to 1 in double precision."""
    flat = table[column].explode().to_numpy().astype(np.float64)
    found = flat.reshape(table.height, -1)
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def posterior_lists(posterior: NDArray[np.floating[Any]]) -> pl.Series:
    """Return posteriors, (N, K), as a column of lists."""
    return pl.Series(posterior.astype(np.float32)).arr.to_list()


def tells_truth(scores: pl.DataFrame) -> bool:
    """Say whether training estimated the posterior of every sample's true class."""
    return scores["true_posterior"].null_count() == 0


def group_numbers(samples: pl.DataFrame) -> NDArray[np.int64]:
    """Number the groups of samples from 0, (N,), by column `group_id`; a sample without a group is one by itself."""
    alone = pl.format("alone {}", "sample_id")
    units = samples.select(pl.coalesce(pl.format("group {}", "group_id"), alone)).to_series()
    return units.rank("dense").cast(pl.Int64).to_numpy() - 1
