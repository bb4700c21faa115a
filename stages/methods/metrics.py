"""Metrics, by scikit-learn; a metric that is undefined is None, never 0 (`numpy.nan` inside, None outside)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from stages.methods import calibration
from stages.methods.predictions import Floats, Ints, Predictions
from stages.methods.undefined import none_if_nan

BY_CLASS = ("precision", "recall", "specificity", "f1", "auroc", "average_precision")
OF_GROUPS = {"balanced_accuracy": "recall", "macro_f1": "f1", "macro_auroc": "auroc"}

_AT_ONCE = 2  # classes, so that the memory of the sorts stays bounded


@dataclass(frozen=True)
class Yardstick:
    """What else predictions are judged by.

    Attributes:
        top_k: for these k, whether the reference is among the k likeliest classes.
        ordered: whether the classes are grades of one scale.
        costs: (K, K) what it costs to say class column of a sample of class row; None where nobody said.
        class_groups: names of groups of classes, and which classes (K,) belong to each.
        calibration_bins: of confidence, of equal width.
    """

    top_k: tuple[int, ...] = ()
    ordered: bool = False
    costs: Floats | None = None
    class_groups: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    calibration_bins: int = 15


PLAIN = Yardstick()


@dataclass(frozen=True)
class ByClass:
    """Metrics of each class, (K,) each; nan where undefined."""

    support: Ints
    predicted: Ints
    precision: Floats
    recall: Floats
    specificity: Floats
    f1: Floats
    auroc: Floats
    average_precision: Floats
    mcc: Floats
    log_loss: Floats


def confusion(label: Ints, predicted: Ints, classes: int) -> Ints:
    """Return the confusion matrix (K, K): rows are references, columns predictions."""
    matrix: Ints = sk.confusion_matrix(label, predicted, labels=np.arange(classes)).astype(np.int64)
    return matrix


def by_class(given: Predictions, matrix: Ints | None = None) -> ByClass:
    """Return the metrics of each class.

    Precision is undefined where a class is never predicted, recall and average precision where it has no sample,
    specificity where there is no other, AUROC where either is so. Matthews' correlation is of the class and the rest.
    """
    classes = given.count
    if matrix is None:
        matrix = confusion(given.label, given.predicted, classes)
    rows, columns, weight = cells(matrix)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        rows, columns, labels=np.arange(classes), sample_weight=weight, zero_division=np.nan
    )
    support, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    negatives = matrix.sum() - support
    false_positives = predicted - np.diag(matrix)
    specificity = np.where(negatives > 0, 1 - false_positives / np.maximum(negatives, 1), np.nan)
    f1 = np.where((support > 0) & np.isnan(f1), 0.0, np.where(support > 0, f1, np.nan))
    areas, average_precision = ranking(given)
    one_to_rest = np.array([correlation(_against_the_rest(matrix, index)) for index in range(classes)])
    return ByClass(
        support,
        predicted,
        precision,
        recall,
        specificity,
        f1,
        areas,
        average_precision,
        np.where(support > 0, one_to_rest, np.nan),
        _log_loss(given),
    )


def _against_the_rest(matrix: Ints, index: int) -> Ints:
    """Return the confusion matrix (2, 2) of a class and all others together."""
    hits, support, said = matrix[index, index], matrix[index].sum(), matrix[:, index].sum()
    others = matrix.sum() - support - said + hits
    return np.array([[others, said - hits], [support - hits, hits]])


def _log_loss(given: Predictions) -> Floats:
    """Return the mean loss of the samples of each class, (K,), in nats; nan where there is none."""
    if given.posterior is None:
        return np.full(given.count, np.nan)
    count = np.bincount(given.label, minlength=given.count)
    total = np.bincount(given.label, weights=given.log_loss(), minlength=given.count)
    return np.asarray(np.divide(total, count, out=np.full(given.count, np.nan), where=count > 0))


def cells(matrix: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the cells of a confusion matrix that hold samples: reference, class said, and how many."""
    rows, columns = np.nonzero(matrix)
    return rows.astype(np.int64), columns.astype(np.int64), matrix[rows, columns]


