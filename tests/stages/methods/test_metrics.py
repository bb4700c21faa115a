"""Metrics are scikit-learn's, or those counted by hand; what is undefined is None or nan, never 0, never a crash."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from numpy.typing import NDArray
from sklearn import metrics as sk

from stages.methods import metrics
from stages.methods.metrics import BY_CLASS, Yardstick
from stages.methods.predictions import Predictions
from stages.methods.undefined import none_if_nan

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
KINDS = ("smooth", "tied", "one-hot", "one class said")


def posteriors(kind: str, count: int, classes: int, generator: np.random.Generator) -> Floats:
    """Posteriors without ties, in tenths, certain of one class each, or all of one class."""
    if kind == "smooth":
        return generator.dirichlet(np.ones(classes), count)
    if kind == "tied":
        return generator.multinomial(10, np.ones(classes) / classes, count) / 10
    if kind == "one-hot":
        return np.eye(classes)[generator.integers(0, classes, count)]
    return np.tile(np.eye(classes)[generator.integers(0, classes)] * 0.6 + 0.4 / classes, (count, 1))


@st.composite
def judged(draw: DrawFn, most: int = 9, kinds: tuple[str, ...] = KINDS) -> Predictions:
    """References of some of the classes, one sample and one class at the least, and posteriors for all of them."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    count, classes = draw(st.integers(1, 200)), draw(st.integers(2, most))
    present = generator.permutation(classes)[: draw(st.integers(1, classes))]
    posterior = posteriors(draw(st.sampled_from(kinds)), count, classes, generator)
    return Predictions(generator.choice(present, count).astype(np.int64), posterior)


def said_only(of: Predictions) -> Predictions:
    """The same classes said, and no posterior."""
    return Predictions(of.label, None, of.predicted, of.count)


def equal(found: float | None, expected: float | None) -> bool:
    return found is expected is None or (expected is not None and found == pytest.approx(expected, abs=1e-12))


@given(judged())
@settings(max_examples=60, deadline=None)
def test_metrics_by_class_equal_scikit_learns_where_defined_and_are_nan_where_not(of: Predictions) -> None:
    found = metrics.by_class(of)
    assert of.posterior is not None
    for index in range(of.count):
        positive, claimed = of.label == index, of.predicted == index
        assert (found.support[index], found.predicted[index]) == (positive.sum(), claimed.sum())
        expected = dict.fromkeys((*BY_CLASS, "mcc", "log_loss"), math.nan)
        if claimed.any():
            expected["precision"] = sk.precision_score(positive, claimed, zero_division=0)
        if positive.any():
            expected["recall"] = sk.recall_score(positive, claimed)
            expected["f1"] = sk.f1_score(positive, claimed)
            expected["average_precision"] = sk.average_precision_score(positive, of.posterior[:, index])
            own = np.clip(of.posterior[positive, index], np.finfo(float).eps, 1)
            expected["log_loss"] = float(-np.log(own).mean())
        if not positive.all():
            expected["specificity"] = float((~claimed & ~positive).sum() / (~positive).sum())
        if positive.any() and not positive.all():
            expected["auroc"] = sk.roc_auc_score(positive, of.posterior[:, index])
            expected["mcc"] = sk.matthews_corrcoef(positive, claimed)
        for name, value in expected.items():
            assert getattr(found, name)[index] == pytest.approx(value, abs=1e-12, nan_ok=True), name


