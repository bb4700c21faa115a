"""What the noise of labels is estimated to be, as files: by given class, and from true class to given."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from alrctl.matrices import ALL, GIVEN, TRANSITION
from alrctl.target import Target
from schemas.noise import NOISE

_RATE = ("noise_rate", "value"), ("low", "low"), ("high", "high")


def write(target: Target, noise: dict[str, Any], labels: NDArray[np.int64], names: tuple[str, ...]) -> None:
    """Write what the noise of N labels, (N,) classes as they stand, is estimated to be: see `write_of_counts`."""
    write_of_counts(target, noise, np.bincount(labels, minlength=len(names)), names)


def write_of_counts(target: Target, noise: dict[str, Any], counts: NDArray[np.int64], names: tuple[str, ...]) -> None:
    """Write the table of noise by given class, and the transition matrix as `corrupt` writes it, with intervals.

    Args:
        target: of the stage.
        noise: as `noise_watch.summary` gives it; a rate that is not known is None, as is an end of its interval, and a
            row of the matrix that is not known is nan.
        counts: (K,) of the labels that are told of, by class.
        names: of the classes.
    """
    sizes = [*counts.tolist(), int(counts.sum())]
    rates = [*noise["by_given_class"], noise["rate"]]
    errors = [0.0 if rate is None else rate["value"] * size for rate, size in zip(rates, sizes, strict=True)]
    target.table(
        NOISE.make(
            {"label": [*names, ALL], "samples": sizes, "estimated_errors": errors}
            | {column: _of(rates, key) for column, key in _RATE}
        ),
        NOISE,
    )
    matrix = np.array(noise["transition"])
    shares = {f"{GIVEN}{name}": [*matrix[:, index].tolist(), None] for index, name in enumerate(names)}
    by_true = [*noise["by_true_class"], noise["rate"]]
    rows = pl.DataFrame({"true_label": [*names, ALL], **shares} | {column: _of(by_true, key) for column, key in _RATE})
    target.csv(rows.fill_nan(None), TRANSITION)


def _of(rates: list[dict[str, float] | None], key: str) -> list[float | None]:
    return [None if rate is None else rate[key] for rate in rates]
