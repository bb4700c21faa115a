"""What several stages read of a table of samples, as arrays."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray


def posteriors(scores: pl.DataFrame) -> NDArray[np.float64]:
    """Return column `posterior`, lists of one length, as (N, K) whose rows sum to 1 in double precision."""
    flat = scores["posterior"].explode().to_numpy().astype(np.float64)
    found = flat.reshape(scores.height, -1)
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def group_numbers(samples: pl.DataFrame) -> NDArray[np.int64]:
    """Number the groups of samples from 0, (N,), by column `group_id`; a sample without a group is one by itself."""
    alone = pl.format("alone {}", "sample_id")
    units = samples.select(pl.coalesce(pl.format("group {}", "group_id"), alone)).to_series()
    return units.rank("dense").cast(pl.Int64).to_numpy() - 1
