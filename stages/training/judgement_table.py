"""What training judged of each sample, as the columns of the table `clean`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import Tensor

from stages.methods.samples import posterior_lists


def clean_table(
    sample_ids: Sequence[str],
    judged: NDArray[np.bool_] | None,
    certainty: NDArray[np.float64] | None,
    truth: Tensor | None,
) -> pl.DataFrame:
    """Return the columns of `schemas.clean.CLEAN`.

    Args:
        sample_ids: N.
        judged: (N,) which labels count as right; None where the method makes no judgement.
        certainty: (N,) how surely; None likewise.
        truth: (N, K) posterior of the true class; None where it is not estimated.
    """
    return pl.DataFrame(
        {
            "sample_id": pl.Series(sample_ids, dtype=pl.String),
            "judged_clean": judged,
            "certainty": None if certainty is None else certainty.astype(np.float32),
            "true_posterior": None if truth is None else posterior_lists(truth.numpy()),
        },
        schema_overrides={
            "judged_clean": pl.Boolean,
            "certainty": pl.Float32,
            "true_posterior": pl.List(pl.Float32),
        },
    )
