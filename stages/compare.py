"""Compare: what a budget bought, by one way to spend it and by another, with intervals that are paired.

All evaluations are of the same samples, and one set of bootstrap resamples serves all of them, so that what they have
in common (an easy resample) drops out of differences. Where there are several seeds these are drawn too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import DataError
from stages.methods import budget_curves as curves
from stages.methods import metric_by_name
from stages.methods.against import Draws, held_to, shared
from stages.methods.budget_curves import Curve, Estimate, SeedCurve, estimate
from stages.methods.findings import Arm, Findings, Gain, Point, limits, lower_is_better
from stages.methods.intervals import Resamples, resamples
from stages.methods.metrics import PLAIN, Yardstick
from stages.methods.predictions import Floats, Ints, Predictions
from stages.methods.randomness import numpy_generator
from stages.report import Report

_STEP = {"labels": 100.0, "minutes": 60.0, "money": 100.0}


class CompareConfig(BaseModel):
    """Options of `compare`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str = Field(
        "balanced_accuracy", description="any that `evaluate` gives, or recall:CLASS and the like for one class"
    )
    x: Literal["labels", "minutes", "money"] = Field("labels", description="what budgets are counted in")
    rate_per_hour: float | None = Field(None, gt=0, description="price of an annotator's hour, for --x money")
    control: str | None = Field(None, description="arm that the others are held to (default: the random one)")
    worth: float = Field(
        0.0, ge=0, description="gain per 100 labels (hour, 100 of the currency) below which buying is not worth it"
    )
    bootstrap: int = Field(1000, ge=20, le=100_000, description="resamples for the 95 % intervals")
    seed: int = Field(0, ge=0, description="of the bootstrap")


@dataclass(frozen=True)
class Judged:
    """One evaluation as a point of an arm.

    Attributes:
        arm: the way the budget was spent.
        seed: name of the repetition; arms are paired by it.
        budget: what was spent before it, in the unit.
        predictions: of the N samples, in the same order in all evaluations.
        place: where it lies, for messages.
        validation: how right the labels were by which its epoch was chosen.
    """

    arm: str
    seed: str
    budget: float
    predictions: Predictions
    place: str = ""
    validation: str = "unknown"


@dataclass(frozen=True)
class CompareInputs:
    """What is compared.

    Attributes:
        judged: evaluations; one that several arms begin with stands once for each.
        controls: of each arm that has one, the name of its control.
        bound: evaluations where all labels are right, one a seed; may be empty.
        group: (N,) number of each sample's group, from 0; groups are resampled together.
        by_image: whether these are images.
        classes: names in order.
        yardstick: what else predictions are judged by.
    """

    judged: Sequence[Judged]
    controls: Mapping[str, str]
    bound: Sequence[Judged]
    group: Ints
    by_image: bool
    classes: tuple[str, ...]
    yardstick: Yardstick = PLAIN


def run(config: CompareConfig, inputs: CompareInputs, report: Report) -> Findings:
    """Compare runs.

    Raises:
        UsageError: there is no such metric, class or control.
        DataError: the metric is undefined in one of the evaluations.
    """
    ruler = _Ruler(config, inputs, report)
    names = sorted({one.arm for one in inputs.judged}, key=lambda name: (name in inputs.controls.values(), name))
    found = {name: _curve(name, inputs.judged, ruler) for name in names}
    bound = _bound(inputs.bound, ruler)
    common = _common(list(found.values()))
    drawn = Draws(config.seed, config.bootstrap)
    sign = -1.0 if lower_is_better(config.metric) else 1.0
    within = limits(config.metric)
    return Findings(
        metric=config.metric,
        unit=config.x,
        samples=len(inputs.group),
        groups=int(inputs.group.max()) + 1,
        by_image=inputs.by_image,
        common=common,
        arms=tuple(
            _arm(
                name, one, [p for p in inputs.judged if p.arm == name], common, bound, drawn, sign, _STEP[config.x]
            ).limited(*within)
            for name, one in found.items()
        ),
        against=tuple(
            held_to(name, control, found[name], found[control], common, drawn, sign)
            for name, control in sorted(inputs.controls.items())
            if name != control
        ),
        bound=None if bound is None else _top(bound, inputs.bound, drawn).limited(*within),
        worth=config.worth,
    )


class _Ruler:
    """Gives the metric of predictions, and of their resamples; the same predictions are judged once."""

    def __init__(self, config: CompareConfig, inputs: CompareInputs, report: Report) -> None:
        self._name = config.metric
        self._metric = metric_by_name.parse(config.metric, inputs.classes)
        self._yardstick = inputs.yardstick
        self._report = report
        generator = numpy_generator(config.seed, "compare", "samples")
        self._drawn: Resamples = resamples(inputs.group, config.bootstrap, generator)
        everything = {id(one) for one in (p.predictions for p in (*inputs.judged, *inputs.bound))}
        self._total = len(everything)
        self._known: dict[int, tuple[float, Floats]] = {}

    def __call__(self, given: Predictions, place: str) -> tuple[float, Floats]:
        """Return the metric, and its replicates (R,).

        Raises:
            DataError: it is undefined.
        """
        if id(given) not in self._known:
            found = self._metric(given, self._drawn, self._yardstick)
            if math.isnan(found[0]):
                raise DataError(f"{place}: '{self._name}' is undefined there; choose another --metric")
            self._known[id(given)] = found
            self._report.progress(len(self._known), self._total, unit="evaluations")
        return self._known[id(given)]