@given(judged(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_overall_metrics_of_the_classes_said_equal_scikit_learns(of: Predictions, with_posterior: bool) -> None:
    found = metrics.overall(of if with_posterior else said_only(of), Yardstick(ordered=True))
    label, predicted, there = of.label, of.predicted, np.unique(of.label)
    assert equal(found["accuracy"], sk.accuracy_score(label, predicted))
    macro = {"labels": there, "average": "macro", "zero_division": 0}
    assert equal(found["balanced_accuracy"], sk.recall_score(label, predicted, **macro))
    assert equal(found["macro_recall"], sk.recall_score(label, predicted, **macro))
    assert equal(found["macro_precision"], sk.precision_score(label, predicted, **macro))
    assert equal(found["macro_f1"], sk.f1_score(label, predicted, **macro))
    several = len(there) > 1
    assert equal(found["mcc"], sk.matthews_corrcoef(label, predicted) if several else None)
    either = len(np.union1d(label, predicted)) > 1
    for name, weights in (("kappa", None), ("quadratic_kappa", "quadratic")):
        expected = None
        if either:
            expected = sk.cohen_kappa_score(label, predicted, labels=range(of.count), weights=weights)
        assert equal(found[name], expected), name
    if set(there) == set(np.union1d(label, predicted)) and several:
        assert equal(found["balanced_accuracy"], sk.balanced_accuracy_score(label, predicted))
    rates = [float((predicted[label != index] != index).mean()) for index in there if several]
    assert equal(found["macro_specificity"], float(np.mean(rates)) if several else None)


@given(judged())
@settings(max_examples=50, deadline=None)
def test_overall_metrics_of_the_posterior_equal_scikit_learns(of: Predictions) -> None:
    found = metrics.overall(of)
    label, posterior = of.label, of.posterior
    assert posterior is not None
    assert found["log_loss"] == pytest.approx(sk.log_loss(label, posterior, labels=range(of.count)), abs=1e-12)
    squares = [((row - np.eye(of.count)[own]) ** 2).sum() for row, own in zip(posterior, label, strict=True)]
    assert found["brier_score"] == pytest.approx(np.mean(squares), abs=1e-12)
    there = np.unique(label)
    precisions = [sk.average_precision_score(label == index, posterior[:, index]) for index in there]
    assert found["macro_average_precision"] == pytest.approx(np.mean(precisions))
    if len(there) == 1:
        assert found["macro_auroc"] is None
        return
    areas = [sk.roc_auc_score(label == index, posterior[:, index]) for index in there]
    assert found["macro_auroc"] == pytest.approx(np.mean(areas))
    if len(there) == of.count > 2:
        assert found["macro_auroc"] == pytest.approx(sk.roc_auc_score(label, posterior, multi_class="ovr"))


@given(judged())
@settings(max_examples=60, deadline=None)
def test_top_k_equals_scikit_learns_ties_included(of: Predictions) -> None:
    assume(of.count > 2)  # of two classes scikit-learn asks for one score
    found = metrics.overall(of, Yardstick(top_k=(1, 2, 3, 4, 9)))
    told = {int(name.split("_")[1]): value for name, value in found.items() if name.startswith("top_")}
    assert set(told) == {k for k in (1, 2, 3, 4, 9) if k < of.count}
    for k, value in told.items():
        expected = sk.top_k_accuracy_score(of.label, of.posterior, k=k, labels=range(of.count))
        assert value == pytest.approx(expected), k


@given(judged(most=2))
@settings(max_examples=25, deadline=None)
def test_top_1_of_two_classes_is_whether_the_reference_is_the_likelier_or_the_later_of_equals(of: Predictions) -> None:
    assert of.posterior is not None
    pairs = [(row[own], row[1 - own], own) for row, own in zip(of.posterior, of.label, strict=True)]
    expected = np.mean([mine > other or (mine == other and own == 1) for mine, other, own in pairs])
    assert metrics.overall(of, Yardstick(top_k=(1, 2)))["top_1_accuracy"] == pytest.approx(expected)


@given(judged(), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_the_expected_cost_is_that_counted_sample_by_sample(of: Predictions, seed: int) -> None:
    costs = np.random.default_rng(seed).uniform(-1, 9, (of.count, of.count))
    assert of.posterior is not None
    paid, cheapest = 0.0, 0.0
    for own, said, row in zip(of.label, of.predicted, of.posterior, strict=True):
        paid += costs[own, said]
        expected = [sum(row[true] * costs[true, choice] for true in range(of.count)) for choice in range(of.count)]
        cheapest += costs[own, int(np.argmin(expected))]
    found = metrics.overall(of, Yardstick(costs=costs))
    assert found["expected_cost"] == pytest.approx(paid / len(of.label))
    assert found["expected_cost_of_cheapest"] == pytest.approx(cheapest / len(of.label))
    said = metrics.overall(said_only(of), Yardstick(costs=costs))
    assert said["expected_cost"] == found["expected_cost"]
    assert "expected_cost_of_cheapest" not in said


def test_costs_are_by_reference_in_the_row_and_class_said_in_the_column() -> None:
    costs = np.array([[0.0, 1.0], [10.0, 0.0]])
    of = Predictions(np.array([1, 0]), np.array([[0.8, 0.2], [0.8, 0.2]]))
    found = metrics.overall(of, Yardstick(costs=costs))
    assert found["expected_cost"] == 5  # both are said to be 0; missing a 1 costs 10
    assert found["expected_cost_of_cheapest"] == 0.5  # both are said to be 1: 0.8 * 1 is below 0.2 * 10


@given(judged(), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_means_of_groups_of_classes_are_over_their_classes_that_are_there(of: Predictions, seed: int) -> None:
    members = np.random.default_rng(seed).integers(0, 3, of.count)
    groups = {name: members == number for number, name in enumerate(("many", "medium", "few"))}
    by_class = metrics.by_class(of)
    found = metrics.overall(of, Yardstick(class_groups=groups))
    for name, mine in groups.items():
        there = [index for index in np.flatnonzero(mine) if (of.label == index).any()]
        for metric, column in (("balanced_accuracy", "recall"), ("macro_f1", "f1"), ("macro_auroc", "auroc")):
            values = [float(getattr(by_class, column)[index]) for index in there]
            known = [value for value in values if not math.isnan(value)]
            assert equal(found[f"{name}_{metric}"], float(np.mean(known)) if known else None), (name, metric)


@given(judged())
@settings(max_examples=20, deadline=None)
def test_without_a_posterior_whatever_needs_one_is_none_or_not_there(of: Predictions) -> None:
    found, full = metrics.overall(said_only(of), Yardstick(top_k=(1, 2))), metrics.overall(of, Yardstick(top_k=(1, 2)))
    assert found["macro_auroc"] is found["macro_average_precision"] is None
    without = {"log_loss", "brier_score", "expected_calibration_error"}
    assert set(full) - set(found) == without | {name for name in full if name.startswith("top_")}
    assert {name for name in found if found[name] != full[name]} <= {"macro_auroc", "macro_average_precision"}


@given(judged())
@settings(max_examples=20, deadline=None)
def test_no_metric_is_ever_nan_or_infinite(of: Predictions) -> None:
    found = metrics.overall(of, Yardstick(top_k=(1, 2, 3), ordered=True, costs=np.ones((of.count, of.count))))
    assert all(value is None or math.isfinite(value) for value in found.values())


@given(judged())
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_samples_is_of_no_account(of: Predictions) -> None:
    yardstick = Yardstick(top_k=(2,), ordered=True)
    turned = metrics.overall(of.at(np.arange(len(of.label))[::-1]), yardstick)
    for name, value in metrics.overall(of, yardstick).items():
        assert equal(turned[name], value), name


def test_rows_of_the_confusion_are_references() -> None:
    matrix = metrics.confusion(np.array([0, 0, 1]), np.array([1, 1, 0]), 3)
    assert matrix.tolist() == [[0, 2, 0], [1, 0, 0], [0, 0, 0]]


def test_a_class_without_samples_has_neither_recall_nor_auroc() -> None:
    posterior = np.array([[0.6, 0.2, 0.2], [0.1, 0.2, 0.7], [0.3, 0.6, 0.1]])
    found = metrics.by_class(Predictions(np.array([0, 0, 1]), posterior))
    assert all(math.isnan(getattr(found, name)[2]) for name in ("recall", "f1", "auroc", "average_precision"))
    assert found.precision[2] == 0
    assert found.specificity[2] == pytest.approx(2 / 3)
    assert found.support.tolist() == [2, 1, 0]
    assert found.predicted.tolist() == [1, 1, 1]


def test_a_class_never_predicted_has_no_precision_but_recall_and_f1_of_nothing() -> None:
    found = metrics.by_class(Predictions(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])))
    assert math.isnan(found.precision[1])
    assert found.recall[1] == found.f1[1] == 0
    assert found.auroc[1] == 1


def test_a_class_neither_there_nor_predicted_has_no_figure_but_specificity() -> None:
    found = metrics.by_class(Predictions(np.array([0, 1]), np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])))
    assert all(math.isnan(getattr(found, name)[2]) for name in BY_CLASS if name != "specificity")
    assert found.specificity[2] == 1


