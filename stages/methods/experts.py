"""Simulated experts, for experiments: an oracle that knows the truth, and experts who err."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def even_errors(rate: float, classes: int) -> Array:
    """Return the confusion matrix of an expert who errs with a chance of `rate`, to any other class alike.

    Returns:
        (K, K) chance that a sample of class row is called class column; rows sum to 1.
    """
    matrix = np.full((classes, classes), rate / (classes - 1))
    np.fill_diagonal(matrix, 1 - rate)
    return matrix


def answer(
    sample_ids: Sequence[str], truth: NDArray[np.int64], confusion: Array, seed: int, expert: int
) -> NDArray[np.int64]:
    """Return an expert's answers.

    An expert says the same of a sample whenever it is asked, and whatever else is: each answer is drawn from the
    sample's id, the expert's number and the seed.

    Args:
        sample_ids: of the N samples.
        truth: (N,) class indices.
        confusion: (K, K) chance that class row is called class column; rows sum to 1.
        seed: of the experts' errors.
        expert: the expert's number.

    Returns:
        (N,) class indices.
    """
    draws = np.array([_draw(name, seed, expert) for name in sample_ids])
    bounds = confusion.cumsum(axis=1)[truth]
    bounds[:, -1] = 1.0
    return np.asarray((draws[:, None] >= bounds).sum(axis=1), dtype=np.int64)


def _draw(name: str, seed: int, expert: int) -> float:
    """Return a number in [0, 1) that belongs to a sample and an expert."""
    digest = hashlib.sha256(f"{seed} {expert} {name}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53