def _curve(name: str, judged: Sequence[Judged], ruler: _Ruler) -> Curve:
    """Return an arm's curve."""
    by_seed: dict[str, dict[float, Judged]] = {}
    for one in judged:
        if one.arm == name:
            by_seed.setdefault(one.seed, {})[one.budget] = one
    seeds = []
    for seed, points in by_seed.items():
        ordered = [points[budget] for budget in sorted(points)]
        values = [ruler(one.predictions, one.place) for one in ordered]
        budget = np.array([one.budget for one in ordered])
        value, replicates = zip(*values, strict=True)
        seeds.append(SeedCurve(seed, budget, np.array(value), np.stack(replicates, axis=1)))
    return curves.curve(seeds)


def _bound(bound: Sequence[Judged], ruler: _Ruler) -> Curve | None:
    """Return what all corrected labels give, as a curve of one point."""
    values = [(one.seed, ruler(one.predictions, one.place)) for one in bound]
    single = [SeedCurve(s, np.zeros(1), np.array([value]), drawn[:, None]) for s, (value, drawn) in values]
    return curves.curve(single) if single else None


def _common(found: Sequence[Curve]) -> tuple[float, float] | None:
    """Return the range of budgets that all arms of more than one point cover."""
    long = [one for one in found if len(one.budget) > 1]
    if not long:
        return None
    low, high = max(float(one.budget[0]) for one in long), min(float(one.budget[-1]) for one in long)
    return (low, high) if low < high else None


def _arm(
    name: str,
    found: Curve,
    judged: Sequence[Judged],
    common: tuple[float, float] | None,
    bound: Curve | None,
    drawn: Draws,
    sign: float,
    step: float,
) -> Arm:
    """Return an arm's figures."""
    deviation = found.deviation()
    points = tuple(
        Point(
            float(budget),
            _at(found, place, drawn),
            None if deviation is None else float(deviation[place]),
            _validation(judged, float(budget)),
        )
        for place, budget in enumerate(found.budget)
    )
    arm = Arm(name, found.seeds, found.left_out, points, _by_seed(found, judged))
    if len(points) > 1:
        arm = replace(arm, area=_area(found, common, drawn), gain=_gain(found, drawn, sign, step))
    if bound is not None:
        to_bound, way = _distance(found, bound, drawn, sign)
        arm = replace(arm, to_bound=to_bound, way=way)
    return arm


def _validation(judged: Sequence[Judged], budget: float) -> str:
    """Return what the epochs of the evaluations nearest to a budget were chosen by."""
    nearest = min(abs(one.budget - budget) for one in judged)
    return " and ".join(sorted({one.validation for one in judged if abs(one.budget - budget) == nearest}))


def _by_seed(found: Curve, judged: Sequence[Judged]) -> dict[str, tuple[Point, ...]]:
    return {
        seed: tuple(
            Point(
                float(budget),
                estimate(found.value[row, place], found.replicates[:, row, place]),
                validation=_validation([one for one in judged if one.seed == seed], float(budget)),
            )
            for place, budget in enumerate(found.budget)
        )
        for row, seed in enumerate(found.seeds)
    }


def _weighed(found: Curve, weights: Floats, drawn: Draws) -> Estimate:
    """Return a figure that is the mean curve's points times weights (B,)."""
    return estimate(float(found.mean() @ weights), curves.over_seeds(found, drawn(found.seeds)) @ weights)


def _at(found: Curve, place: int, drawn: Draws) -> Estimate:
    return _weighed(found, np.eye(len(found.budget))[place], drawn)


def _area(found: Curve, common: tuple[float, float] | None, drawn: Draws) -> Estimate | None:
    return None if common is None else _weighed(found, curves.area_weights(found.budget, *common), drawn)


def _gain(found: Curve, drawn: Draws, sign: float, step: float) -> Gain:
    """Return what the last round bought."""
    start, end = float(found.budget[-2]), float(found.budget[-1])
    unit = np.eye(len(found.budget)) * sign
    last = _weighed(found, (unit[-1] - unit[-2]) * step / (end - start), drawn)
    return Gain(start, end, last, step, _weighed(found, unit[-1] - unit[0], drawn))


def _top(bound: Curve, judged: Sequence[Judged], drawn: Draws) -> Point:
    """Return what all corrected labels give, which is no matter of budget."""
    deviation = bound.deviation()
    told = " and ".join(sorted({one.validation for one in judged}))
    return Point(math.nan, _at(bound, 0, drawn), None if deviation is None else float(deviation[0]), told)


def _distance(found: Curve, bound: Curve, drawn: Draws, sign: float) -> tuple[Estimate, Estimate | None]:
    """Return how much better all corrected is than the last point, and the share of the way to it that is done."""
    seeds = shared(found, bound)
    arm, top = (found.of(seeds), bound.of(seeds)) if seeds else (found, bound)
    value = sign * np.append(arm.mean()[[0, -1]], top.mean())
    pairs = ((curves.over_seeds(one, drawn(one.seeds)) * sign) for one in (arm, top))
    replicates = np.concatenate([found[:, [0, -1]] if found.shape[1] > 1 else found for found in pairs], axis=1)
    if replicates.shape[1] == 2:  # an arm of one point
        return estimate(value[-1] - value[-2], replicates[:, 1] - replicates[:, 0]), None
    to_bound = estimate(value[2] - value[1], replicates[:, 2] - replicates[:, 1])
    whole, done = replicates[:, 2] - replicates[:, 0], replicates[:, 1] - replicates[:, 0]
    if found.budget[0] > 0 or not estimate(value[2] - value[0], whole).low > 0:
        return to_bound, None  # nobody knows the start, or whether there is any way to go
    return to_bound, estimate((value[1] - value[0]) / (value[2] - value[0]), done / whole)
