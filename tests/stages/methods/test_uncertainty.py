"""Uncertainty equals what scipy or a plain loop says of each row."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import entropy as scipy_entropy

from stages.methods import uncertainty

Floats = NDArray[np.float64]


@st.composite
def posteriors(draw: st.DrawFn) -> Floats:
    """(N, K) rows that sum to one, with zeros among them."""
    classes = draw(st.integers(2, 6))
    row = st.lists(st.integers(0, 20), min_size=classes, max_size=classes).filter(any)
    counts = np.array(draw(st.lists(row, min_size=1, max_size=12)), dtype=np.float64)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


@given(posteriors())
@settings(max_examples=25, deadline=None)
def test_entropy_equals_scipys(posterior: Floats) -> None:
    np.testing.assert_allclose(uncertainty.entropy(posterior), scipy_entropy(posterior, axis=1), atol=1e-12)


@given(posteriors())
@settings(max_examples=25, deadline=None)
def test_least_confidence_and_margin_equal_a_sorted_row(posterior: Floats) -> None:
    ranked = [sorted(row, reverse=True) for row in posterior.tolist()]
    np.testing.assert_allclose(uncertainty.least_confidence(posterior), [1 - row[0] for row in ranked], atol=1e-12)
    np.testing.assert_allclose(uncertainty.margin(posterior), [row[0] - row[1] for row in ranked], atol=1e-12)


@given(posteriors(), st.data())
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_classes_does_not_matter(posterior: Floats, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(posterior.shape[1])))
    for measure in (uncertainty.entropy, uncertainty.least_confidence, uncertainty.margin):
        np.testing.assert_allclose(measure(posterior[:, order]), measure(posterior), atol=1e-12)


@given(posteriors(), st.data())
@settings(max_examples=25, deadline=None)
def test_the_loss_of_a_given_label_is_its_own_log_posterior_and_never_infinite(
    posterior: Floats, data: st.DataObject
) -> None:
    places = st.lists(st.integers(0, posterior.shape[1] - 1), min_size=len(posterior), max_size=len(posterior))
    label = data.draw(places)
    expected = [-math.log(max(row[index], 1e-12)) for row, index in zip(posterior.tolist(), label, strict=True)]
    np.testing.assert_allclose(uncertainty.given_loss(posterior, np.array(label)), expected, atol=1e-12)


def test_certainty_and_doubt_have_their_extremes() -> None:
    extremes = np.array([[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    assert uncertainty.entropy(extremes).tolist() == [0, pytest.approx(math.log(4))]
    assert uncertainty.least_confidence(extremes).tolist() == [0, 0.75]
    assert uncertainty.margin(extremes).tolist() == [1, 0]
