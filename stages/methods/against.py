"""An arm held to its control: paired differences, how often it was better, and the budget that bought as much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.methods import budget_curves as curves
from stages.methods.budget_curves import Curve, Estimate, estimate
from stages.methods.findings import Against, Point
from stages.methods.predictions import Floats
from stages.methods.randomness import numpy_generator


@dataclass(frozen=True)
class Draws:
    """Draws of seeds: the same for the same seeds, so that arms are paired by seed.

    Attributes:
        seed: of the bootstrap.
        replicates: R.
    """

    seed: int
    replicates: int

    def __call__(self, seeds: Sequence[str]) -> Floats:
        """Return weights (R, S)."""
        return curves.seed_weights(len(seeds), self.replicates, numpy_generator(self.seed, "compare", "seeds", *seeds))


def shared(first: Curve, second: Curve) -> tuple[str, ...]:
    """Return the seeds that both curves have."""
    return tuple(seed for seed in first.seeds if seed in second.seeds)


def held_to(
    name: str, control: str, arm: Curve, other: Curve, common: tuple[float, float] | None, drawn: Draws, sign: float
) -> Against:
    """Hold an arm to its control, seed by seed where both have the same."""
    seeds = shared(arm, other)
    if seeds:
        arm, other = arm.of(seeds), other.of(seeds)
    first, second = (curves.over_seeds(one, drawn(one.seeds)) for one in (arm, other))
    where = _within(arm.budget, other.budget)
    ours, theirs = (curves.interpolation(one.budget, where) for one in (arm, other))
    value = ours @ arm.mean() - theirs @ other.mean()
    replicates = first @ ours.T - second @ theirs.T
    pairs = arm.value @ ours.T - other.value @ theirs.T if seeds else value[None]
    wins, losses, ties = curves.tally(sign * pairs[:, where > 0])
    return Against(
        arm=name,
        control=control,
        seeds=seeds,
        points=tuple(Point(float(b), estimate(float(value[i]), replicates[:, i])) for i, b in enumerate(where)),
        area=_area_difference(arm, other, first, second, common),
        wins=wins,
        losses=losses,
        ties=ties,
        budget=float(where[-1]) if len(where) else math.nan,
        equivalent=_equivalent(arm, other, first, second, sign, where),
        least=float(other.budget[0]),
        most=float(other.budget[-1]),
    )


def _within(budget: Floats, others: Floats) -> Floats:
    """Return those budgets that lie in the range of others, or so near to its end that it is one."""
    near = 0.02 * float(others[-1])
    return np.asarray(budget[(budget >= others[0] - near) & (budget <= others[-1] + near)])


def _area_difference(
    arm: Curve, other: Curve, first: Floats, second: Floats, common: tuple[float, float] | None
) -> Estimate | None:
    if common is None or min(len(arm.budget), len(other.budget)) < 2:
        return None
    ours, theirs = (curves.area_weights(one.budget, *common) for one in (arm, other))
    return estimate(float(arm.mean() @ ours - other.mean() @ theirs), first @ ours - second @ theirs)


def _equivalent(arm: Curve, other: Curve, first: Floats, second: Floats, sign: float, where: Floats) -> Estimate | None:
    """Return the control's budget that buys as much as the arm's last; both curves as the rising ones next to them."""
    if len(other.budget) < 2 or not len(where) or where[-1] <= 0:
        return None
    at = curves.interpolation(arm.budget, where[-1:])[0]

    def found(ours: Floats, theirs: Floats) -> Floats:
        wanted = np.asarray(curves.isotonic(sign * ours) @ at)
        return curves.reached(other.budget, curves.isotonic(sign * theirs), wanted)

    value = found(arm.mean()[None], other.mean()[None])
    return curves.budget_estimate(float(value[0]), found(first, second))
