"""Metrics are scikit-learn's; what is undefined is None or nan, never 0."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from stages.methods import metrics

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def drawn(seed: int, count: int = 60, classes: int = 4) -> tuple[Ints, Floats]:
    """Labels and posteriors that tell a little about them."""
    generator = np.random.default_rng(seed)
    label = generator.integers(0, classes, count)
    logits = generator.normal(size=(count, classes)) + np.eye(classes)[label]
    posterior = np.exp(logits)
    return label, np.asarray(posterior / posterior.sum(axis=1, keepdims=True))


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_overall_metrics_equal_scikit_learns(seed: int) -> None:
    label, posterior = drawn(seed)
    predicted = posterior.argmax(axis=1)
    assume(len(set(label.tolist())) == 4)
    macro = {"average": "macro", "zero_division": 0}
    assert metrics.overall(label, posterior) == pytest.approx(
        {
            "accuracy": sk.accuracy_score(label, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(label, predicted),
            "macro_precision": sk.precision_score(label, predicted, **macro),
            "macro_recall": sk.recall_score(label, predicted, **macro),
            "macro_f1": sk.f1_score(label, predicted, **macro),
            "macro_auroc": sk.roc_auc_score(label, posterior, multi_class="ovr"),
            "mcc": sk.matthews_corrcoef(label, predicted),
            "log_loss": sk.log_loss(label, posterior, labels=range(4)),
        }
    )


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_metrics_by_class_equal_scikit_learns(seed: int) -> None:
    label, posterior = drawn(seed)
    predicted = posterior.argmax(axis=1)
    assume(len(set(label.tolist())) == len(set(predicted.tolist())) == 4)
    found = metrics.by_class(label, posterior)
    np.testing.assert_allclose(found.precision, sk.precision_score(label, predicted, average=None))
    np.testing.assert_allclose(found.recall, sk.recall_score(label, predicted, average=None))
    np.testing.assert_allclose(found.f1, sk.f1_score(label, predicted, average=None))
    np.testing.assert_allclose(found.auroc, sk.roc_auc_score(label, posterior, multi_class="ovr", average=None))
    for index in range(4):
        others = predicted[label != index]
        assert found.specificity[index] == pytest.approx((others != index).mean())
        assert found.support[index] == (label == index).sum()
        assert found.predicted[index] == (predicted == index).sum()


def test_rows_of_the_confusion_are_references() -> None:
    matrix = metrics.confusion(np.array([0, 0, 1]), np.array([1, 1, 0]), 3)
    assert matrix.tolist() == [[0, 2, 0], [1, 0, 0], [0, 0, 0]]


def test_a_class_without_samples_has_neither_recall_nor_auroc() -> None:
    found = metrics.by_class(np.array([0, 0, 1]), np.array([[0.6, 0.2, 0.2], [0.1, 0.2, 0.7], [0.3, 0.6, 0.1]]))
    assert math.isnan(found.recall[2])
    assert math.isnan(found.auroc[2])
    assert found.precision[2] == 0
    assert found.specificity[2] == pytest.approx(2 / 3)
    assert found.support.tolist() == [2, 1, 0]


def test_a_class_never_predicted_has_no_precision_but_recall_and_f1_of_nothing() -> None:
    found = metrics.by_class(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]))
    assert math.isnan(found.precision[1])
    assert found.recall[1] == found.f1[1] == 0
    assert found.auroc[1] == 1


def test_a_class_neither_there_nor_predicted_has_no_figure_but_specificity() -> None:
    found = metrics.by_class(np.array([0, 1]), np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]))
    assert all(math.isnan(getattr(found, name)[2]) for name in ("precision", "recall", "f1", "auroc"))
    assert found.specificity[2] == 1


def test_means_over_classes_are_over_those_there_and_count_the_never_predicted_as_0() -> None:
    label = np.array([0, 0, 1, 1])
    posterior = np.array([[0.9, 0.05, 0.05], [0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.6, 0.3, 0.1]])
    found = metrics.overall(label, posterior)
    assert found["macro_precision"] == pytest.approx((0.5 + 0) / 2)
    assert found["macro_recall"] == found["balanced_accuracy"] == pytest.approx(0.5)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)


def test_with_one_class_alone_correlation_and_auroc_are_undefined() -> None:
    found = metrics.overall(np.zeros(3, dtype=np.int64), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]))
    assert found["mcc"] is None
    assert found["macro_auroc"] is None
    assert found["accuracy"] == pytest.approx(2 / 3)


def test_a_label_held_impossible_costs_much_but_not_everything() -> None:
    found = metrics.overall(np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert found["log_loss"] == pytest.approx(-math.log(1e-12) / 2)


def test_undefined_is_none_outside() -> None:
    assert metrics.none_if_nan(math.nan) is None
    assert metrics.none_if_nan(0.0) == 0.0
