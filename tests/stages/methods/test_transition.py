"""The transition matrix: its derivatives are right, it finds what made the labels, and it knows how sure it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from stages.methods import transition, transition_model
from stages.methods.mislabelling import posterior_of_truth, symmetric_transition
from stages.methods.transition import STRUCTURES, calibrate, draws, fit, weights
from stages.methods.transition_model import UNKNOWN, Evidence, Structure

Floats = NDArray[np.float64]
SWAPS = np.array([[0.6, 0.4, 0, 0], [0.4, 0.6, 0, 0], [0, 0, 0.7, 0.3], [0, 0, 0.2, 0.8]])


def evidence(matrix: Floats, samples: int = 1500, sharp: float = 2.5, told: float = 0.0, seed: int = 0) -> Evidence:
    """Labels that noise of this matrix made, and the very logits that the true classes were drawn by."""
    generator = np.random.default_rng(seed)
    classes = len(matrix)
    logits = sharp * generator.normal(size=(samples, classes))
    true = _draw(softmax(logits, axis=1), generator)
    given = _draw(matrix[true], generator)
    known = np.where(generator.random(samples) < told, true, UNKNOWN)
    return Evidence(logits, given, known)


def _draw(chances: Floats, generator: np.random.Generator) -> NDArray[np.int64]:
    return np.asarray((chances.cumsum(axis=1) < generator.random((len(chances), 1))).sum(axis=1))


def best(found: Evidence) -> tuple[Floats, Structure]:
    fits = fit(found, STRUCTURES, [symmetric_transition(0.3, found.logits.shape[1])])
    most = fits[int(np.argmax(weights(fits)))]
    return transition.transition_of(most, found.logits.shape[1]), most.structure


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_gradient_and_curvature_are_those_of_the_posterior(structure: Structure, classes: int) -> None:
    made = evidence(symmetric_transition(0.3, classes), samples=60, told=0.2)
    given = made.given.copy()
    given[::7] = UNKNOWN
    model = transition_model.Model(Evidence(made.logits, given, made.true), structure)
    at = 0.5 * np.random.default_rng(1).normal(size=model.layout.size)
    step = 1e-5
    sides = [(at + step * unit, at - step * unit) for unit in np.eye(len(at))]
    slopes = [(model.negative(up)[0] - model.negative(down)[0]) / (2 * step) for up, down in sides]
    np.testing.assert_allclose(model.negative(at)[1], slopes, atol=1e-5, rtol=1e-6)
    curves = np.array([(model.negative(up)[1] - model.negative(down)[1]) / (2 * step) for up, down in sides])
    np.testing.assert_allclose(model.curvature(at), curves, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_an_even_rate_is_found_and_called_even(rate: float) -> None:
    matrix, structure = best(evidence(symmetric_transition(rate, 4)))
    assert structure == Structure(0.1, 0.0)
    assert structure.words == "one rate for all classes, wrong labels evenly to the others"
    np.testing.assert_allclose(np.diag(matrix), 1 - rate, atol=0.04)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)


def test_no_noise_is_called_none() -> None:
    assert np.diag(best(evidence(np.eye(4)))[0]).min() > 0.97


def test_labels_that_go_to_one_class_are_seen_to() -> None:
    matrix, structure = best(evidence(SWAPS, samples=4000))
    assert structure.scatter > 0
    assert structure.words.endswith("wrong labels as they fall")
    np.testing.assert_allclose(matrix, SWAPS, atol=0.08)


def test_rates_that_differ_by_class_are_told_apart() -> None:
    made = symmetric_transition(0.5, 4)
    made[0] = symmetric_transition(0.05, 4)[0]
    matrix, structure = best(evidence(made, samples=4000))
    assert structure.spread > 0.1
    assert structure.words.startswith("rates by class")
    np.testing.assert_allclose(np.diag(matrix), np.diag(made), atol=0.06)


def test_a_classifier_that_is_too_sure_or_too_shy_does_not_count_as_noise() -> None:
    made = evidence(symmetric_transition(0.3, 4), samples=4000)
    for scale in (0.5, 2.0):
        matrix, _ = best(Evidence(scale * made.logits + np.array([0.5, 0, 0, -0.5]), made.given, made.true))
        np.testing.assert_allclose(np.diag(matrix), 0.7, atol=0.04)


def test_what_an_expert_told_settles_what_the_labels_leave_open() -> None:
    made = evidence(SWAPS, samples=400, sharp=0.7, told=1.0)
    alone = best(Evidence(made.logits, made.given, np.full(400, UNKNOWN)))[0]
    told = best(made)[0]
    assert np.abs(told - SWAPS).max() < 0.15 < 2 * np.abs(told - SWAPS).max() < np.abs(alone - SWAPS).max()


def test_a_label_that_is_not_known_says_nothing_of_the_matrix() -> None:
    made = evidence(symmetric_transition(0.3, 3), samples=300, told=0.5)
    nothing = Evidence(made.logits, np.full(300, UNKNOWN), made.true)
    fits = fit(nothing, STRUCTURES[:1], [symmetric_transition(0.3, 3)])
    assert np.diag(transition.transition_of(fits[0], 3)) == pytest.approx(1 / (1 + np.exp(-1.0)), abs=1e-3)  # the prior


def test_weights_are_the_evidences_and_leave_out_what_hardly_counts() -> None:
    fits = fit(evidence(symmetric_transition(0.3, 4)), STRUCTURES, [symmetric_transition(0.3, 4)])
    found = weights(fits)
    assert found.sum() == pytest.approx(1)
    assert found[3:].sum() == 0  # scatter of even noise
    near = [replace(fits[0], log_evidence=log) for log in (-100.0, -101.0, -120.0)]
    np.testing.assert_allclose(weights(near), [np.e / (1 + np.e), 1 / (1 + np.e), 0])


def test_draws_scatter_around_the_matrix_less_with_more_samples() -> None:
    spreads = []
    for samples in (300, 3000):
        fits = fit(evidence(symmetric_transition(0.3, 3), samples), STRUCTURES, [symmetric_transition(0.3, 3)])
        drawn = draws(fits, 3, 200, np.random.default_rng(0))
        matrices = np.array([transition.transition_of(one, 3) for one in drawn])
        np.testing.assert_allclose(matrices.sum(axis=2), 1)
        low, high = np.quantile(matrices[:, 0, 0], [0.005, 0.995])
        assert low < 0.7 < high
        spreads.append(matrices[:, 0, 0].std())
    assert spreads[1] < 0.6 * spreads[0]


def test_calibrating_by_a_known_matrix_gives_the_posterior_that_the_truth_was_drawn_by() -> None:
    matrix = symmetric_transition(0.3, 4)
    made = evidence(matrix, samples=4000)
    found = calibrate(Evidence(3 * made.logits, made.given, made.true), matrix, 3 * made.logits)
    assert np.abs(found - softmax(made.logits, axis=1)).mean() < 0.02
    truth = posterior_of_truth(found, made.given, matrix)
    assert 1 - truth[np.arange(4000), made.given].mean() == pytest.approx(0.3, abs=0.03)


def test_too_many_classes_to_weigh_every_pair_are_taken_to_go_evenly() -> None:
    classes = transition.MOST_CLASSES + 1
    fits = fit(evidence(symmetric_transition(0.2, classes), sharp=4), STRUCTURES, [symmetric_transition(0.3, classes)])
    assert {found.structure.scatter for found in fits} == {0.0}
    matrix = transition.transition_of(fits[0], classes)
    assert np.diag(matrix).mean() == pytest.approx(0.8, abs=0.04)
    assert len(fit(evidence(symmetric_transition(0.2, 2)), STRUCTURES, [symmetric_transition(0.3, 2)])) == 3


def test_a_curvature_that_is_no_valley_still_gives_a_factor() -> None:
    curvature = np.diag([4.0, 1.0, -0.5])
    factor = transition._factor(curvature)
    np.testing.assert_allclose((factor @ factor.T)[:2, :2], curvature[:2, :2], atol=1e-9)
    assert (factor @ factor.T)[2, 2] > 0
