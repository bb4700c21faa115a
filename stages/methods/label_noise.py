"""Label noise that depends on the class alone, and the noise that a pair of label vectors shows.

T is a transition matrix, (K, K): T[k, y] the chance that a sample of true class k is given label y; rows sum to 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


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


def ring(open_classes: Ints) -> dict[int, Ints]:
    """Return, by class, the next of the open classes, and the first for the last: pair noise (Han et al. 2018).

    Args:
        open_classes: classes in order, at least two.
    """
    following = np.roll(open_classes, -1)
    return {int(one): following[place : place + 1] for place, one in enumerate(open_classes)}


def by_matrix(label: Ints, transition: Floats, generator: np.random.Generator) -> Ints:
    """Return labels drawn anew, each from the row of T of its class.

    Args:
        label: (N,) true classes.
        transition: (K, K), rows sum to 1.
        generator: source of randomness.
    """
    draw = generator.random(len(label))
    noisy = label.copy()
    for index, row in enumerate(transition):
        upto = row.cumsum()
        upto[np.flatnonzero(row)[-1] :] = 1  # so that no rounding lets a draw fall behind the last class possible
        members = np.flatnonzero(label == index)
        noisy[members] = np.searchsorted(upto, draw[members], side="right")
    return noisy


def symmetric_matrix(classes: int, rate: float, open_classes: Ints) -> Floats:
    """Return the T that `symmetric` draws from; excluded classes keep their labels."""
    transition = np.eye(classes)
    transition[np.ix_(open_classes, open_classes)] = rate / (len(open_classes) - 1)
    transition[open_classes, open_classes] = 1 - rate
    return transition


def asymmetric_matrix(classes: int, rate: float, candidates: Mapping[int, Ints]) -> Floats:
    """Return the T that `asymmetric` draws from; a class that stands twice among a class's candidates counts twice."""
    transition = np.eye(classes)
    for index, others in candidates.items():
        transition[index, index] = 1 - rate
        np.add.at(transition[index], others, rate / len(others))
    return transition


def realised(true_label: Ints, given_label: Ints, classes: int) -> tuple[Floats, Floats]:
    """Return the realised transition matrix (K, K), rows true and columns given, and the noise rate by true class (K,).

    The row of a class without samples is nan.
    """
    counts = np.zeros((classes, classes))
    np.add.at(counts, (true_label, given_label), 1)
    sizes = counts.sum(axis=1, keepdims=True)
    transition = np.divide(counts, sizes, out=np.full_like(counts, np.nan), where=sizes > 0)
    return transition, 1 - np.diag(transition)
