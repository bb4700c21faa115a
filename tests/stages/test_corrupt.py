"""Corrupt flips labels of the splits asked for, and says exactly what it did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.errors import UsageError
from stages.corrupt import CorruptConfig, CorruptOutputs, run
from stages.methods.instance_noise import Features

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


MATRIX = np.array([[0.7, 0.1, 0.2], [0.0, 0.5, 0.5], [0.3, 0.0, 0.7]])
KINDS: dict[str, dict[str, Any]] = {
    "symmetric": {},
    "asymmetric": {"map": ["red=green", "blue=red"]},
    "pair": {},
    "transition": {},
    "instance": {},
}


def corrupted(noise: str, touched: Any = EVERYTHING, labels: Any = LABELS, **options: Any) -> CorruptOutputs:
    config = CorruptConfig.model_validate({"noise": noise} | KINDS[noise] | options)
    count = int(touched.sum())
    features = Features(np.random.default_rng(5).normal(size=(count, 9)), np.arange(count))
    own = {"transition": (MATRIX, None), "instance": (None, features)}
    return run(config, labels, touched, CLASSES, *own.get(noise, (None, None)))


@pytest.mark.parametrize("noise", KINDS)
def test_of_every_kind_only_touched_labels_change_and_to_classes_alone(noise: str) -> None:
    touched = np.arange(600) % 2 == 0
    found = corrupted(noise, touched)
    assert np.array_equal(found.labels[~touched], LABELS[~touched])
    assert 0.2 < (found.labels != LABELS)[touched].mean() < 0.6
    assert set(found.labels.tolist()) == {0, 1, 2}
    assert found.sizes.tolist() == [100, 100, 100]


@pytest.mark.parametrize("noise", KINDS)
def test_of_every_kind_the_realised_noise_tends_to_the_nominal(noise: str) -> None:
    labels = np.random.default_rng(1).choice(3, 60_000, p=[0.75, 0.2, 0.05])
    found = corrupted(noise, np.ones(60_000, dtype=bool), labels)
    nominal = found.nominal_transition
    np.testing.assert_allclose(nominal.sum(axis=1), 1)
    bound = 5 * np.sqrt(nominal * (1 - nominal) / found.sizes[:, None])
    assert (np.abs(found.transition - nominal) <= bound + 1e-12).all()
    np.testing.assert_allclose(found.nominal_rates, 1 - np.diag(nominal), atol=1e-11)
    assert found.nominal_rate == pytest.approx((found.nominal_rates * found.sizes).sum() / 60_000)
    assert found.rate == pytest.approx(found.nominal_rate, abs=0.01)


@pytest.mark.parametrize("noise", [kind for kind in KINDS if kind != "transition"])
def test_a_rate_of_0_changes_nothing(noise: str) -> None:
    found = corrupted(noise, rate=0)
    assert np.array_equal(found.labels, LABELS)
    assert (found.rate, found.nominal_rate, found.notes) == (0, 0, ())
    assert np.array_equal(found.nominal_transition, np.eye(3))


def test_a_matrix_of_no_noise_changes_nothing() -> None:
    found = run(CorruptConfig(noise="transition"), LABELS, EVERYTHING, CLASSES, np.eye(3))
    assert np.array_equal(found.labels, LABELS)
    assert (found.rate, found.nominal_rate) == (0, 0)


@pytest.mark.parametrize("noise", KINDS)
def test_of_every_kind_the_seed_decides(noise: str) -> None:
    first, again, other = (corrupted(noise, seed=seed).labels.tobytes() for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_a_pair_is_a_class_and_the_next_one_that_is_not_excluded() -> None:
    found = corrupted("pair", rate=1)
    assert np.array_equal(found.labels, (LABELS + 1) % 3)
    found = corrupted("pair", rate=1, exclude=["green"])
    assert np.array_equal(found.labels, np.array([2, 1, 0])[LABELS])


def test_a_class_without_a_row_keeps_its_labels_and_that_is_told() -> None:
    matrix = MATRIX.copy()
    matrix[1] = np.nan
    found = run(CorruptConfig(noise="transition"), LABELS, EVERYTHING, CLASSES, matrix)
    assert (found.labels[LABELS == 1] == 1).all()
    assert found.nominal_rates.tolist() == [0.3, 0, 0.3]
    assert found.notes == ("the matrix has no row for green: labels of that class are left as they are",)


@pytest.mark.parametrize(
    ("rate", "told"),
    [
        (0.4, ()),
        (0.05, ("flip rates have the mean 0.10, not 0.05: they are drawn around it and cut at 0 and 1",)),
        (1.0, ("flip rates have the mean 0.92, not 1: they are drawn around it and cut at 0 and 1",)),
    ],
)
def test_flip_rates_far_from_the_rate_asked_for_are_told(rate: float, told: tuple[str, ...]) -> None:
    assert corrupted("instance", rate=rate).notes == told


def test_the_rate_is_the_usual_one_unless_a_matrix_has_its_own() -> None:
    assert [CorruptConfig.model_validate({"noise": noise}).rate for noise in KINDS] == [0.4, 0.4, 0.4, None, 0.4]
    assert CorruptConfig.model_validate({"rate": None}).rate == 0.4
    assert CorruptConfig(rate=0).rate == 0


@pytest.mark.parametrize(
    ("options", "matrix", "features", "told"),
    [
        ({}, True, False, "--transition: goes with --noise transition alone"),
        ({"noise": "instance"}, True, True, "--transition: goes with --noise transition alone"),
        ({"noise": "pair"}, False, True, "--features: goes with --noise instance alone"),
        ({"noise": "transition"}, False, False, "--noise transition needs --transition FILE.csv"),
        (
            {"noise": "transition", "rate": 0.4},
            True,
            False,
            "--rate: not with --transition, whose matrix says what becomes of each class",
        ),
        (
            {"noise": "transition", "rate": 0, "map": ["red=blue"], "exclude": ["red"]},
            True,
            False,
            "--rate, --map, --exclude: not with --transition, whose matrix says what becomes of each class",
        ),
        ({"noise": "pair", "map": ["red=blue"]}, False, False, "--map: goes with --noise asymmetric alone"),
        (
            {"noise": "pair", "exclude": ["red", "blue"]},
            False,
            False,
            "--exclude: leaves fewer than two classes that labels could move between",
        ),
        (
            {"noise": "instance", "exclude": ["gren"]},
            False,
            True,
            "--exclude: no class 'gren'; did you mean 'green'?",
        ),
    ],
)
def test_options_that_do_not_go_with_the_noise_are_refused(
    options: dict[str, Any], matrix: bool, features: bool, told: str
) -> None:
    given_matrix = MATRIX if matrix else None
    given_features = Features(np.zeros((600, 1)), np.arange(600)) if features else None
    with pytest.raises(UsageError) as caught:
        run(CorruptConfig.model_validate(options), LABELS, EVERYTHING, CLASSES, given_matrix, given_features)
    assert str(caught.value) == told
