"""A head that learns through the noise finds the boundary that the noise hid."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stages.methods.mislabelling import symmetric_transition
from stages.methods.noisy_head import Head, fit_head
from stages.methods.transition_model import UNKNOWN

Ints = NDArray[np.int64]


def lesson(samples: int = 3000, rates: tuple[float, float] = (0.45, 0.05)) -> tuple[NDArray[np.float64], Ints, Ints]:
    """Features, given labels and true classes of two classes, one of which is given wrongly far more often."""
    generator = np.random.default_rng(0)
    true = generator.integers(0, 2, samples)
    features = generator.normal(size=(samples, 2)) + 1.5 * np.stack([2 * true - 1, 0 * true], axis=1)
    wrong = generator.random(samples) < np.array(rates)[true]
    return features, np.where(wrong, 1 - true, true), true


def untold(samples: int) -> Ints:
    return np.full(samples, UNKNOWN)


def says(head: Head, features: NDArray[np.float64]) -> Ints:
    return np.asarray(head.logits(features).argmax(axis=1))


def test_through_the_right_matrix_it_learns_the_true_classes() -> None:
    features, given, true = lesson()
    matrix = np.array([[0.55, 0.45], [0.05, 0.95]])
    plain = fit_head(features, given, untold(3000), np.eye(2), 1e-3)
    through = fit_head(features, given, untold(3000), matrix, 1e-3)
    assert (says(through, features) == true).mean() > 0.92
    assert (says(plain, features) == true).mean() < 0.9


def test_what_an_expert_told_is_learnt_whatever_the_label_was() -> None:
    features, given, true = lesson()
    everything = fit_head(features, given, true, symmetric_transition(0.3, 2), 1e-3)
    nothing_given = fit_head(features, untold(3000), true, symmetric_transition(0.3, 2), 1e-3)
    np.testing.assert_allclose(everything.weights, nothing_given.weights, atol=1e-6)
    assert (says(everything, features) == true).mean() > 0.92


def test_a_larger_ridge_gives_smaller_weights() -> None:
    features, given, _ = lesson(300)
    sizes = [
        np.abs(fit_head(features, given, untold(300), symmetric_transition(0.2, 2), ridge).weights).max()
        for ridge in (1e-3, 1e-1, 10)
    ]
    assert sizes[0] > sizes[1] > sizes[2]
    assert sizes[2] < 0.1


def test_a_head_gives_logits_of_its_weights_and_biases() -> None:
    head = Head(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([0.5, -0.5]))
    assert head.logits(np.array([[1.0, 1.0]])).tolist() == [[1.5, pytest.approx(1.5)]]