def test_means_over_classes_are_over_those_there_and_count_the_never_predicted_as_0() -> None:
    label = np.array([0, 0, 1, 1])
    posterior = np.array([[0.9, 0.05, 0.05], [0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.6, 0.3, 0.1]])
    found = metrics.overall(Predictions(label, posterior))
    assert found["macro_precision"] == pytest.approx((0.5 + 0) / 2)
    assert found["macro_recall"] == found["balanced_accuracy"] == pytest.approx(0.5)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)


def test_a_class_that_is_not_there_is_in_no_mean_even_where_it_is_said() -> None:
    found = metrics.overall(Predictions(np.array([0, 0, 1, 1]), None, np.array([0, 2, 1, 2]), 3))
    assert found["macro_precision"] == 1
    assert found["macro_specificity"] == 1
    assert found["balanced_accuracy"] == 0.5


def test_with_one_class_alone_correlation_and_auroc_are_undefined() -> None:
    posterior = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    found = metrics.overall(Predictions(np.zeros(3, dtype=np.int64), posterior))
    assert found["mcc"] is found["macro_auroc"] is found["macro_specificity"] is None
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["kappa"] == pytest.approx(0)


def test_kappa_is_undefined_where_references_and_classes_said_are_one_and_the_same() -> None:
    found = metrics.overall(
        Predictions(np.zeros(3, dtype=np.int64), np.tile([0.9, 0.1], (3, 1))), Yardstick(ordered=True)
    )
    assert found["kappa"] is found["quadratic_kappa"] is None
    assert found["accuracy"] == 1


def test_quadratic_kappa_is_told_of_grades_alone() -> None:
    of = Predictions(np.array([0, 1, 2]), np.eye(3)[[0, 2, 1]])
    assert "quadratic_kappa" not in metrics.overall(of)
    assert "quadratic_kappa" in metrics.overall(of, Yardstick(ordered=True))


def test_a_label_held_impossible_costs_much_but_not_everything() -> None:
    found = metrics.overall(Predictions(np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]])))
    assert found["log_loss"] == pytest.approx(-math.log(np.finfo(np.float64).eps) / 2)


def test_the_classes_said_count_where_they_are_not_those_of_the_largest_posterior() -> None:
    posterior = np.array([[0.9, 0.1], [0.2, 0.8]])
    of = Predictions(np.array([1, 1]), posterior, np.array([1, 1]))
    assert metrics.overall(of)["accuracy"] == 1
    assert of.at(np.array([0])).predicted.tolist() == [1]


def test_undefined_is_none_outside() -> None:
    assert none_if_nan(math.nan) is None
    assert none_if_nan(0.0) == 0.0
