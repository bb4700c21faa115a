"""Whether a posterior of 0.8 is right eight times in ten, by bins of confidence in the class said (Guo et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.methods.predictions import Floats, Ints, Predictions


@dataclass(frozen=True)
class Reliability:
    """Samples by their confidence, the posterior of the class said.

    Attributes:
        edges: (B + 1,) of the bins.
        count: (B,) samples.
        confidence: (B,) their mean; nan where there is none.
        accuracy: (B,) share of them that is right; nan where there is none.
    """

    edges: Floats
    count: Ints
    confidence: Floats
    accuracy: Floats


def bins_of(given: Predictions, bins: int) -> tuple[Ints, Floats, NDArray[np.bool_]]:
    """Return each sample's bin, its confidence and whether it is right, (N,) each; a bin holds its upper edge."""
    assert given.posterior is not None
    confidence = np.take_along_axis(given.posterior, given.predicted[:, None], axis=1)[:, 0]
    place = np.searchsorted(edges(bins)[1:-1], confidence)
    return place.astype(np.int64), confidence, given.predicted == given.label


def edges(bins: int) -> Floats:
    """Return the edges of bins of equal width, (bins + 1,)."""
    return np.linspace(0.0, 1.0, bins + 1)


def reliability(given: Predictions, bins: int) -> Reliability:
    """Return confidence and accuracy by bin."""
    place, confidence, right = bins_of(given, bins)
    count = np.bincount(place, minlength=bins)
    known = np.where(count > 0, count, np.nan)
    sure = np.bincount(place, weights=confidence, minlength=bins) / known
    hits = np.bincount(place, weights=right.astype(np.float64), minlength=bins) / known
    return Reliability(edges(bins), count.astype(np.int64), sure, hits)


def expected_error(given: Predictions, bins: int) -> float:
    """Return the expected calibration error: the gap of confidence and accuracy, weighted by the bins' samples."""
    found = reliability(given, bins)
    gap = np.nan_to_num(np.abs(found.confidence - found.accuracy))
    return float((gap * found.count).sum() / found.count.sum())
