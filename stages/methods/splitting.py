"""Splits that keep groups together and classes in proportion, and long-tailed subsampling."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from stages.methods.randomness import numpy_generator

Indices = NDArray[np.int64]
_MANY = 10_000
"""Units past which weighing each against every fold takes minutes."""


def units(groups: list[str | None], digests: list[str]) -> Indices:
    """Give a number to the units that must not be torn apart: samples of one group, and exact duplicates.

    Args:
        groups: (N,) patient or lesion of each sample; None where unknown.
        digests: (N,) hash of each sample's content.

    Returns:
        (N,) number of each sample's unit, from 0, in order of first appearance.
    """
    numbers: dict[int | str, int] = {}
    if all(group is None for group in groups):
        return np.array([numbers.setdefault(digest, len(numbers)) for digest in digests], dtype=np.int64)
    parent = list(range(len(groups)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, (group, digest) in enumerate(zip(groups, digests, strict=True)):
        for key in (("digest", digest), ("group", group)):
            if key[1] is not None:
                earlier = first.setdefault((key[0], key[1]), index)
                parent[root(index)] = root(earlier)
    return np.array([numbers.setdefault(root(index), len(numbers)) for index in range(len(groups))], dtype=np.int64)


def hold_out(labels: Indices, unit: Indices, share: float, seed: int) -> NDArray[np.bool_]:
    """Choose about `share` of the samples, whole units, classes in proportion.

    Of the folds of a stratified group k-fold those are taken that together miss fewest classes, and then come nearest
    to the proportions.

    Args:
        labels: (N,) class indices.
        unit: (N,) unit of each sample, never torn apart.
        share: of the samples to hold out, between 0 and 1.
        seed: decides among equally good splits.

    Returns:
        (N,) whether a sample is held out.
    """
    wanted = np.bincount(labels).astype(np.float64) * share
    held = np.zeros(len(labels), dtype=bool)
    best, best_cost = held, np.inf
    folds = _folds(labels, unit, share, seed)
    while folds:  # add the fold that helps most, as long as one does
        costs = [_cost(labels, held | fold, wanted) for fold in folds]
        nearest = int(np.argmin(costs))
        if costs[nearest] >= best_cost:
            break
        held = held | folds.pop(nearest)
        best, best_cost = held, costs[nearest]
    return best


def _folds(labels: Indices, unit: Indices, share: float, seed: int) -> list[NDArray[np.bool_]]:
    """Return stratified folds of whole units, as many as make `share` a whole number of them (at most ten)."""
    most = min(10, int(np.bincount(labels).max()), len(np.unique(unit)))
    count = min(range(2, most + 1), key=lambda n: (abs(max(1, round(n * share)) / n - share), n), default=2)
    return k_folds(labels, unit, count, seed)


def k_folds(labels: Indices, unit: Indices, count: int, seed: int) -> list[NDArray[np.bool_]]:
    """Return `count` folds, (N,) each, that hold every sample once: whole units, classes in proportion.

    Args:
        labels: (N,) class indices.
        unit: (N,) unit of each sample, never torn apart; at least `count` of them.
        count: of folds; at most as many as the largest class has samples.
        seed: of the shuffle.
    """
    numbers, place = np.unique(unit, return_inverse=True)
    if len(numbers) > _MANY:
        return _folds_of_many(labels, place, count, seed)
    from sklearn.model_selection import StratifiedGroupKFold  # takes a second, and large collections need it not

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        splitter = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed % 2**32)
        parts = [part for _, part in splitter.split(np.zeros(len(labels)), labels, unit)]
    return [np.isin(np.arange(len(labels)), part) for part in parts]


def _folds_of_many(labels: Indices, place: Indices, count: int, seed: int) -> list[NDArray[np.bool_]]:
    """Return folds as `k_folds` does, of so many units that each is dealt out with those like it, and not weighed.

    Like are units with the same rarest class and about as many samples: classes come out in proportion by number.
    """
    size = np.bincount(place)
    rarity = np.argsort(np.argsort(np.bincount(labels), kind="stable"))  # 0 of the smallest class
    rarest = np.full(len(size), len(rarity))
    np.minimum.at(rarest, place, rarity[labels])
    shuffled = numpy_generator(seed, "folds of many units").permutation(len(size))
    order = shuffled[np.lexsort((np.log2(size[shuffled]).astype(np.int64), rarest[shuffled]))]
    fold = np.empty(len(size), dtype=np.int64)
    fold[order] = np.arange(len(size)) % count
    return [fold[place] == number for number in range(count)]


def _cost(labels: Indices, held: NDArray[np.bool_], wanted: NDArray[np.float64]) -> float:
    """Return how far the held-out class counts are from those wanted; a class that is missing weighs most."""
    found = np.bincount(labels[held], minlength=len(wanted))
    missing = int(((found == 0) & (wanted > 0)).sum())
    return missing * 1e6 + float((np.abs(found - wanted) / np.maximum(wanted, 1)).sum())


def long_tail(labels: Indices, ratio: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Keep a subset whose class sizes fall geometrically, the largest `ratio` times the smallest.

    Class sizes follow Cao et al. 2019 (LDAM): `n_max * ratio ** (-rank / (K - 1))`, classes ranked by size (ties by
    index); a class smaller than its share is kept whole.

    Args:
        labels: (N,) class indices.
        ratio: largest over smallest class size, at least 1.
        generator: source of randomness.

    Returns:
        (N,) whether a sample is kept.
    """
    counts = np.bincount(labels)
    order = np.argsort(-counts, kind="stable")
    keep = np.zeros(len(labels), dtype=bool)
    for rank, label in enumerate(order):
        wanted = max(1, round(counts[order[0]] * ratio ** (-rank / max(1, len(counts) - 1))))
        members = np.flatnonzero(labels == label)
        keep[np.sort(generator.permutation(members)[:wanted])] = True
    return keep
