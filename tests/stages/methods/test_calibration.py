"""The calibration error is that of a loop over bins, and of scikit-learn's calibration curve."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from stages.methods import calibration
from stages.methods.predictions import Predictions


def drawn(seed: int, count: int, classes: int, tenths: bool) -> Predictions:
    """Posteriors, some in tenths so that they lie on the bins' edges."""
    generator = np.random.default_rng(seed)
    posterior = generator.dirichlet(np.ones(classes), count)
    if tenths:
        posterior = generator.multinomial(10, np.ones(classes) / classes, count) / 10
    return Predictions(generator.integers(0, classes, count), posterior)


@given(st.integers(0, 10_000), st.integers(1, 200), st.integers(2, 9), st.integers(2, 30), st.booleans())
@settings(max_examples=50, deadline=None)
def test_the_error_is_that_of_a_loop_over_bins(seed: int, count: int, classes: int, bins: int, tenths: bool) -> None:
    of = drawn(seed, count, classes, tenths)
    assert of.posterior is not None
    sure, right = of.posterior.max(axis=1), of.predicted == of.label
    edges, total = np.linspace(0, 1, bins + 1), 0.0
    for lower, upper in pairwise(edges):
        mine = (sure > lower) & (sure <= upper)
        if mine.any():
            total += mine.mean() * abs(sure[mine].mean() - right[mine].mean())
    assert calibration.expected_error(of, bins) == pytest.approx(total, abs=1e-12)


@given(st.integers(0, 10_000), st.integers(1, 200), st.integers(2, 30))
@settings(max_examples=50, deadline=None)
def test_the_points_are_those_of_scikit_learns_curve(seed: int, count: int, bins: int) -> None:
    of = drawn(seed, count, 4, False)
    assert of.posterior is not None
    right = (of.predicted == of.label).astype(int)
    accuracy, confidence = calibration_curve(right, of.posterior.max(axis=1), n_bins=bins, pos_label=1)
    found = calibration.reliability(of, bins)
    full = found.count > 0
    np.testing.assert_allclose(found.accuracy[full], accuracy)
    np.testing.assert_allclose(found.confidence[full], confidence)


def test_bins_without_samples_are_undefined_and_add_nothing() -> None:
    of = Predictions(np.array([0, 1]), np.array([[0.9, 0.1], [0.9, 0.1]]))
    found = calibration.reliability(of, 10)
    assert found.count.tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 2, 0]  # a bin holds its upper edge
    assert math.isnan(found.accuracy[0]) and math.isnan(found.confidence[9])
    assert (found.accuracy[8], found.confidence[8]) == (0.5, 0.9)
    assert calibration.expected_error(of, 10) == pytest.approx(0.4)
    assert found.edges[[0, -1]].tolist() == [0, 1] and len(found.edges) == 11


def test_the_confidence_is_that_in_the_class_said() -> None:
    of = Predictions(np.array([0, 0]), np.array([[0.1, 0.9], [0.2, 0.8]]), np.array([0, 0]))
    assert calibration.expected_error(of, 10) == pytest.approx(1 - 0.15)
