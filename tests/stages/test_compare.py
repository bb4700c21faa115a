"""Runs are compared pair by pair: what is the same shows no difference, what is better shows by how much."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from schemas.errors import DataError, UsageError
from stages.compare import CompareConfig, CompareInputs, Judged, run
from stages.methods import findings, verdicts
from stages.methods.budget_curves import Estimate
from stages.methods.findings import Findings
from stages.methods.predictions import Predictions
from stages.report import SilentReport
from tests.stages.made_up_runs import share_held

SAMPLES = 200
LABEL = np.arange(SAMPLES) % 2
CLASSES = ("benign", "malign")


def right(share: float, seed: int = 0) -> Predictions:
    """Predictions of which so many are right; the easy samples are the same at every share."""
    order = np.random.default_rng(seed).permutation(SAMPLES)
    hit = np.zeros(SAMPLES, dtype=bool)
    hit[order[: round(share * SAMPLES)]] = True
    return Predictions(LABEL, None, np.where(hit, LABEL, 1 - LABEL), 2)


def arm(name: str, shares: list[float], seed: str = "0", step: float = 100, first: float = 0) -> list[Judged]:
    return [Judged(name, seed, first + step * place, right(share)) for place, share in enumerate(shares)]


def compared(*judged: list[Judged], bound: float | None = None, **options: Any) -> Findings:
    every = [one for part in judged for one in part]
    names = {one.arm for one in every}
    return run(
        CompareConfig.model_validate({"metric": "accuracy", "bootstrap": 200} | options),
        CompareInputs(
            every,
            {name: "random" for name in names - {"random"}} if "random" in names else {},
            [] if bound is None else [Judged("bound", "0", math.nan, right(bound))],
            np.arange(SAMPLES),
            True,
            CLASSES,
        ),
        SilentReport(),
    )


RANDOM = [0.5, 0.6, 0.7, 0.8]


# --- what must hold --------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0.1, 0.9), min_size=2, max_size=3), st.integers(1, 2))
@settings(max_examples=8, deadline=None, phases=[Phase.generate])
def test_an_arm_like_its_control_differs_by_0_for_sure(shares: list[float], seeds: int) -> None:
    by_seed = {str(seed): [share + 0.05 * seed for share in shares] for seed in range(seeds)}
    runs = [arm(name, values, seed) for name in ("a", "random") for seed, values in by_seed.items()]
    held = compared(*runs, bootstrap=20).against[0]
    assert held.area is not None
    for found in (held.area, *(point.value for point in held.points)):
        assert (found.value, found.low, found.high) == pytest.approx((0, 0, 0), abs=1e-12)
    assert (held.wins, held.losses, held.ties) == (0, 0, seeds * (len(shares) - 1))


def test_an_arm_that_is_better_by_so_much_is_found_to_be() -> None:
    found = compared(arm("a", [0.5, 0.7, 0.8, 0.9]), arm("random", RANDOM))
    held = found.against[0]
    assert [point.value.value for point in held.points] == pytest.approx([0, 0.1, 0.1, 0.1])
    assert held.area is not None and held.area.value == pytest.approx((0.05 + 0.1 + 0.1) / 3)
    assert held.points[-1].value.low > 0
    assert (held.wins, held.losses, held.ties, held.seeds) == (3, 0, 0, ("0",))


def test_the_order_of_evaluations_does_not_matter() -> None:
    runs = [arm("a", [0.5, 0.7], "0"), arm("a", [0.4, 0.6], "1"), arm("random", [0.5, 0.6], "1")]
    runs += [arm("random", [0.5, 0.55], "0")]
    assert compared(*runs) == compared(*[part[::-1] for part in runs[::-1]])


def test_pairing_takes_out_what_all_arms_have_in_common() -> None:
    found = compared(arm("a", [0.5, 0.7]), arm("random", [0.5, 0.68]))
    alone, difference = found.arms[0].points[1].value, found.against[0].points[1].value
    assert difference.high - difference.low < (alone.high - alone.low) / 2


def test_samples_of_a_group_are_drawn_together() -> None:
    every = [*arm("a", [0.5, 0.7]), *arm("random", [0.5, 0.6])]
    config = CompareConfig(metric="accuracy", bootstrap=200)
    told = [
        run(config, CompareInputs(every, {"a": "random"}, [], group, False, CLASSES), SilentReport()).arms[0]
        for group in (np.arange(SAMPLES), np.arange(SAMPLES) // 50)
    ]
    width = [one.points[1].value.high - one.points[1].value.low for one in told]
    assert width[0] != width[1]


def test_the_interval_of_one_seed_is_that_of_the_binomial() -> None:
    value = compared(arm("a", [0.5, 0.5]), arm("random", [0.5, 0.5]), bootstrap=2000).arms[0].points[0].value
    assert (value.high - value.low) / 2 == pytest.approx(1.96 * math.sqrt(0.25 / SAMPLES), rel=0.1)


@pytest.mark.parametrize(("seeds", "spread", "least"), [(1, 0.0, 0.85), (3, 0.2, 0.8)])
def test_the_interval_of_the_difference_holds_the_truth_about_as_often_as_it_says(
    seeds: int, spread: float, least: float
) -> None:
    assert least <= share_held(seeds, spread, repetitions=40, bootstrap=100) <= 1


def test_intervals_of_several_seeds_are_of_seeds_too() -> None:
    """Seeds of equal shares but other samples, and seeds that differ: the mean of these is less sure."""
    same = [arm("a", [0.5, 0.6], str(seed)) for seed in range(3)]
    apart = [arm("a", [0.5, share], str(seed)) for seed, share in enumerate((0.4, 0.6, 0.8))]
    widths = []
    for runs in (same, apart):
        point = compared(*runs, arm("random", [0.5, 0.6])).arms[0].points[1]
        widths.append(point.value.high - point.value.low)
        assert point.deviation == pytest.approx(0 if runs is same else 0.2)
    assert widths[1] > 1.5 * widths[0]


# --- equal worth -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shares", "budget", "words"),
    [
        ([0.5, 0.55, 0.6, 0.65], 150, "as much as 150 by random"),
        ([0.5, 0.8, 0.85, 0.9], math.inf, "more than all 300 by random"),
        ([0.5, 0.4, 0.4, 0.4], 0, "as much as 0 by random"),
    ],
)
def test_the_controls_budget_that_bought_as_much_is_told(shares: list[float], budget: float, words: str) -> None:
    found = compared(arm("a", shares), arm("random", RANDOM))
    held = found.against[0]
    assert held.equivalent is not None
    assert held.equivalent.value == pytest.approx(budget)
    assert verdicts.verdict(found, held).startswith(f"300 labels by a bought {words}")
    assert (held.budget, held.most) == (300, 300)


def test_of_a_metric_that_counts_what_is_bad_less_is_better() -> None:
    posterior = {share: np.eye(2)[right(share).predicted] * 0.8 + 0.1 for share in (0.5, 0.6, 0.7)}
    judged = [
        Judged(name, "0", budget, Predictions(LABEL, posterior[share]))
        for name, shares in (("a", (0.5, 0.7)), ("random", (0.5, 0.6)))
        for budget, share in zip((0.0, 100.0), shares, strict=True)
    ]
    found = compared(judged, metric="log_loss")
    held = found.against[0]
    assert held.points[-1].value.value < 0
    assert (held.wins, held.losses) == (1, 0)
    assert held.equivalent is not None and held.equivalent.value == math.inf
    assert "a is better than random there" in verdicts.verdict(found, held)
    gain = found.arm("a").gain
    assert gain is not None and gain.per_step.value > 0


def test_budgets_that_differ_are_read_off_the_lines() -> None:
    found = compared(arm("a", [0.5, 0.8], step=150), arm("random", RANDOM))
    held = found.against[0]
    assert [point.budget for point in held.points] == [0, 150]
    assert held.points[1].value.value == pytest.approx(0.8 - 0.65)
    assert found.common == (0, 150)


def test_seeds_that_only_one_arm_has_are_not_paired() -> None:
    found = compared(arm("a", [0.5, 0.7], "0"), arm("a", [0.5, 0.9], "1"), arm("random", [0.5, 0.6], "1"))
    assert found.against[0].seeds == ("1",)
    assert found.against[0].points[1].value.value == pytest.approx(0.3)
    found = compared(arm("a", [0.5, 0.7], "0"), arm("random", [0.5, 0.6], "1"))
    assert found.against[0].seeds == ()
    assert any("no seed in common" in note for note in verdicts.notes(found))


# --- all corrected, and when to stop ---------------------------------------------------------------------------------


def test_the_way_to_all_corrected_is_measured_from_nothing_bought() -> None:
    found = compared(arm("a", [0.5, 0.6]), arm("random", [0.5, 0.55]), bound=0.9)
    assert found.bound is not None and found.bound.value.value == pytest.approx(0.9)
    one = found.arm("a")
    assert one.way is not None and one.way.value == pytest.approx(0.25)
    assert one.to_bound is not None and one.to_bound.value == pytest.approx(0.3)
    assert not any("not known here" in note for note in verdicts.notes(found))


def test_there_is_no_way_where_all_corrected_is_no_better_than_nothing_bought() -> None:
    found = compared(arm("a", [0.5, 0.6]), arm("random", [0.5, 0.55]), bound=0.5)
    assert found.arm("a").way is None


def test_advice_follows_the_gain_of_the_last_round() -> None:
    told = {
        name: verdicts.advice(compared(arm("a", shares), arm("random", [0.5, 0.6]), **options), named(shares, options))
        for name, shares, options in (
            ("on", [0.5, 0.6, 0.8], {}),
            ("unsure", [0.5, 0.6, 0.605], {}),
            ("stop", [0.5, 0.6, 0.59], {"worth": 0.2}),
            ("bound", [0.5, 0.6, 0.8], {"bound": 0.6}),
            ("far", [0.5, 0.6, 0.8], {"bound": 1.0}),
            ("single", [0.5], {}),
        )
    }
    assert told["on"].startswith("a: go on. The last 100 labels gained +0.2000")
    assert told["unsure"].startswith("a: the data cannot tell whether to go on")
    assert told["stop"].startswith("a: stop. The last 100 labels") and "less than the 0.2" in told["stop"]
    assert told["bound"].startswith("a: stop. All labels corrected would give no more than the 0.800")
    assert "at the last round's pace, another 100 labels" in told["far"]
    assert "judged at one budget only" in told["single"]


def named(shares: list[float], options: dict[str, Any]) -> Any:
    return compared(arm("a", shares), arm("random", [0.5, 0.6]), **options).arm("a")


def test_a_verdict_is_honest_where_chance_may_have_done_it() -> None:
    found = compared(arm("a", [0.5, 0.61]), arm("random", [0.5, 0.6]))
    assert "no difference that can be told from chance" in verdicts.verdict(found, found.against[0])
    found = compared(arm("a", [0.5, 0.6]), arm("random", [0.5, 0.9]))
    told = verdicts.verdict(found, found.against[0])
    assert "a is worse than random there" in told
    assert "worse in 1" in told


def test_without_a_control_the_rest_is_told_and_what_is_lacking() -> None:
    found = compared(arm("a", [0.5, 0.6]), arm("b", [0.5, 0.7]))
    assert found.against == ()
    assert [one.points[1].value.value for one in found.arms] == pytest.approx([0.6, 0.7])
    assert any("without a random control nobody can say that choosing paid" in note for note in verdicts.notes(found))


def test_how_many_seeds_there_were_is_said() -> None:
    one = compared(arm("a", [0.5, 0.6]), arm("random", [0.5, 0.6]))
    assert "one seed, so that they are of test samples only" in verdicts.notes(one)[0]
    three = compared(*[arm(name, [0.5, 0.6], str(seed)) for name in ("a", "random") for seed in range(3)])
    assert "over 3 seeds, few for a sure interval" in verdicts.notes(three)[0]


# --- metrics ---------------------------------------------------------------------------------------------------------


def test_a_metric_of_one_class_may_be_compared() -> None:
    found = compared(arm("a", [0.5, 0.7]), arm("random", [0.5, 0.6]), metric="recall:malign")
    predicted = right(0.7).predicted
    assert found.arm("a").points[1].value.value == pytest.approx((predicted[LABEL == 1] == 1).mean())


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ("acuracy", "no metric 'acuracy'; did you mean 'accuracy'?"),
        ("recal:malign", "'recal' is not one of precision, recall"),
        ("recall:malin", "no class 'malin'; did you mean 'malign'?"),
    ],
)
def test_an_unknown_metric_is_told_with_the_nearest(metric: str, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        compared(arm("a", [0.5, 0.7]), metric=metric)
    assert told in str(refused.value)


def test_a_metric_that_is_undefined_somewhere_is_refused() -> None:
    with pytest.raises(DataError, match="'macro_auroc' is undefined there"):
        compared(arm("a", [0.5, 0.7]), metric="macro_auroc")


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("balanced_accuracy", (0, 1)),
        ("few_macro_f1", (0, 1)),
        ("recall:nv", (0, 1)),
        ("mcc", (-1, 1)),
        ("mcc:nv", (-1, 1)),
        ("quadratic_kappa", (-1, 1)),
        ("brier_score", (0, 2)),
        ("log_loss", (0, math.inf)),
        ("expected_cost_of_cheapest", (0, math.inf)),
    ],
)
def test_no_interval_goes_further_than_the_metric_can(metric: str, expected: tuple[float, float]) -> None:
    assert findings.limits(metric) == expected
    point = findings.Point(5, Estimate(0.9, -7, 7)).limited(*expected)
    assert (point.value.low, point.value.high) == (expected[0], min(7, expected[1]))
    arm = findings.Arm("a", ("0",), (), (point, findings.Point(9, Estimate(0.5, -7, 7))), {}, area=Estimate(0.5, -7, 7))
    cut = arm.limited(*expected)
    for told in (cut.points[1].value, cut.area):
        assert told is not None
        assert (told.value, told.low, told.high) == (0.5, expected[0], min(7, expected[1]))
