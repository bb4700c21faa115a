"""Bootstrap intervals over groups: whole patients or lesions are drawn, not images (Efron and Tibshirani 1993)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_BLOCK = 50  # replicates computed at a time, to bound memory


def bootstrap(
    label: Ints, posterior: Floats, group: Ints, replicates: int, generator: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """Return the 2.5th and 97.5th percentile of each overall metric.

    Args:
        label: (N,) references.
        posterior: (N, K), rows sum to 1.
        group: (N,) number of each sample's group, from 0.
        replicates: how many resamples.
        generator: source of randomness.
    """
    groups = int(group.max()) + 1
    found: dict[str, list[Floats]] = {}
    for start in range(0, replicates, _BLOCK):
        size = min(_BLOCK, replicates - start)
        drawn = generator.multinomial(groups, np.full(groups, 1 / groups), size=size)  # (R, G)
        weight = drawn[:, group].astype(np.float64)  # (R, N)
        for name, values in _weighted_metrics(label, posterior, weight).items():
            found.setdefault(name, []).append(values)
    return {name: _bounds(np.concatenate(values)) for name, values in found.items()}


def _bounds(values: Floats) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentile of the resamples in which a metric is defined; nan where there is none."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _weighted_metrics(label: Ints, posterior: Floats, weight: Floats) -> dict[str, Floats]:
    """Return each metric for each row of sample weights, (R,)."""
    classes = posterior.shape[1]
    predicted = posterior.argmax(axis=1)
    cell = label * classes + predicted
    flat = np.stack([np.bincount(cell, weights=w, minlength=classes**2) for w in weight])
    matrix = flat.reshape(-1, classes, classes)  # (R, K, K)
    hits = np.diagonal(matrix, axis1=1, axis2=2)  # (R, K)
    support, claimed, total = matrix.sum(axis=2), matrix.sum(axis=1), matrix.sum(axis=(1, 2))
    present = support > 0
    recall = np.where(present, hits / np.maximum(support, 1), np.nan)
    precision = np.where(present, hits / np.maximum(claimed, 1), np.nan)
    f1 = np.where(present, 2 * hits / np.maximum(support + claimed, 1), np.nan)
    areas = np.stack([_weighted_auroc(label == k, posterior[:, k], weight) for k in range(classes)], axis=1)
    loss = -np.log(np.clip(posterior[np.arange(len(label)), label], 1e-12, 1))
    return {
        "accuracy": hits.sum(axis=1) / total,
        "balanced_accuracy": np.nanmean(recall, axis=1),
        "macro_precision": np.nanmean(precision, axis=1),
        "macro_recall": np.nanmean(recall, axis=1),
        "macro_f1": np.nanmean(f1, axis=1),
        "macro_auroc": _nanmean_rows(areas),
        "mcc": _mcc(hits.sum(axis=1), support, claimed, total),
        "log_loss": weight @ loss / total,
    }


def _nanmean_rows(values: Floats) -> Floats:
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0).sum(axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _mcc(hits: Floats, support: Floats, claimed: Floats, total: Floats) -> Floats:
    """Return Matthews' correlation of each confusion matrix (Gorodkin 2004); nan where there is but one class.

    Where all is said to be of one class it is 0.
    """
    above = hits * total - (support * claimed).sum(axis=1)
    below = np.sqrt((total**2 - (claimed**2).sum(axis=1)) * (total**2 - (support**2).sum(axis=1)))
    correlation = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return np.where((support > 0).sum(axis=1) > 1, correlation, np.nan)


def _weighted_auroc(positive: NDArray[np.bool_], score: Floats, weight: Floats) -> Floats:
    """Return the area under the ROC curve for each row of weights, ties counted half; nan where undefined."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])
    above = np.add.reduceat(weight[:, order] * positive[order], starts, axis=1)
    below = np.add.reduceat(weight[:, order] * ~positive[order], starts, axis=1)
    wins = (above * (np.cumsum(below, axis=1) - 0.5 * below)).sum(axis=1)
    pairs = above.sum(axis=1) * below.sum(axis=1)
    return np.asarray(np.divide(wins, pairs, out=np.full(len(weight), np.nan), where=pairs > 0))
