"""Which labels count as right: those more likely right than not, and of each class enough that it does not starve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def judge(probability_right: NDArray[np.float64], label: NDArray[np.int64], floor: float) -> NDArray[np.bool_]:
    """Judge labels within each class.

    A rare class's labels are all likelier wrong than right where its neighbours' errors swamp it; a rule that is the
    same for all classes so judges none of them clean. Here each class keeps its likeliest until a share `floor` of
    those expected to be right are among them.

    Args:
        probability_right: (N,) chance that each label is right; its sums by class are the expected numbers.
        label: (N,) labels.
        floor: from 0 (no floor) to 1 (keep all).

    Returns:
        (N,) whether each label counts as right.
    """
    clean = probability_right > 0.5
    if not floor:
        return clean
    for index in np.unique(label):
        members = np.flatnonzero(label == index)
        order = members[np.argsort(-probability_right[members], kind="stable")]
        expected = np.cumsum(probability_right[order])
        enough = int(np.searchsorted(expected, floor * expected[-1] - 1e-12)) + 1
        clean[order[:enough]] = True
    return clean
