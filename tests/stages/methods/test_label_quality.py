"""Each measure of a label's quality equals a plain loop over the rows, and tells a wrong label from a right one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import entropy as scipy_entropy

from stages.methods import label_quality

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Row = list[float]


def by_self_confidence(row: Row, label: int) -> float:
    return row[label]


def by_normalised_margin(row: Row, label: int) -> float:
    return (row[label] - max(value for place, value in enumerate(row) if place != label) + 1) / 2


def by_cross_entropy_less_entropy(row: Row, label: int) -> float:
    return -math.log(max(row[label], 1e-12)) - float(scipy_entropy(row))


def by_confidence_weighted_entropy(row: Row, label: int) -> float:
    return float(scipy_entropy(row)) / math.log(len(row)) / max(row[label], 1e-12)


MEASURES: dict[str, tuple[Callable[[Floats, Ints], Floats], Callable[[Row, int], float], int]] = {
    "self-confidence": (label_quality.self_confidence, by_self_confidence, -1),
    "normalised-margin": (label_quality.normalised_margin, by_normalised_margin, -1),
    "cross-entropy-less-entropy": (label_quality.cross_entropy_less_entropy, by_cross_entropy_less_entropy, 1),
    "confidence-weighted-entropy": (label_quality.confidence_weighted_entropy, by_confidence_weighted_entropy, 1),
}


@st.composite
def posteriors_and_labels(draw: st.DrawFn) -> tuple[Floats, Ints]:
    """(N, K) rows that sum to one, with zeros among them, and a label for each."""
    classes = draw(st.integers(2, 6))
    row = st.lists(st.integers(0, 20), min_size=classes, max_size=classes).filter(any)
    counts = np.array(draw(st.lists(row, min_size=1, max_size=12)), dtype=np.float64)
    label = draw(st.lists(st.integers(0, classes - 1), min_size=len(counts), max_size=len(counts)))
    return np.asarray(counts / counts.sum(axis=1, keepdims=True)), np.array(label)


@pytest.mark.parametrize("name", MEASURES)
@given(posteriors_and_labels())
@settings(max_examples=25, deadline=None)
def test_each_measure_equals_a_loop_and_is_finite(name: str, known: tuple[Floats, Ints]) -> None:
    measure, by_row, _ = MEASURES[name]
    found = measure(*known)
    expected = [by_row(row, label) for row, label in zip(known[0].tolist(), known[1].tolist(), strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", MEASURES)
@given(posteriors_and_labels())
@settings(max_examples=10, deadline=None)
def test_what_is_measured_is_left_as_it_was(name: str, known: tuple[Floats, Ints]) -> None:
    posterior, label = known[0].copy(), known[1].copy()
    MEASURES[name][0](*known)
    assert np.array_equal(known[0], posterior)
    assert np.array_equal(known[1], label)


@pytest.mark.parametrize("name", MEASURES)
def test_a_label_the_network_contradicts_is_more_suspicious_than_one_it_bears_out(name: str) -> None:
    measure, _, sign = MEASURES[name]
    right, wrong = sign * measure(np.array([[0.8, 0.15, 0.05], [0.8, 0.15, 0.05]]), np.array([0, 2]))
    assert wrong > right


def test_of_wrong_labels_the_unambiguous_image_comes_first_by_cross_entropy_less_entropy() -> None:
    sure, unsure = label_quality.cross_entropy_less_entropy(
        np.array([[0.1, 0.9, 0.0], [0.1, 0.5, 0.4]]), np.array([0, 0])
    )
    assert sure > unsure


def test_the_normalised_margin_spans_nothing_to_one() -> None:
    found = label_quality.normalised_margin(np.array([[1.0, 0, 0], [1.0, 0, 0], [0.5, 0.5, 0]]), np.array([0, 1, 0]))
    assert found.tolist() == [1, 0, 0.5]