def ranking(given: Predictions) -> tuple[Floats, Floats]:
    """Return the area under the ROC curve and the average precision of each class against the rest, (K,) each."""
    posterior = given.posterior
    if posterior is None:
        return np.full(given.count, np.nan), np.full(given.count, np.nan)
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # sorting lets other threads run
        found = list(pool.map(lambda index: _areas(given.label == index, posterior[:, index]), range(given.count)))
    return np.array([area for area, _ in found]), np.array([precision for _, precision in found])


def _areas(positive: NDArray[np.bool_], score: Floats) -> tuple[float, float]:
    """Return AUROC and average precision from one ROC curve, so that the scores are sorted once.

    At a recall of r and a false positive rate of f the precision is rP / (rP + fN).
    """
    hits = int(positive.sum())
    if hits in (0, len(positive)):
        return math.nan, (math.nan if hits == 0 else 1.0)
    fallout, recall, _ = sk.roc_curve(positive, score, drop_intermediate=False)
    claimed = recall[1:] * hits + fallout[1:] * (len(positive) - hits)
    return float(sk.auc(fallout, recall)), float((np.diff(recall) * recall[1:] * hits / claimed).sum())


def overall(given: Predictions, yardstick: Yardstick = PLAIN, found: ByClass | None = None) -> dict[str, float | None]:
    """Return the metrics over all samples; macro means are over the classes that the references have.

    A class that is never predicted has precision 0 in the macro mean, as is usual. Metrics of the posterior are None
    where there is none.
    """
    matrix = confusion(given.label, given.predicted, given.count)
    found = found or by_class(given, matrix)
    rows, columns, weight = cells(matrix)
    values = {
        "accuracy": float(sk.accuracy_score(rows, columns, sample_weight=weight)),
        "balanced_accuracy": mean(found.recall),
        "macro_precision": mean(np.nan_to_num(found.precision[found.support > 0])),
        "macro_recall": mean(found.recall),
        "macro_specificity": mean(found.specificity[found.support > 0]),
        "macro_f1": mean(found.f1),
        "macro_auroc": mean(found.auroc),
        "macro_average_precision": mean(found.average_precision),
        "mcc": correlation(matrix),
        "kappa": kappa(matrix),
    }
    if yardstick.ordered:
        values["quadratic_kappa"] = kappa(matrix, "quadratic")
    values |= {name: float(part.mean()) for name, part in parts(given, yardstick).items()}
    if given.posterior is not None:
        values["expected_calibration_error"] = calibration.expected_error(given, yardstick.calibration_bins)
    for group, members in yardstick.class_groups.items():
        for name, column in OF_GROUPS.items():
            values[f"{group}_{name}"] = mean(getattr(found, column)[members & (found.support > 0)])
    return {name: none_if_nan(value) for name, value in values.items()}


def parts(given: Predictions, yardstick: Yardstick) -> dict[str, Floats]:
    """Return what each sample adds to those metrics that are means over samples, (N,) each."""
    found: dict[str, Floats] = {}
    if given.posterior is not None:
        rank = given.rank_of_label() if any(k < given.count for k in yardstick.top_k) else None
        for k in yardstick.top_k:
            if rank is not None and k < given.count:  # of K classes the reference is always among K
                found[f"top_{k}_accuracy"] = (rank < k).astype(np.float64)
        found |= {"log_loss": given.log_loss(), "brier_score": given.brier_score()}
    if yardstick.costs is not None:
        found["expected_cost"] = yardstick.costs[given.label, given.predicted]
        if given.posterior is not None:
            cheapest = (given.posterior @ yardstick.costs).argmin(axis=1)
            found["expected_cost_of_cheapest"] = yardstick.costs[given.label, cheapest]
    return found


def correlation(matrix: Ints) -> float:
    """Return Matthews' correlation; nan where the references are all of one class, 0 where the predictions are."""
    rows, columns, weight = cells(matrix)
    if len(np.unique(rows)) < 2:
        return math.nan
    return float(sk.matthews_corrcoef(rows, columns, sample_weight=weight))


def kappa(matrix: Ints, weights: str | None = None) -> float:
    """Return Cohen's kappa; nan where references and predictions are all of one same class."""
    rows, columns, weight = cells(matrix)
    if len(np.union1d(rows, columns)) < 2:
        return math.nan
    labels = np.arange(len(matrix))
    return float(sk.cohen_kappa_score(rows, columns, labels=labels, weights=weights, sample_weight=weight))


def mean(values: Floats) -> float:
    """Return the mean of those values that are defined; nan where none is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan
