"""What a budget bought: curves over seeds with bootstrap replicates, areas, and budgets that bought as much.

A curve is piecewise linear between the budgets at which networks were judged, so that its value at any budget, its area
and differences of curves are linear in its points: each is the points times weights, for the value and for every
replicate alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.methods.intervals import bounds
from stages.methods.predictions import Floats

_NEAR = 0.02  # of the largest budget: budgets of two seeds that differ by less are one
_EQUAL = 1e-12


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; nan where undefined, infinite where it lies beyond all budgets tried."""

    value: float
    low: float
    high: float

    def holds(self, number: float) -> bool:
        """Return whether the interval holds a number."""
        return self.low <= number <= self.high


@dataclass(frozen=True)
class SeedCurve:
    """The curve of one seed.

    Attributes:
        seed: its name.
        budget: (B,) rising.
        value: (B,) the metric.
        replicates: (R, B) the metric in each resample of the test samples.
    """

    seed: str
    budget: Floats
    value: Floats
    replicates: Floats


@dataclass(frozen=True)
class Curve:
    """The curves of S seeds at the same budgets.

    Attributes:
        seeds: their names, sorted.
        budget: (B,) rising.
        value: (S, B).
        replicates: (R, S, B).
        left_out: seeds that do not reach as far as most.
    """

    seeds: tuple[str, ...]
    budget: Floats
    value: Floats
    replicates: Floats
    left_out: tuple[str, ...] = ()

    def mean(self) -> Floats:
        """Return the mean over seeds, (B,)."""
        return np.asarray(self.value.mean(axis=0))

    def deviation(self) -> Floats | None:
        """Return the standard deviation over seeds, (B,); None of one seed."""
        return None if len(self.seeds) < 2 else np.asarray(self.value.std(axis=0, ddof=1))

    def of(self, seeds: Sequence[str]) -> Curve:
        """Return the curve of some of its seeds."""
        rows = [self.seeds.index(seed) for seed in seeds]
        return Curve(tuple(seeds), self.budget, self.value[rows], self.replicates[:, rows])


def curve(seeds: Sequence[SeedCurve]) -> Curve:
    """Put seeds at common budgets: those of all seeds within the range that at least half of them cover.

    Seeds that do not cover the range are left out, and longer ones cut.
    """
    ordered = sorted(seeds, key=lambda one: one.seed)
    most = max(float(one.budget[-1]) for one in ordered)
    gaps = [float(np.diff(one.budget).min()) for one in ordered if len(one.budget) > 1]
    near = min([_NEAR * most, *(0.49 * gap for gap in gaps)])
    first, last = _half([float(one.budget[0]) for one in ordered]), -_half([-float(one.budget[-1]) for one in ordered])
    kept = [one for one in ordered if one.budget[0] <= first + near and one.budget[-1] >= last - near]
    if not kept:  # no seed covers what half of them begin with and half of them end with
        kept = [max(ordered, key=lambda one: float(one.budget[-1] - one.budget[0]))]
        first, last = float(kept[0].budget[0]), float(kept[0].budget[-1])
    every = np.concatenate([one.budget for one in kept])
    budget = _merged(every[(every >= first - near) & (every <= last + near)], near)
    matrices = [interpolation(one.budget, budget) for one in kept]
    return Curve(
        tuple(one.seed for one in kept),
        budget,
        np.array([matrix @ one.value for matrix, one in zip(matrices, kept, strict=True)]),
        np.stack([one.replicates @ matrix.T for matrix, one in zip(matrices, kept, strict=True)], axis=1),
        tuple(one.seed for one in ordered if one not in kept),
    )


def _half(starts: list[float]) -> float:
    """Return the least number that at least half of those given do not pass."""
    return sorted(starts)[(len(starts) - 1) // 2]


def _merged(budgets: Floats, near: float) -> Floats:
    """Return the budgets in order, those that differ by `near` or less as their mean."""
    groups: list[list[float]] = []
    for budget in np.unique(budgets):
        if groups and budget - groups[-1][0] <= near:
            groups[-1].append(float(budget))
        else:
            groups.append([float(budget)])
    return np.array([sum(group) / len(group) for group in groups])


def interpolation(budget: Floats, where: Floats) -> Floats:
    """Return the matrix (W, B) by which points at budgets (B,) give values at others (W,); beyond the ends, the ends'.

    The points next to a place count the more, the nearer they are.
    """
    return np.stack([np.interp(where, budget, one) for one in np.eye(len(budget))], axis=1)


def area_weights(budget: Floats, low: float, high: float) -> Floats:
    """Return the weights (B,) by which points give the mean of the curve from `low` to `high` (trapezoids / range)."""
    knots = np.unique([low, high, *budget[(budget > low) & (budget < high)]])
    step = np.diff(knots)
    trapezoids = (np.append(step, 0) + np.insert(step, 0, 0)) / 2
    return np.asarray(trapezoids @ interpolation(budget, knots) / (high - low))


def seed_weights(seeds: int, replicates: int, generator: np.random.Generator) -> Floats:
    """Draw seeds with replacement, (R, S): how much more, or less, than its share each counts in a replicate.

    Scaled by sqrt(S / (S - 1)), since deviations from the mean of S seeds are smaller than those from the true mean,
    and the bootstrap of few seeds would else be too narrow. Of one seed they are 0.
    """
    if seeds == 1:
        return np.zeros((replicates, 1))
    drawn = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=replicates) / seeds
    return np.asarray((drawn - 1 / seeds) * math.sqrt(seeds / (seeds - 1)))


def over_seeds(found: Curve, drawn: Floats) -> Floats:
    """Return the mean curve in each replicate, (R, B): of other test samples, and of other seeds.

    Args:
        found: of S seeds.
        drawn: (R, S) of `seed_weights`.
    """
    return np.asarray(found.replicates.mean(axis=1) + drawn @ found.value)


def isotonic(values: Floats) -> Floats:
    """Return the rising sequences nearest to those given, (R, B), by least squares (Robertson et al. 1988, 1.2.1)."""
    size = values.shape[1]
    sums = np.concatenate([np.zeros((len(values), 1)), values.cumsum(axis=1)], axis=1)
    length = np.arange(size)[None, :] - np.arange(size)[:, None] + 1.0  # of the block from row to column
    means = (sums[:, None, 1:] - sums[:, :-1, None]) / np.where(length > 0, length, np.nan)
    risen = np.empty_like(values)
    for place in range(size):
        ends = means[:, : place + 1, place:].min(axis=2)
        risen[:, place] = ends.max(axis=1)
    return risen


def reached(budget: Floats, values: Floats, wanted: Floats) -> Floats:
    """Return the least budget, (R,), at which rising curves reach a value.

    Args:
        budget: (B,) rising.
        values: (R, B) rising.
        wanted: (R,).

    Returns:
        The first budget where the curve begins there or above; infinity where it never gets there; nan where anything
        is undefined.
    """
    there = values >= wanted[:, None] - _EQUAL
    place = there.argmax(axis=1)
    rows = np.arange(len(values))
    before = np.maximum(place - 1, 0)
    low, high = values[rows, before], values[rows, place]
    share = np.divide(wanted - low, high - low, out=np.ones(len(values)), where=high > low)
    crossed = budget[before] + np.clip(share, 0, 1) * (budget[place] - budget[before])
    found = np.where(there.any(axis=1), crossed, np.inf)
    return np.where(np.isnan(values).any(axis=1) | np.isnan(wanted), np.nan, found)


def estimate(value: float, replicates: Floats) -> Estimate:
    """Return a figure with the interval of its replicates, (R,)."""
    return Estimate(float(value), *bounds(replicates))


def budget_estimate(value: float, replicates: Floats) -> Estimate:
    """Return a budget with its interval; infinite ends are kept, as nothing lies between a number and infinity."""
    known = replicates[~np.isnan(replicates)]
    if not len(known):
        return Estimate(float(value), math.nan, math.nan)
    low, high = np.quantile(known, [0.025, 0.975], method="inverted_cdf")
    return Estimate(float(value), float(low), float(high))


def tally(differences: NDArray[np.float64]) -> tuple[int, int, int]:
    """Return how often the difference is above 0, below it, and 0."""
    won, lost = int((differences > _EQUAL).sum()), int((differences < -_EQUAL).sum())
    return won, lost, int(np.isfinite(differences).sum()) - won - lost
