"""Label noise that depends on the sample: the generator of Xia et al. 2020, "Part-dependent Label Noise", algorithm 2.

Each sample has a flip rate of its own, and its features say by a random projection, one for each true class, which
classes it may be taken for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, softmax

if TYPE_CHECKING:
    from torch import Tensor

    from stages.report import Report

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SIDE = 8
"""Pixels a side of what an image is averaged down to: its colours and coarse shape, 192 features, a byte each."""

_DEVIATION = 0.1  # of the flip rates, as published
_NUMBERS = 1 << 22  # features held at once in double precision: 32 MiB
_IMAGES = 1024


@dataclass(frozen=True)
class Features:
    """Features of samples.

    Attributes:
        values: (F, D) finite numbers, in memory or mapped from disk.
        rows: (N,) the row of `values` of each sample.
    """

    values: NDArray[Any]
    rows: Ints


@dataclass(frozen=True)
class InstanceNoise:
    """What came of it.

    Attributes:
        labels: (N,) the noisy labels.
        flip_rates: (N,) the chance of each label to be flipped; 0 for a class that keeps its labels.
        transition: (K, K) the mean over a true class's samples of their own chances; nan for a class without samples.
    """

    labels: Ints
    flip_rates: Floats
    transition: Floats


def flip_rates(count: int, rate: float, generator: np.random.Generator) -> Floats:
    """Return draws (N,) from a normal of mean `rate` and deviation 0.1, cut at 0 and 1; all 0 for the rate 0.

    Near 0 and 1 the cut moves their mean off `rate`, as published. Of the rate 0 it would be 0.08, where nobody who
    asks for no noise wants any.
    """
    draw = generator.random(count)
    if rate == 0:
        return np.zeros(count)
    low, high = ndtr((np.array([0, 1]) - rate) / _DEVIATION)
    return np.asarray(np.clip(rate + _DEVIATION * ndtri(low + (high - low) * draw), 0, 1), dtype=np.float64)


def mean_flip_rate(rate: float) -> float:
    """Return the mean of the cut normal that `flip_rates` draws from."""
    if rate == 0:
        return 0.0
    ends = (np.array([0, 1]) - rate) / _DEVIATION
    density = np.exp(-(ends**2) / 2) / np.sqrt(2 * np.pi)
    return float(rate + _DEVIATION * (density[0] - density[1]) / (ndtr(ends[1]) - ndtr(ends[0])))


def instance(
    label: Ints, features: Features, rate: float, classes: int, open_classes: Ints, generator: np.random.Generator
) -> InstanceNoise:
    """Return labels of which each is flipped with a chance of its own, to a class that its features speak for.

    Args:
        label: (N,) true classes.
        features: of the N samples; standardised here, by column, over these samples.
        rate: mean of the normal that the flip rates are drawn from, 0 to 1.
        classes: how many there are, K.
        open_classes: the classes that may lose and gain labels, at least two.
        generator: source of randomness; each class's projection has a stream of its own.
    """
    projections = generator.spawn(classes)
    rates = flip_rates(len(label), rate, generator)
    flips, choice = generator.random(len(label)) < rates, generator.random(len(label))
    centre, scale = _moments(features)
    noisy, transition = label.copy(), _kept(label, classes)
    rates[~np.isin(label, open_classes)] = 0
    for index in open_classes:
        members = np.flatnonzero(label == index)
        others = open_classes[open_classes != index]
        weights = projections[index].standard_normal((len(centre), classes))[:, others]
        expected = np.zeros(len(others))
        for part in _blocks(members, len(centre)):
            share = softmax((features.values[features.rows[part]] - centre) / scale @ weights, axis=1)
            expected += rates[part] @ share
            taken = others[_drawn(share, choice[part])]
            noisy[part] = np.where(flips[part], taken, index)
        if len(members):
            transition[index, others] = expected / len(members)
            transition[index, index] = 1 - rates[members].mean()
    return InstanceNoise(noisy, rates, transition)


def _kept(label: Ints, classes: int) -> Floats:
    """Return the matrix of no noise, (K, K), the rows of classes without samples nan."""
    return np.where(np.bincount(label, minlength=classes)[:, None] > 0, np.eye(classes), np.nan)


def _drawn(share: Floats, draw: Floats) -> Ints:
    """Return a column for each row of `share`, (N, M), rows sum to 1, with that chance, by draws (N,) from 0 to 1."""
    upto = share.cumsum(axis=1)
    return np.asarray((upto[:, :-1] <= draw[:, None] * upto[:, -1:]).sum(axis=1), dtype=np.int64)


def _moments(features: Features) -> tuple[Floats, Floats]:
    """Return mean and deviation of each column, (D,); the deviation of a constant one is taken as 1."""
    width, count = features.values.shape[1], max(len(features.rows), 1)
    everyone = np.arange(len(features.rows))
    centre, spread = np.zeros(width), np.zeros(width)
    for part in _blocks(everyone, width):
        centre += features.values[features.rows[part]].sum(axis=0, dtype=np.float64) / count
    for part in _blocks(everyone, width):
        spread += ((features.values[features.rows[part]] - centre) ** 2).sum(axis=0) / count
    deviation = np.sqrt(spread)
    return centre, np.where(deviation > 1e-9 * np.maximum(1, np.abs(centre)), deviation, 1.0)


def _blocks(rows: Ints, width: int) -> Iterator[Ints]:
    step = max(1, _NUMBERS // max(width, 1))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def thumbnails(images: Tensor, rows: Ints, report: Report) -> NDArray[np.uint8]:
    """Return images averaged down to a few bytes each, (N, 8 * 8 * 3).

    Pixels as they are would be as well, but there are many of them: a softmax over projections of so many features
    leaves one class only, and a million images would not fit into memory; so small, they take 0.2 GB.

    Args:
        images: (F, H, W, 3) uint8, which may be mapped from disk.
        rows: (N,) which of them.
        report: told how far it is.
    """
    import torch  # noise of other kinds need not wait for it

    height, width = images.shape[1:3]
    down, across = (torch.from_numpy(_averaging(size)).float() for size in (height, width))
    found = np.empty((len(rows), SIDE * SIDE * 3), dtype=np.uint8)
    for start in range(0, len(rows), _IMAGES):
        part = rows[start : start + _IMAGES]
        low = down @ images[torch.from_numpy(part)].flatten(2).float()  # (B, 8, W * 3)
        small = across @ low.view(-1, width, 3)  # (B * 8, 8, 3)
        found[start : start + len(part)] = small.round().to(torch.uint8).view(len(part), -1).numpy()
        report.progress(start + len(part), len(rows), "features of the images", "images")
    return found


def _averaging(size: int) -> Floats:
    """Return what averages `size` pixels down to 8, (8, size): how much of each pixel lies within each eighth."""
    pixel, ends = np.arange(size), np.arange(SIDE + 1)[:, None] * size / SIDE
    within = np.minimum(ends[1:], pixel + 1) - np.maximum(ends[:-1], pixel)
    return np.asarray(np.clip(within, 0, 1) * SIDE / size, dtype=np.float64)
