"""Curves, areas and budgets that bought as much, held to hand computations and to what must hold of any curve."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stages.methods import budget_curves as curves
from stages.methods.budget_curves import SeedCurve
from stages.methods.predictions import Floats

BUDGET = np.array([0.0, 300.0, 600.0])
VALUES = hnp.arrays(np.float64, (3, 6), elements=st.floats(0, 1, width=32))


def seed_curve(seed: str, budget: list[float], value: list[float]) -> SeedCurve:
    return SeedCurve(seed, np.array(budget), np.array(value), np.tile(value, (4, 1)))


# --- areas -----------------------------------------------------------------------------------------------------------


def test_the_area_is_that_of_the_trapezoids_over_the_range() -> None:
    value = np.array([0.2, 0.4, 0.5])
    assert value @ curves.area_weights(BUDGET, 0, 600) == pytest.approx((300 * 0.3 + 300 * 0.45) / 600)
    cut = (150 * (0.3 + 0.4) / 2 + 150 * (0.4 + 0.45) / 2) / 300
    assert value @ curves.area_weights(BUDGET, 150, 450) == pytest.approx(cut)


@given(st.floats(0, 1), st.floats(0, 290), st.floats(300, 600))
@settings(max_examples=50, deadline=None)
def test_the_area_of_a_level_curve_is_its_level(level: float, low: float, high: float) -> None:
    assert np.full(3, level) @ curves.area_weights(BUDGET, low, high) == pytest.approx(level)


def test_between_budgets_a_curve_is_a_straight_line_and_level_beyond_them() -> None:
    found = curves.interpolation(BUDGET, np.array([150.0, 300.0, 700.0])) @ np.array([0.2, 0.4, 0.5])
    np.testing.assert_allclose(found, [0.3, 0.4, 0.5])


# --- budgets that bought as much -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "budget"), [(0.05, 0), (0.1, 0), (0.15, 150), (0.2, 300), (0.3, 450), (0.4, 600), (0.41, math.inf)]
)
def test_the_budget_that_reaches_a_value_is_read_off_the_line(wanted: float, budget: float) -> None:
    assert curves.reached(BUDGET, np.array([[0.1, 0.2, 0.4]]), np.array([wanted])) == pytest.approx(budget)


def test_a_level_stretch_is_reached_where_it_begins_and_the_unknown_stays_unknown() -> None:
    rising = np.array([[0.1, 0.3, 0.3], [0.1, 0.3, 0.3], [0.1, np.nan, 0.3]])
    found = curves.reached(BUDGET, rising, np.array([0.3, np.nan, 0.2]))
    assert found[0] == 300
    assert np.isnan(found[1:]).all()


@given(VALUES)
@settings(max_examples=100, deadline=None)
def test_the_rising_curve_rises_keeps_the_mean_and_leaves_a_rising_one_alone(values: Floats) -> None:
    found = curves.isotonic(values)
    assert (np.diff(found, axis=1) >= -1e-9).all()
    np.testing.assert_allclose(found.mean(axis=1), values.mean(axis=1), atol=1e-9)
    np.testing.assert_allclose(curves.isotonic(found), found, atol=1e-9)


def test_the_rising_curve_is_scikit_learns() -> None:
    from sklearn.isotonic import IsotonicRegression

    values = np.random.default_rng(0).normal(size=(20, 7)) + np.linspace(0, 2, 7)
    wanted = [IsotonicRegression().fit_transform(np.arange(7), row) for row in values]
    np.testing.assert_allclose(curves.isotonic(values), wanted)


def test_an_interval_may_end_beyond_all_budgets() -> None:
    found = curves.budget_estimate(450, np.r_[np.full(50, 300.0), np.full(50, np.inf)])
    assert (found.low, found.high) == (300, math.inf)
    assert found.holds(1e9)
    assert math.isnan(curves.budget_estimate(1, np.full(3, np.nan)).low)


# --- seeds -----------------------------------------------------------------------------------------------------------


def test_seeds_at_the_same_budgets_are_put_together_as_they_are() -> None:
    found = curves.curve([seed_curve("1", [0, 300], [0.2, 0.4]), seed_curve("0", [0, 300], [0.1, 0.5])])
    assert found.seeds == ("0", "1")
    np.testing.assert_array_equal(found.value, [[0.1, 0.5], [0.2, 0.4]])
    np.testing.assert_allclose(found.mean(), [0.15, 0.45])
    deviation = found.deviation()
    assert deviation is not None
    np.testing.assert_allclose(deviation, [0.1 / math.sqrt(2), 0.1 / math.sqrt(2)])
    assert found.replicates.shape == (4, 2, 2)


def test_budgets_that_hardly_differ_are_one_and_others_are_read_off_the_lines() -> None:
    found = curves.curve([seed_curve("0", [0, 298, 600], [0, 0.298, 0.6]), seed_curve("1", [0, 302, 600], [1, 1, 1])])
    np.testing.assert_allclose(found.budget, [0, 300, 600])
    np.testing.assert_allclose(found.value[0], [0, 0.3, 0.6])
    found = curves.curve([seed_curve("0", [0, 200, 600], [0, 0.2, 0.6]), seed_curve("1", [0, 400, 600], [1, 1, 1])])
    np.testing.assert_allclose(found.budget, [0, 200, 400, 600])


def test_budgets_of_one_seed_are_never_put_together() -> None:
    budget = [float(number) for number in range(0, 1000, 5)]
    found = curves.curve([seed_curve("0", budget, budget), seed_curve("1", budget, budget)])
    assert found.budget.tolist() == budget


def test_a_seed_that_stops_short_is_left_out_and_one_that_goes_on_is_cut() -> None:
    long, usual = [0.0, 300.0, 600.0, 900.0], [0.0, 300.0, 600.0]
    found = curves.curve(
        [
            seed_curve("0", usual, usual),
            seed_curve("1", usual, usual),
            seed_curve("2", usual[:2], usual[:2]),
            seed_curve("3", long, long),
        ]
    )
    assert (found.seeds, found.left_out) == (("0", "1", "3"), ("2",))
    assert found.budget.tolist() == usual


def test_drawn_seeds_spread_as_the_mean_of_so_many_does() -> None:
    value = np.random.default_rng(0).normal(size=5)
    drawn = curves.seed_weights(5, 20_000, np.random.default_rng(1)) @ value
    assert drawn.mean() == pytest.approx(0, abs=0.02)
    assert drawn.std() == pytest.approx(value.std(ddof=1) / math.sqrt(5), rel=0.03)
    assert not curves.seed_weights(1, 10, np.random.default_rng(1)).any()


def test_differences_are_tallied() -> None:
    assert curves.tally(np.array([[0.1, -0.2, 0.0], [0.3, 0.0, np.nan]])) == (2, 1, 2)
