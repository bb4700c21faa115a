"""Noise flips labels to other open classes, evenly and at its rate; what it did is counted rightly."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.methods.label_noise import (
    asymmetric,
    asymmetric_matrix,
    by_matrix,
    realised,
    ring,
    symmetric,
    symmetric_matrix,
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels of up to six classes, and which of the classes are open."""
    classes = draw(st.integers(2, 6))
    label = draw(st.lists(st.integers(0, classes - 1), max_size=40))
    open_classes = draw(st.sets(st.integers(0, classes - 1), min_size=2))
    return np.array(label, dtype=np.int64), np.array(sorted(open_classes), dtype=np.int64), classes


@given(cases(), st.floats(0, 1), st.integers(0, 100))
@settings(max_examples=80, deadline=None)
def test_labels_move_among_the_open_classes_and_the_others_are_not_touched(
    case: tuple[np.ndarray, np.ndarray, int], rate: float, seed: int
) -> None:
    label, open_classes, _ = case
    before = label.copy()
    noisy = symmetric(label, rate, open_classes, np.random.default_rng(seed))
    is_open = np.isin(label, open_classes)
    assert noisy.shape == label.shape
    assert np.array_equal(noisy[~is_open], label[~is_open])
    assert np.isin(noisy[is_open], open_classes).all()
    assert np.array_equal(label, before)


@given(cases(), st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_at_rate_one_every_open_label_becomes_another_and_at_rate_zero_none(
    case: tuple[np.ndarray, np.ndarray, int], seed: int
) -> None:
    label, open_classes, _ = case
    is_open = np.isin(label, open_classes)
    assert (symmetric(label, 1.0, open_classes, np.random.default_rng(seed)) != label)[is_open].all()
    assert np.array_equal(symmetric(label, 0.0, open_classes, np.random.default_rng(seed)), label)


def test_the_values_are_labels_and_not_row_indices() -> None:
    label = np.random.default_rng(0).integers(0, 5, 10_000)
    noisy = symmetric(label, 0.5, np.arange(5), np.random.default_rng(1))
    assert set(noisy.tolist()) == set(range(5))


def test_the_rate_is_near_the_nominal_one_in_every_class() -> None:
    label = np.repeat([0, 1, 2, 3], 20_000)
    flipped = symmetric(label, 0.3, np.arange(4), np.random.default_rng(2)) != label
    four_deviations = 4 * np.sqrt(0.3 * 0.7 / 20_000)
    assert np.abs(flipped.reshape(4, -1).mean(axis=1) - 0.3).max() < four_deviations


def test_flips_are_even_over_the_other_open_classes() -> None:
    label = np.repeat([0, 1, 2, 3, 4], 20_000)
    open_classes = np.array([0, 1, 3, 4])
    transition, _ = realised(label, symmetric(label, 0.6, open_classes, np.random.default_rng(3)), 5)
    expected = np.full((5, 5), 0.2)
    expected[2, :] = expected[:, 2] = 0
    np.fill_diagonal(expected, [0.4, 0.4, 1, 0.4, 0.4])
    assert np.abs(transition - expected).max() < 4 * np.sqrt(0.24 / 20_000)


def test_the_same_seed_gives_the_same_flips_and_another_seed_others() -> None:
    label = np.arange(500) % 5
    first, again, other = (symmetric(label, 0.5, np.arange(5), np.random.default_rng(s)) for s in (4, 4, 5))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_the_realised_matrix_equals_a_naive_count(pairs: list[tuple[int, int]]) -> None:
    true_label, given_label = np.array(pairs).T
    transition, rates = realised(true_label, given_label, 4)
    for row in range(4):
        size = sum(true == row for true, _ in pairs)
        for column in range(4):
            count = pairs.count((row, column))
            expected = count / size if size else np.nan
            np.testing.assert_equal(transition[row, column], expected)
        wrong = sum(true == row and noisy != row for true, noisy in pairs)
        np.testing.assert_allclose(rates[row], wrong / size if size else np.nan, atol=1e-12)


@given(st.sets(st.integers(0, 9), min_size=2))
@settings(max_examples=40, deadline=None)
def test_the_ring_leads_through_every_open_class_and_back(open_set: set[int]) -> None:
    order = sorted(open_set)
    found = ring(np.array(order, dtype=np.int64))
    assert {one: others.tolist() for one, others in found.items()} == {
        one: [order[(place + 1) % len(order)]] for place, one in enumerate(order)
    }


def near(label: np.ndarray, noisy: np.ndarray, nominal: np.ndarray) -> None:
    """Hold a realised matrix to five binomial deviations of the nominal one, and three samples for what is rare."""
    transition, _ = realised(label, noisy, len(nominal))
    sizes = np.bincount(label, minlength=len(nominal))[:, None]
    deviation = np.sqrt(nominal * (1 - nominal) / sizes)
    by_chance = (nominal > 0) & (nominal < 1)
    assert (np.abs(transition - nominal) <= 5 * deviation + np.where(by_chance, 3 / sizes, 1e-12)).all()


@given(st.integers(2, 6), st.integers(0, 100), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_labels_drawn_by_a_matrix_tend_to_it_and_go_nowhere_else(classes: int, drawn: int, seed: int) -> None:
    generator = np.random.default_rng(drawn)
    nominal = generator.random((classes, classes)) * (generator.random((classes, classes)) < 0.6) + np.eye(classes)
    nominal /= nominal.sum(axis=1, keepdims=True)
    label = generator.permutation(np.repeat(np.arange(classes), 3000))
    before = label.copy()
    near(label, by_matrix(label, nominal, np.random.default_rng(seed)), nominal)
    assert np.array_equal(label, before)


def test_a_class_that_is_always_taken_for_another_one_always_is() -> None:
    label = np.repeat([0, 1, 2], 5000)
    swapped = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])
    noisy = by_matrix(label, swapped, np.random.default_rng(0))
    assert np.array_equal(noisy, np.repeat([1, 0, 2], 5000))
    assert np.array_equal(by_matrix(label, np.eye(3), np.random.default_rng(0)), label)


