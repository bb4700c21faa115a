"""Label noise of known kind, and the noise that a pair of label vectors shows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def symmetric(label: Ints, rate: float, open_classes: Ints, generator: np.random.Generator) -> Ints:
    """Return labels of which each, if its class is open, is another open class with chance `rate`, evenly.

    Args:
        label: (N,) true classes.
        rate: chance of a flip, 0 to 1.
        open_classes: the classes that may lose and gain labels, at least two.
        generator: source of randomness.
    """
    place = np.full(max(int(label.max(initial=0)), int(open_classes.max())) + 1, -1)
    place[open_classes] = np.arange(len(open_classes))
    flips = (generator.random(len(label)) < rate) & (place[label] >= 0)
    step = generator.integers(1, len(open_classes), size=len(label))  # to another open class, never to itself
    moved = open_classes[(place[label] + step) % len(open_classes)]
    return np.where(flips, moved, label)


def asymmetric(label: Ints, rate: float, candidates: Mapping[int, Ints], generator: np.random.Generator) -> Ints:
    """Return labels of which each, if its class has candidates, is one of them with chance `rate`, evenly.

    Args:
        label: (N,) true classes.
        rate: chance of a flip, 0 to 1.
        candidates: by class, the classes that it is taken for.
        generator: source of randomness.
    """
    flips, choice = generator.random(len(label)) < rate, generator.random(len(label))
    noisy = label.copy()
    for index, others in candidates.items():
        members = flips & (label == index)
        noisy[members] = others[(choice[members] * len(others)).astype(np.int64)]
    return noisy


def realised(true_label: Ints, given_label: Ints, classes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the realised transition matrix (K, K), rows true and columns given, and the noise rate by true class (K,).

    The row of a class without samples is nan.
    """
    counts = np.zeros((classes, classes))
    np.add.at(counts, (true_label, given_label), 1)
    sizes = counts.sum(axis=1, keepdims=True)
    transition = np.divide(counts, sizes, out=np.full_like(counts, np.nan), where=sizes > 0)
    return transition, 1 - np.diag(transition)
