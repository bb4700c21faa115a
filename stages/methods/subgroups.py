"""Cutting samples into sub-groups by what else is known of them: sex, site, device, age."""

from __future__ import annotations

import numpy as np
import polars as pl

from schemas.errors import UsageError

_MOST = 50
_BANDS = 4
_FEW_NUMBERS = 12
UNKNOWN = "(unknown)"


def subgroups(values: pl.Series) -> pl.Series:
    """Return the name of each sample's sub-group, (N,): its value, or for a scale of numbers a quarter of the samples.

    Raises:
        UsageError: there are more values than anybody would read.
    """
    name, values = values.name, values.alias("value")  # polars takes a name like '^a$' for a pattern
    numbers = _numbers(values)
    if numbers is not None and numbers.n_unique() > _FEW_NUMBERS:
        return _bands(numbers)
    names = values.cast(pl.String).str.strip_chars().fill_null(UNKNOWN).replace("", UNKNOWN)
    if names.n_unique() > _MOST:
        raise UsageError(f"--by {name}: has {names.n_unique():,} values; sub-groups of at most {_MOST} are told")
    return names


def _numbers(values: pl.Series) -> pl.Series | None:
    """Return a column as numbers, if all that it says is numbers."""
    if not (values.dtype.is_numeric() or values.dtype == pl.String):
        return None
    if values.dtype.is_float():
        values = values.fill_nan(None)
    told = values.cast(pl.String).str.strip_chars().replace("", None)
    found = told.cast(pl.Float64, strict=False)
    found = found.set(~found.is_finite().fill_null(True), None)
    return found if found.null_count() == told.null_count() and found.null_count() < len(found) else None


def _bands(numbers: pl.Series) -> pl.Series:
    """Return bands that hold about a quarter of the samples each, named `from to below to`."""
    known = numbers.drop_nulls().to_numpy()
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BANDS + 1), method="nearest"))
    told = [f"{edge:.10g}" for edge in edges]
    ends = [*(f"below {edge}" for edge in told[1:-1]), told[-1]]
    names = [f"{start} to {end}" for start, end in zip(told[:-1], ends, strict=True)]
    place = np.searchsorted(edges[1:-1], numbers.fill_null(edges[0]).to_numpy(), side="right")
    found = pl.Series(np.array(names)[place].tolist(), dtype=pl.String)
    return found.set(numbers.is_null(), UNKNOWN)
