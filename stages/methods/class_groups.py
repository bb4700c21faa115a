"""Classes with many, medium and few training samples, which a mean over all classes would mix (Liu et al. 2019)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NAMES = ("many", "medium", "few")


def class_groups(counts: NDArray[np.int64], many: int, few: int) -> dict[str, NDArray[np.bool_]]:
    """Return which classes (K,) are of each group.

    Args:
        counts: (K,) training samples of each class.
        many: a class with more has many.
        few: a class with fewer has few; what is between is medium.
    """
    return dict(zip(NAMES, (counts > many, (counts <= many) & (counts >= few), counts < few), strict=True))
