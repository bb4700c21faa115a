"""What the noise of labels is estimated to be, as files: by given class, and from true class to given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from alrctl.matrices import ALL, GIVEN, TRANSITION
from alrctl.target import Target
from schemas.noise import NOISE


class Shares(NamedTuple):
    """Shares with their intervals, arrays of one shape; nan where one is not known."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def write(target: Target, noise: dict[str, Any], counts: NDArray[np.int64], names: tuple[str, ...]) -> None:
    """Write the table of noise by given class, and the transition matrix, from a summary.

    Args:
        target: of the stage.
        noise: as `noise_watch.summary` gives it; a rate that is not known is None, as is an end of its interval, and a
            row of the matrix that is not known is nan.
        counts: (K,) of the labels that are told of, by class.
        names: of the classes.
    """
    by_given, by_true = (_shares([*noise[name], noise["rate"]]) for name in ("by_given_class", "by_true_class"))
    write_shares(target, names, counts, by_given, by_true, np.array(noise["transition"]))


def write_shares(
    target: Target,
    names: tuple[str, ...],
    counts: NDArray[np.int64],
    by_given: Shares,
    by_true: Shares,
    transition: NDArray[np.float64] | Shares,
) -> None:
    """Write the table of noise by given class, and the transition matrix as `corrupt` writes it, with intervals.

    Args:
        target: of the stage.
        names: of the K classes.
        counts: (K,) of the labels that are told of, by class.
        by_given: (K + 1,) wrong labels by given class, and of all.
        by_true: (K + 1,) wrong labels by true class, and of all.
        transition: (K, K) from true class (row) to given, with or without intervals.
    """
    sizes = np.append(counts, counts.sum())
    errors = np.where(sizes == 0, 0.0, sizes * by_given.value)
    columns = {"label": [*names, ALL], "samples": sizes, "estimated_errors": errors}
    table = pl.DataFrame(columns | {"noise_rate": by_given.value, "low": by_given.low, "high": by_given.high})
    target.table(NOISE.make(table.fill_nan(None).to_dict()), NOISE)
    matrix = transition if isinstance(transition, np.ndarray) else transition.value
    told = {"true_label": [*names, ALL], **_by_class(matrix, names)}
    told |= {"noise_rate": by_true.value, "low": by_true.low, "high": by_true.high}
    if isinstance(transition, Shares):
        told |= _by_class(transition.low, names, "low ") | _by_class(transition.high, names, "high ")
    target.csv(pl.DataFrame(told).fill_nan(None), TRANSITION)


def _by_class(matrix: NDArray[np.float64], names: tuple[str, ...], before: str = "") -> dict[str, Any]:
    """Return a column a given class; the row of all classes has none."""
    return {f"{before}{GIVEN}{name}": np.append(matrix[:, index], np.nan) for index, name in enumerate(names)}


def _shares(rates: list[Mapping[str, float | None] | None]) -> Shares:
    def end(name: str) -> NDArray[np.float64]:
        return np.array([None if rate is None else rate[name] for rate in rates], dtype=np.float64)

    return Shares(end("value"), end("low"), end("high"))
