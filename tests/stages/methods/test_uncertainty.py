"""Uncertainty equals what scipy or a plain loop says of each row."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
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


@st.composite
def pairs_of_posteriors(draw: st.DrawFn) -> tuple[Floats, Floats]:
    """What two networks say of the same samples, zeros included; now and then nearly the same."""
    first = draw(posteriors())
    generator = np.random.default_rng(draw(st.integers(0, 1000)))
    if draw(st.booleans()):
        second = first + generator.random(first.shape) * 1e-10
    else:
        second = generator.dirichlet(np.full(first.shape[1], 0.5), len(first)) * (generator.random(first.shape) < 0.7)
        second[:, 0] += 0.1
    return first, np.asarray(second / second.sum(axis=1, keepdims=True))


@given(pairs_of_posteriors())
@settings(max_examples=40, deadline=None)
def test_disagreement_equals_scipys_jensen_shannon_divergence(pair: tuple[Floats, Floats]) -> None:
    with np.errstate(invalid="ignore"):  # of rounding: the root of a little less than nothing
        expected = [float(jensenshannon(one, other)) ** 2 for one, other in zip(*pair, strict=True)]
    np.testing.assert_allclose(uncertainty.disagreement(*pair), np.nan_to_num(expected), atol=1e-9)


@given(pairs_of_posteriors())
@settings(max_examples=40, deadline=None)
def test_disagreement_is_mutual_and_neither_negative_nor_above_ln_2(pair: tuple[Floats, Floats]) -> None:
    first, second = pair
    found = uncertainty.disagreement(first, second)
    np.testing.assert_allclose(found, uncertainty.disagreement(second, first), atol=1e-12)
    assert (found >= 0).all()
    assert (found <= math.log(2) + 1e-12).all()
    assert uncertainty.disagreement(first, first).max() == pytest.approx(0, abs=1e-12)


def test_networks_that_are_sure_of_different_classes_disagree_most() -> None:
    found = uncertainty.disagreement(np.array([[1.0, 0, 0], [1.0, 0, 0]]), np.array([[0.0, 1, 0], [1.0, 0, 0]]))
    assert found.tolist() == [pytest.approx(math.log(2)), 0]


@given(st.integers(2, 6), st.integers(2, 6), st.integers(1, 8), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_bald_equals_the_mean_divergence_of_the_draws_from_their_mean(
    draws: int, classes: int, count: int, seed: int
) -> None:
    posterior = np.random.default_rng(seed).dirichlet(np.full(classes, 0.3), (draws, count))
    mean, doubt = posterior.mean(axis=0), scipy_entropy(posterior, axis=2).mean(axis=0)
    expected = [
        sum(float(scipy_entropy(posterior[draw, row], mean[row])) for draw in range(draws)) / draws
        for row in range(count)
    ]
    np.testing.assert_allclose(uncertainty.bald(mean, doubt), expected, atol=1e-9)


def test_bald_is_nothing_where_all_draws_agree_and_is_never_negative() -> None:
    mean = np.array([[0.5, 0.5], [0.9, 0.1]])
    assert uncertainty.bald(mean, uncertainty.entropy(mean)).tolist() == [0, 0]
    assert uncertainty.bald(mean, uncertainty.entropy(mean) + 1e-6).tolist() == [0, 0]
    assert uncertainty.bald(mean, np.zeros(2))[0] == pytest.approx(math.log(2))
