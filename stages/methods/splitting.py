"""Splits that keep groups together and classes in proportion, and long-tailed subsampling."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

Indices = NDArray[np.int64]


def units(groups: list[str | None], digests: list[str]) -> Indices:
    """Give a number to the units that must not be torn apart: samples of one group, and exact duplicates.

    Args:
        groups: (N,) patient or lesion of each sample; None where unknown.
        digests: (N,) hash of each sample's content.

    Returns:
        (N,) number of each sample's unit, from 0, in order of first appearance.
    """
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
    roots = np.array([root(index) for index in range(len(groups))], dtype=np.int64)
    _, inverse = np.unique(roots, return_inverse=True)
    return inverse.astype(np.int64)


def hold_out(labels: Indices, unit: Indices, share: float, seed: int) -> NDArray[np.bool_]:
    """Choose about `share` of the samples, whole units, classes in proportion.

    Of the folds of a stratified group k-fold the one is taken that misses fewest classes, and then comes nearest to the
    proportions.

    Args:
        labels: (N,) class indices.
        unit: (N,) unit of each sample, never torn apart.
        share: of the samples to hold out, between 0 and 1.
        seed: decides among equally good splits.

    Returns:
        (N,) whether a sample is held out.
    """
    folds = max(2, round(1 / share))
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    wanted = np.bincount(labels) * share
    best, best_cost = np.zeros(len(labels), dtype=bool), np.inf
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        for _, held in splitter.split(np.zeros(len(labels)), labels, unit):
            found = np.bincount(labels[held], minlength=len(wanted))
            missing = int(((found == 0) & (wanted > 0)).sum())
            cost = missing * 1e6 + float((np.abs(found - wanted) / np.maximum(wanted, 1)).sum())
            if cost < best_cost:
                best, best_cost = np.isin(np.arange(len(labels)), held), cost
    return best


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