def test_a_row_whose_shares_round_below_one_gives_no_class_that_is_not_there() -> None:
    class Highest(np.random.Generator):
        def random(self, size: int) -> np.ndarray:  # type: ignore[override]
            return np.full(size, np.nextafter(1.0, 0.0))

    tenths = np.tile(np.append(np.full(10, 0.1), 0.0), (11, 1))  # their sum is 0.9999999999999999
    noisy = by_matrix(np.arange(11), tenths, Highest(np.random.PCG64(0)))
    assert noisy.tolist() == [9] * 11


@given(st.sets(st.integers(0, 5), min_size=2), st.floats(0, 1), st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_symmetric_noise_tends_to_its_matrix(open_set: set[int], rate: float, seed: int) -> None:
    open_classes = np.array(sorted(open_set))
    label = np.repeat(np.arange(6), 3000)
    nominal = symmetric_matrix(6, rate, open_classes)
    np.testing.assert_allclose(nominal.sum(axis=1), 1)
    near(label, symmetric(label, rate, open_classes, np.random.default_rng(seed)), nominal)


@given(
    st.dictionaries(st.integers(0, 4), st.lists(st.integers(0, 4), min_size=1, max_size=4), max_size=5),
    st.floats(0, 1),
    st.integers(0, 50),
)
@settings(max_examples=20, deadline=None)
def test_asymmetric_noise_tends_to_its_matrix(drawn: dict[int, list[int]], rate: float, seed: int) -> None:
    others = {one: [other for other in given if other != one] for one, given in drawn.items()}
    candidates = {one: np.array(given) for one, given in others.items() if given}
    label = np.repeat(np.arange(5), 3000)
    nominal = asymmetric_matrix(5, rate, candidates)
    np.testing.assert_allclose(nominal.sum(axis=1), 1)
    near(label, asymmetric(label, rate, candidates, np.random.default_rng(seed)), nominal)
