"""Where the noise goes, and how likely a label is wrong, equal plain loops and the noise that was put in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stages.methods.mislabelling import (
    confident_counts,
    confident_joint,
    expected_correction,
    posterior_of_truth,
    probability_wrong,
    symmetric_transition,
    transition_of_joint,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def drawn(count: int, classes: int, seed: int, used: int | None = None) -> tuple[Floats, Ints]:
    """Posteriors and given labels; of the first `used` classes only, where that is said."""
    generator = np.random.default_rng(seed)
    return generator.dirichlet(np.full(classes, 0.4), count), generator.integers(0, used or classes, count)


def drawn_transition(classes: int, seed: int) -> Floats:
    return np.asarray(np.random.default_rng(seed).dirichlet(np.ones(classes), classes))


SIZES = (st.integers(1, 60), st.integers(2, 6), st.integers(0, 1000))


@given(*SIZES)
@settings(max_examples=30, deadline=None)
def test_confident_counts_equal_a_loop_over_the_samples(count: int, classes: int, seed: int) -> None:
    posterior, label = drawn(count, classes, seed)
    threshold = []
    for index in range(classes):
        own = [posterior[row, index] for row in range(count) if label[row] == index]
        threshold.append(sum(own) / len(own) if own else float("inf"))
    expected = np.zeros((classes, classes))
    for row in range(count):
        # the mean of a class with one sample is that sample's own posterior, exactly
        reached = [index for index in range(classes) if posterior[row, index] >= threshold[index]]
        if reached:
            expected[label[row], max(reached, key=lambda index: posterior[row, index])] += 1
    assert np.array_equal(confident_counts(posterior, label), expected)


def test_a_sample_that_reaches_no_threshold_counts_for_no_class() -> None:
    posterior = np.array([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]])
    assert confident_counts(posterior, np.array([0, 1, 0])).tolist() == [[1, 0], [0, 1]]


def test_a_sample_counts_for_the_likeliest_class_that_is_reached_not_the_likeliest_of_all() -> None:
    posterior = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [0.55, 0.35, 0.1], [0.0, 0.1, 0.9]])
    counts = confident_counts(posterior, np.array([0, 1, 2, 0]))  # thresholds 0.45, 0.3, 0.1
    assert counts.tolist() == [[1, 0, 1], [0, 0, 1], [1, 0, 0]]


@given(*SIZES)
@settings(max_examples=30, deadline=None)
def test_the_joint_sums_to_one_and_its_rows_to_the_given_shares(count: int, classes: int, seed: int) -> None:
    posterior, label = drawn(count, classes, seed)
    joint = confident_joint(posterior, label)
    assert joint.sum() == pytest.approx(1)
    np.testing.assert_allclose(joint.sum(axis=1), np.bincount(label, minlength=classes) / count, atol=1e-12)
    assert (joint >= 0).all()


@given(*SIZES)
@settings(max_examples=30, deadline=None)
def test_rows_of_a_transition_sum_to_one(count: int, classes: int, seed: int) -> None:
    posterior, label = drawn(count, classes, seed)
    for transition in (
        transition_of_joint(confident_joint(posterior, label)),
        symmetric_transition(0.3, classes),
    ):
        assert transition.shape == (classes, classes)
        np.testing.assert_allclose(transition.sum(axis=1), 1, atol=1e-12)
        assert (transition >= 0).all()


def test_a_transition_goes_from_the_true_class_to_the_given() -> None:
    joint = np.array([[0.3, 0.1], [0.2, 0.4]])  # given by true
    assert transition_of_joint(joint) == pytest.approx(np.array([[0.6, 0.4], [0.2, 0.8]]))


def test_symmetric_noise_takes_all_other_classes_alike() -> None:
    assert symmetric_transition(0.3, 4) == pytest.approx(np.full((4, 4), 0.1) + 0.6 * np.eye(4))


@given(*SIZES)
@settings(max_examples=30, deadline=None)
def test_the_posterior_of_the_truth_equals_bayes_rule_in_a_loop(count: int, classes: int, seed: int) -> None:
    posterior, label = drawn(count, classes, seed)
    transition = drawn_transition(classes, seed)
    found = posterior_of_truth(posterior, label, transition)
    for row in range(count):
        chance = [posterior[row, true] * transition[true, label[row]] for true in range(classes)]
        assert found[row] == pytest.approx([value / sum(chance) for value in chance])
        assert probability_wrong(found, label)[row] == pytest.approx(
            sum(chance[true] for true in range(classes) if true != label[row]) / sum(chance)
        )
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)


def noisy(transition: Floats, per_class: int, seed: int, sureness: float) -> tuple[Floats, Ints, Ints]:
    """Exact clean posteriors, the truth drawn from them, and given labels drawn from the transition."""
    generator, classes = np.random.default_rng(seed), len(transition)
    logits = generator.normal(size=(per_class * classes, classes)) + sureness * np.eye(classes).repeat(
        per_class, axis=0
    )
    posterior = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (posterior.cumsum(axis=1) < generator.random((len(logits), 1))).sum(axis=1)
    given_label = (transition[truth].cumsum(axis=1) < generator.random((len(logits), 1))).sum(axis=1)
    return posterior, truth, given_label


LOPSIDED = np.array([[0.7, 0.3, 0.0, 0.0], [0.0, 0.9, 0.1, 0.0], [0.1, 0.1, 0.6, 0.2], [0.0, 0.0, 0.25, 0.75]])


@pytest.mark.parametrize("transition", [LOPSIDED, symmetric_transition(0.4, 4)], ids=["lopsided", "symmetric"])
def test_of_classes_far_apart_the_joint_is_that_of_the_noise_put_in(transition: Floats) -> None:
    posterior, truth, label = noisy(transition, 1500, 0, 9.0)
    true_joint = np.zeros((4, 4))
    np.add.at(true_joint, (label, truth), 1 / len(label))
    found = confident_joint(posterior, label)
    np.testing.assert_allclose(found, true_joint, atol=0.01)
    np.testing.assert_allclose(transition_of_joint(found), transition, atol=0.04)


def test_the_chance_of_being_wrong_is_how_often_labels_are_wrong() -> None:
    posterior, truth, label = noisy(LOPSIDED, 5000, 1, 2.0)
    chance = probability_wrong(posterior_of_truth(posterior, label, LOPSIDED), label)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        here = (chance >= low) & (chance <= low + 0.2)
        assert (truth != label)[here].mean() == pytest.approx(chance[here].mean(), abs=0.04)


@given(*SIZES)
@settings(max_examples=30, deadline=None)
def test_where_all_errors_are_alike_mending_is_worth_the_chance_of_being_wrong(
    count: int, classes: int, seed: int
) -> None:
    truth, label = drawn(count, classes, seed)
    found = expected_correction(truth, label, 0.0)
    np.testing.assert_allclose(found.expected, probability_wrong(truth, label), atol=1e-9)
    np.testing.assert_allclose(found.probability_wrong, probability_wrong(truth, label), atol=1e-12)
    assert found.class_worth.tolist() == [1.0] * classes


@given(st.integers(2, 6), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_with_class_worth_one_each_class_is_worth_as_much_as_any_other_in_all(classes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.dirichlet(np.arange(1, classes + 1), 200)
    found = expected_correction(truth, generator.integers(0, classes, 200), 1.0)
    together = (truth * found.class_worth).sum(axis=0)
    np.testing.assert_allclose(together, together[0])
    np.testing.assert_allclose(found.class_size, truth.sum(axis=0))
    assert found.class_worth[truth.sum(axis=0).argmin()] == 1.0


@given(st.integers(2, 5), st.floats(0, 4), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_what_mending_is_worth_equals_a_loop_and_lies_from_nothing_to_one(
    classes: int, exponent: float, seed: int
) -> None:
    truth, label = drawn(30, classes, seed)
    found = expected_correction(truth, label, exponent)
    size = [max(1.0, sum(truth[row, index] for row in range(30))) for index in range(classes)]
    worth = [min(size) ** exponent / size[index] ** exponent for index in range(classes)]
    expected = [sum(truth[row, k] * worth[k] for k in range(classes) if k != label[row]) for row in range(30)]
    np.testing.assert_allclose(found.expected, expected, rtol=1e-7, atol=1e-12)
    assert found.expected.min() >= 0
    assert found.expected.max() <= 1 + 1e-12


def test_the_truth_is_left_as_it_was() -> None:
    truth, label = drawn(20, 3, 0)
    same = truth.copy()
    expected_correction(truth, label, 1.0)
    assert np.array_equal(truth, same)


@given(st.integers(1, 40), st.integers(2, 6), st.integers(0, 1000), st.data())
@settings(max_examples=40, deadline=None)
def test_classes_never_given_and_posteriors_of_nothing_give_finite_results(
    count: int, classes: int, seed: int, data: st.DataObject
) -> None:
    posterior, label = drawn(count, classes, seed, used=data.draw(st.integers(1, classes)))
    sure = np.random.default_rng(seed).random(count) < 0.5
    posterior[sure] = np.eye(classes)[posterior[sure].argmax(axis=1)]
    joint = confident_joint(posterior, label)
    transition = transition_of_joint(joint)
    truth = posterior_of_truth(posterior, label, transition)
    correction = expected_correction(truth, label, 2.0)
    for found in (joint, transition, truth, correction.expected, correction.class_worth):
        assert np.isfinite(found).all()
    np.testing.assert_allclose(joint.sum(axis=1), np.bincount(label, minlength=classes) / count, atol=1e-12)
    np.testing.assert_allclose(transition.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(truth.sum(axis=1), 1, atol=1e-12)


def test_samples_that_are_all_alike_reach_their_mean_whatever_the_rounding() -> None:
    posterior = np.array([[0.1, 0.9]] * 3)  # the mean of three times 0.1 is a little more than 0.1
    assert confident_counts(posterior, np.array([0, 0, 0])).tolist() == [[3, 0], [0, 0]]
    assert confident_joint(posterior, np.array([0, 0, 0])).tolist() == [[1, 0], [0, 0]]


def test_a_class_nobody_is_held_to_be_of_is_given_rightly() -> None:
    assert transition_of_joint(np.array([[0.6, 0.0], [0.4, 0.0]])).tolist() == [[0.6, 0.4], [0, 1]]


def test_where_image_and_label_exclude_each_other_the_label_stands() -> None:
    truth = posterior_of_truth(np.array([[1.0, 0.0]]), np.array([1]), np.eye(2))
    assert truth.tolist() == [[0, 1]]
    assert probability_wrong(truth, np.array([1])).tolist() == [0]
