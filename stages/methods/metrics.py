"""Metrics, by scikit-learn; a metric that is undefined is None, never 0 (`numpy.nan` inside, None outside)."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


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


def confusion(label: Ints, predicted: Ints, classes: int) -> Ints:
    """Return the confusion matrix (K, K): rows are references, columns predictions."""
    matrix: Ints = sk.confusion_matrix(label, predicted, labels=np.arange(classes)).astype(np.int64)
    return matrix


def by_class(label: Ints, posterior: Floats) -> ByClass:
    """Return the metrics of each class.

    Precision is undefined where a class is never predicted, recall and AUROC where it has no sample.

    Args:
        label: (N,) references.
        posterior: (N, K), rows sum to 1.
    """
    classes = posterior.shape[1]
    predicted = posterior.argmax(axis=1)
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        label, predicted, labels=np.arange(classes), zero_division=np.nan
    )
    matrix = confusion(label, predicted, classes)
    negatives = len(label) - matrix.sum(axis=1)
    false_positives = matrix.sum(axis=0) - np.diag(matrix)
    specificity = np.where(negatives > 0, 1 - false_positives / np.maximum(negatives, 1), np.nan)
    f1 = np.where((support > 0) & np.isnan(f1), 0.0, f1)
    return ByClass(
        support.astype(np.int64), matrix.sum(axis=0), precision, recall, specificity, f1, auroc(label, posterior)
    )


def auroc(label: Ints, posterior: Floats) -> Floats:
    """Return the area under the ROC curve of each class against the rest, (K,); nan where undefined."""
    areas = np.full(posterior.shape[1], np.nan)
    for index in range(posterior.shape[1]):
        positive = label == index
        if 0 < positive.sum() < len(label):
            areas[index] = sk.roc_auc_score(positive, posterior[:, index])
    return areas


def overall(label: Ints, posterior: Floats) -> dict[str, float | None]:
    """Return the metrics over all samples; macro means are over the classes that the references have.

    A class that is never predicted has precision 0 in the macro mean, as is usual.

    Args:
        label: (N,) references.
        posterior: (N, K), rows sum to 1.
    """
    predicted = posterior.argmax(axis=1)
    found = by_class(label, posterior)
    present = found.support > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=UserWarning)
        mcc = float(sk.matthews_corrcoef(label, predicted)) if len(np.unique(label)) > 1 else math.nan
    log_loss = float(-np.log(np.clip(posterior[np.arange(len(label)), label], 1e-12, 1)).mean())
    values = {
        "accuracy": float((predicted == label).mean()),
        "balanced_accuracy": float(found.recall[present].mean()),
        "macro_precision": float(np.nan_to_num(found.precision[present]).mean()),
        "macro_recall": float(found.recall[present].mean()),
        "macro_f1": float(found.f1[present].mean()),
        "macro_auroc": float(np.nanmean(found.auroc)) if np.isfinite(found.auroc).any() else math.nan,
        "mcc": mcc,
        "log_loss": log_loss,
    }
    return {name: none_if_nan(value) for name, value in values.items()}


def none_if_nan(value: float) -> float | None:
    """Return None for nan, so that a file says 'undefined' and not 0."""
    return None if math.isnan(value) else value
