"""What a comparison of runs found, as figures."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from stages.methods.budget_curves import Estimate

_LOWER_IS_BETTER = ("log_loss", "brier_score", "expected_calibration_error", "expected_cost")


_SIGNED = ("mcc", "kappa", "quadratic_kappa")
_UNLIMITED = ("log_loss", "expected_cost")


def limits(metric: str) -> tuple[float, float]:
    """Return the least and the largest value that a metric can have."""
    if metric.startswith(_UNLIMITED):
        return 0.0, math.inf
    if metric == "brier_score":
        return 0.0, 2.0
    return (-1.0, 1.0) if metric.partition(":")[0] in _SIGNED else (0.0, 1.0)


def _limited(told: Estimate, low: float, high: float) -> Estimate:
    """Cut an interval: scaled for few seeds, some would go beyond."""
    return Estimate(told.value, max(told.low, low), min(told.high, high))


def lower_is_better(metric: str) -> bool:
    """Return whether a metric counts what is bad."""
    return metric.startswith(_LOWER_IS_BETTER)


@dataclass(frozen=True)
class Point:
    """A budget, and what the metric is there.

    Attributes:
        budget: in the unit of the comparison.
        value: mean over seeds; its interval is of test samples and, where there are several, of seeds.
        deviation: standard deviation over seeds; None of one seed.
        validation: how right the labels were by which epochs were chosen: clean, noisy, as given, unknown or none.
    """

    budget: float
    value: Estimate
    deviation: float | None = None
    validation: str = "unknown"

    def limited(self, low: float, high: float) -> Point:
        """Return the point with an interval that goes no further than the metric can."""
        return replace(self, value=_limited(self.value, low, high))


@dataclass(frozen=True)
class Gain:
    """What the last round of an arm bought.

    Attributes:
        start: budget before it.
        end: budget after it.
        per_step: by which the metric got better (whatever its direction) per `step` of the unit.
        step: 100 labels, 60 minutes or 100 of the currency.
        since_start: by which it got better from the first budget on, in all.
    """

    start: float
    end: float
    per_step: Estimate
    step: float
    since_start: Estimate


@dataclass(frozen=True)
class Arm:
    """One way to spend a budget.

    Attributes:
        name: of it.
        seeds: names of the seeds behind the means.
        left_out: seeds that do not reach as far as most.
        points: by budget, rising.
        by_seed: points of each seed; their intervals are of test samples only.
        area: mean of the metric over the range common to all arms; None where there is no such range.
        gain: of the last round; None of a single point.
        to_bound: how much better all corrected is than the last point; None where it is not known.
        way: share of the way from nothing bought to all corrected; None where it is not known, or there is no way.
    """

    name: str
    seeds: tuple[str, ...]
    left_out: tuple[str, ...]
    points: tuple[Point, ...]
    by_seed: dict[str, tuple[Point, ...]]
    area: Estimate | None = None
    gain: Gain | None = None
    to_bound: Estimate | None = None
    way: Estimate | None = None

    def limited(self, low: float, high: float) -> Arm:
        """Return the arm with intervals of the metric that go no further than it can."""
        area = None if self.area is None else _limited(self.area, low, high)
        return replace(self, points=tuple(point.limited(low, high) for point in self.points), area=area)


@dataclass(frozen=True)
class Against:
    """An arm against its control; differences are arm minus control.

    Attributes:
        arm: its name.
        control: the control's name.
        seeds: that both have, paired; none where they have no seed in common, and the means are compared.
        points: difference at each budget.
        area: difference of the areas; None where there is no common range.
        wins: pairs of seed and budget (past 0) in which the arm is better.
        losses: in which it is worse.
        ties: in which both are the same.
        budget: the arm's last budget that the control's range holds.
        equivalent: budget at which the control's curve first reaches the arm's there; None where nothing was bought.
        least: the control's first budget.
        most: the control's last budget.
    """

    arm: str
    control: str
    seeds: tuple[str, ...]
    points: tuple[Point, ...]
    area: Estimate | None
    wins: int
    losses: int
    ties: int
    budget: float
    equivalent: Estimate | None
    least: float
    most: float


@dataclass(frozen=True)
class Findings:
    """All that a comparison found.

    Attributes:
        metric: by which runs are judged.
        unit: of the budgets: labels, minutes or money.
        samples: judged.
        groups: that were resampled.
        by_image: whether these are images, since no groups of them are known.
        common: range of budgets that all arms cover; None where there is none.
        arms: in order of name, the control last.
        against: each arm that has a control.
        bound: the metric where all labels are right, at no budget (nan); None where that is not known.
        worth: gain per step below which a round is not worth its price.
    """

    metric: str
    unit: str
    samples: int
    groups: int
    by_image: bool
    common: tuple[float, float] | None
    arms: tuple[Arm, ...]
    against: tuple[Against, ...]
    bound: Point | None
    worth: float = 0.0

    def arm(self, name: str) -> Arm:
        """Return the arm of that name."""
        return next(one for one in self.arms if one.name == name)
