"""Corrupt flips labels of the splits asked for, and says exactly what it did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.errors import UsageError
from stages.corrupt import CorruptConfig, run

CLASSES = ("red", "green", "blue")
EVERYTHING = np.ones(600, dtype=bool)
LABELS = np.arange(600) % 3


@given(st.floats(0, 1), st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_samples_that_are_not_touched_keep_their_label(rate: float, seed: int) -> None:
    touched = np.arange(600) < 400
    found = run(CorruptConfig(rate=rate, seed=seed), LABELS, touched, CLASSES)
    assert np.array_equal(found.labels[~touched], LABELS[~touched])
    assert np.array_equal(LABELS, np.arange(600) % 3)
    assert found.rate == pytest.approx((found.labels != LABELS)[touched].mean())


def test_the_realised_noise_is_counted_among_the_touched() -> None:
    touched = np.arange(600) < 300
    found = run(CorruptConfig(rate=0.5, seed=1), LABELS, touched, CLASSES)
    for row in range(3):
        members = touched & (LABELS == row)
        for column in range(3):
            assert found.transition[row, column] == pytest.approx((found.labels[members] == column).mean())
        assert found.rates[row] == pytest.approx((found.labels[members] != row).mean())


def test_an_excluded_class_neither_loses_nor_gains_labels() -> None:
    found = run(CorruptConfig(rate=1.0, exclude=("green",)), LABELS, EVERYTHING, CLASSES)
    assert np.array_equal(found.labels == 1, LABELS == 1)
    assert np.array_equal(found.labels[LABELS == 0], np.full(200, 2))
    assert found.rates.tolist() == [1, 0, 1]


def test_a_class_without_samples_has_no_rate() -> None:
    found = run(CorruptConfig(rate=0.5), np.zeros(50, dtype=np.int64), np.ones(50, dtype=bool), CLASSES)
    assert np.isnan(found.rates[1:]).all()
    assert np.isnan(found.transition[1:]).all()


def test_the_same_seed_gives_the_same_noise_and_another_seed_other() -> None:
    first, again, other = (run(CorruptConfig(seed=seed), LABELS, EVERYTHING, CLASSES).labels for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_unknown_class_to_exclude_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError) as caught:
        run(CorruptConfig(exclude=("gren",)), LABELS, EVERYTHING, CLASSES)
    assert str(caught.value) == "--exclude: no class 'gren'; did you mean 'green'?"


def test_excluding_all_but_one_class_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        run(CorruptConfig(exclude=("red", "blue")), LABELS, EVERYTHING, CLASSES)
    assert str(caught.value) == "--exclude: leaves fewer than two classes that labels could move between"


@pytest.mark.parametrize(
    "wrong", [{"rate": 1.1}, {"rate": -0.1}, {"noise": "salt"}, {"splits": ("all",)}, {"seed": -1}, {"rat": 0.3}]
)
def test_an_option_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CorruptConfig.model_validate(wrong)


def flipped(**options: Any) -> np.ndarray[Any, Any]:
    config = CorruptConfig.model_validate({"noise": "asymmetric", "rate": 0.5, "seed": 3} | options)
    return run(config, LABELS, EVERYTHING, CLASSES).transition


def test_asymmetric_noise_goes_where_the_map_says_alone() -> None:
    found = flipped(map=["red=green", "green=red"])
    assert found[0, 2] == found[1, 2] == 0
    assert found[0, 1] == pytest.approx(0.5, abs=0.1)
    assert found[1, 0] == pytest.approx(0.5, abs=0.1)
    assert found[2].tolist() == [0, 0, 1]


def test_a_class_taken_for_several_goes_to_them_evenly() -> None:
    found = flipped(map=["red=green", "red=blue"], rate=1.0)
    assert found[0, 0] == 0
    assert found[0, 1] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"map": []}, "--map: asymmetric noise needs at least one TRUE=GIVEN"),
        ({"map": ["red"]}, "--map: 'red' is not of the form TRUE=GIVEN"),
        ({"map": ["rad=green"]}, "--map: no class 'rad'; did you mean 'red'?"),
        ({"map": ["red=red"]}, "--map: 'red=red' takes a class for itself"),
        ({"map": ["red=green"], "exclude": ["green"]}, "--map: 'red=green' names an excluded class"),
        ({"map": ["red=green"], "noise": "symmetric"}, "--map: goes with --noise asymmetric alone"),
    ],
)
def test_a_map_that_makes_no_sense_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        flipped(**options)
    assert str(caught.value) == told
