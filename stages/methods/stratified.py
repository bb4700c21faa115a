"""Shares of a finite population from a random sample of each of its strata: how many to draw, and what they tell."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Ints = NDArray[np.int64]
_TAIL = 0.025
"""On either side of an interval of 95 %."""


@dataclass(frozen=True)
class Stratum:
    """What was drawn of a part of the population.

    Attributes:
        size: members.
        drawn: how many of them were drawn, each set of so many as likely as any other, and looked at.
        hits: how many of those have the property asked about.
    """

    size: int
    drawn: int
    hits: int


@dataclass(frozen=True)
class Share:
    """An estimated share, with its 95 % interval."""

    value: float
    low: float
    high: float


def allocate(sizes: Ints, draws: int, power: float) -> Ints:
    """Return how many to draw of each stratum, (S,): of each that has members one at least, and none more than it has.

    In proportion to size ** power (Bankier 1988): with 1 the overall share is told best, with 0 each stratum alike.
    Whole numbers by the divisor method of Sainte-Laguë, as for seats of a parliament.

    Args:
        sizes: (S,) members.
        draws: how many together; all members where there are fewer.
        power: 0 or above.

    Raises:
        ValueError: fewer draws than strata with members.
    """
    drawn = (sizes > 0).astype(np.int64)
    left = min(draws, int(sizes.sum())) - int(drawn.sum())
    if left < 0:
        raise ValueError(f"{draws} draws for {int(drawn.sum())} strata")
    weight = np.where(sizes > 0, np.maximum(sizes, 1).astype(float) ** power, 0)

    def entry(index: int) -> tuple[float, int, int]:
        return -float(weight[index]) / (2 * int(drawn[index]) + 1), -int(sizes[index]), index

    waiting = [entry(index) for index in range(len(sizes)) if drawn[index] < sizes[index]]
    heapq.heapify(waiting)
    for _ in range(left):
        *_, index = heapq.heappop(waiting)
        drawn[index] += 1
        if drawn[index] < sizes[index]:
            heapq.heappush(waiting, entry(index))
    return drawn


def share(stratum: Stratum) -> Share | None:
    """Return the share of one stratum; None of one without draws.

    The interval is exact: of the counts that the stratum may hold, those under which neither so few nor so many hits
    would be a surprise (the hypergeometric test inverted; a stratum that was looked at whole has no width).
    """
    if not stratum.drawn:
        return None
    size, drawn, hits = stratum.size, stratum.drawn, stratum.hits
    most, least = size - (drawn - hits), hits
    low = _first(least, most, lambda count: stats.hypergeom.sf(hits - 1, size, count, drawn) > _TAIL)
    beyond = _first(least, most + 1, lambda count: stats.hypergeom.cdf(hits, size, count, drawn) <= _TAIL)
    value = hits / drawn
    return Share(value, min(low / size, value), max((beyond - 1) / size, value))


def _first(start: int, stop: int, holds: Callable[[int], bool]) -> int:
    """Return the first whole number from `start` for which a condition holds that stays true; else `stop`."""
    while start < stop:
        middle = (start + stop) // 2
        if holds(middle):
            stop = middle
        else:
            start = middle + 1
    return start


def overall(strata: Sequence[Stratum]) -> Share | None:
    """Return the share of the whole population; None where a stratum has members and no draws.

    Unbiased: the strata's shares by their sizes. The interval recovers each stratum's spread from its own limits
    (MOVER: Zou and Donner 2008), so that it holds where no hit was drawn, too.
    """
    known = [stratum for stratum in strata if stratum.size]
    shares = [share(stratum) for stratum in known]
    found = [one for one in shares if one is not None]
    if not known or len(found) < len(shares):
        return None
    weight = np.array([stratum.size for stratum in known], dtype=float)
    weight /= weight.sum()
    value, low, high = (np.array([getattr(one, end) for one in found]) for end in ("value", "low", "high"))
    middle = float(weight @ value)
    below, above = (float(np.sqrt(((weight * (value - end)) ** 2).sum())) for end in (low, high))
    return Share(middle, max(0.0, middle - below), min(1.0, middle + above))
