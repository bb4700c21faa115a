"""Bootstrap intervals over groups: whole patients or lesions are drawn, not images (Efron and Tibshirani 1993).

Every metric is a function of sums over samples, so that a resample is a weight for each sum. Groups are first put into
at most `_BUCKETS` buckets, by chance, and buckets are drawn: the sums of buckets are as independent as those of groups,
so that the intervals stay right, and millions of samples cost little more than thousands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from stages.methods import calibration, metrics
from stages.methods.metrics import PLAIN, Yardstick
from stages.methods.predictions import Floats, Ints, Predictions

_BUCKETS = 4096
_LEVELS = 2048  # of a posterior, past which its order is held in part
_ALONE = 512  # of the highest positives, which average precision hangs on: they keep their order whatever their number
_FEW = 2  # groups, below which nothing tells how much they differ
_DENSE = (
    0.02  # samples a bucket and place, past which multiplying all of them is quicker than only those that are there
)
_LOOKED_AT = 200_000  # scores, by which levels are cut
_RANKED = ("auroc", "average_precision")


@dataclass(frozen=True)
class Resamples:
    """R resamples of the groups.

    Attributes:
        bucket: (N,) the bucket of each sample's group.
        weight: (R, M) how often each bucket was drawn.
    """

    bucket: Ints
    weight: Floats

    @property
    def buckets(self) -> int:
        """M."""
        return int(self.weight.shape[1])

    def sums(self, values: Floats) -> Floats:
        """Return the sum of a value over each resample, (R,), from one a sample, (N,)."""
        return np.asarray(self.weight @ np.bincount(self.bucket, weights=values, minlength=self.buckets))

    def counts(self, place: Ints, places: int, values: Floats | None = None) -> Floats:
        """Return how many samples of each resample are in each place, (R, places), or the sum of their values."""
        flat = np.bincount(self.bucket * places + place, weights=values, minlength=self.buckets * places)
        return np.asarray(self.weight @ flat.reshape(self.buckets, places))


@dataclass(frozen=True)
class Replicates:
    """Each metric in each resample; nan where it is undefined there.

    Attributes:
        overall: by name, (R,).
        by_class: by name, (R, K).
    """

    overall: dict[str, Floats]
    by_class: dict[str, Floats]


def resamples(group: Ints, replicates: int, generator: np.random.Generator) -> Resamples:
    """Draw groups with replacement, as many as there are.

    Args:
        group: (N,) number of each sample's group, from 0.
        replicates: R.
        generator: source of randomness.
    """
    groups = int(group.max()) + 1
    bucket = group.astype(np.int64)
    if groups > _BUCKETS:
        bucket, groups = (generator.permutation(groups) % _BUCKETS)[group], _BUCKETS
    drawn = generator.multinomial(groups, np.full(groups, 1 / groups), size=replicates)
    return Resamples(bucket, drawn.astype(np.float64))


def replicate(given: Predictions, drawn: Resamples, yardstick: Yardstick = PLAIN) -> Replicates:
    """Return every metric of `metrics.overall` and `metrics.by_class` in each resample."""
    classes = given.count
    cell = given.label * classes + given.predicted
    matrix = drawn.counts(cell, classes**2).reshape(-1, classes, classes)  # (R, K, K)
    by_class = _of_matrix(matrix)
    by_class |= _ranking(given, drawn)
    present = matrix.sum(axis=2) > 0
    total = matrix.sum(axis=(1, 2))
    overall = {
        "accuracy": np.trace(matrix, axis1=1, axis2=2) / total,
        "balanced_accuracy": _mean(by_class["recall"]),
        "macro_precision": _mean(np.where(present, np.nan_to_num(by_class["precision"]), np.nan)),
        "macro_recall": _mean(by_class["recall"]),
        "macro_specificity": _mean(np.where(present, by_class["specificity"], np.nan)),
        "macro_f1": _mean(by_class["f1"]),
        "macro_auroc": _mean(by_class["auroc"]),
        "macro_average_precision": _mean(by_class["average_precision"]),
        "mcc": _mcc(matrix),
        "kappa": _kappa(matrix, 1 - np.eye(classes)),
    }
    if yardstick.ordered:
        grade = np.arange(classes)
        overall["quadratic_kappa"] = _kappa(matrix, np.subtract.outer(grade, grade).astype(np.float64) ** 2)
    overall |= {name: drawn.sums(part) / total for name, part in metrics.parts(given, yardstick).items()}
    if given.posterior is not None:
        overall["expected_calibration_error"] = _calibration_error(given, drawn, total, yardstick.calibration_bins)
    for group, members in yardstick.class_groups.items():
        chosen = np.flatnonzero(members)
        for name, column in metrics.OF_GROUPS.items():
            overall[f"{group}_{name}"] = _mean(np.where(present, by_class[column], np.nan)[:, chosen])
    return Replicates(overall, by_class)


def bounds(values: Floats) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentile of the resamples in which a metric is defined; nan where there is none."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def of_share(values: Floats, share: float, groups: int) -> tuple[float, float]:
    """Return the interval of a share of the samples.

    Of none or all, where every resample says the same, it is Clopper and Pearson's for as many tries as groups.

    Args:
        values: (R,) the share in each resample.
        share: itself.
        groups: in which it was seen.
    """
    if not groups or share not in (0.0, 1.0):
        return bounds(values)
    edge = 0.025 ** (1 / groups)
    return (edge, 1.0) if share == 1 else (0.0, 1 - edge)


def of_class(values: Floats, value: float, groups: int) -> tuple[float, float]:
    """Return the interval of a metric of one class, which may be seen in so few groups that percentiles are too narrow.

    It is a t-interval of the logit, whose spread the resamples tell; of 0 or 1 it is that of a share.

    Args:
        values: (R,) the metric in each resample.
        value: itself, from 0 to 1.
        groups: in which the samples are that it hangs on.
    """
    known = values[np.isfinite(values)]
    if groups < _FEW or not 0 < value < 1 or not len(known):
        return of_share(values, value, groups)
    spread = known.std() / (value * (1 - value)) * special.stdtrit(groups - 1, 0.975)
    low, high = special.expit(special.logit(value) + np.array([-spread, spread]))
    return float(low), float(high)


def groups_of(group: Ints, which: NDArray[np.bool_]) -> int:
    """Return in how many groups some samples are."""
    seen = np.zeros(int(group.max()) + 1, dtype=bool)
    seen[group[which]] = True
    return int(seen.sum())


def _of_matrix(matrix: Floats) -> dict[str, Floats]:
    """Return the metrics of each class that follow from confusion matrices (R, K, K), (R, K) each."""
    hits = np.diagonal(matrix, axis1=1, axis2=2)
    support, claimed = matrix.sum(axis=2), matrix.sum(axis=1)
    negatives = support.sum(axis=1, keepdims=True) - support
    return {
        "precision": _ratio(hits, claimed),
        "recall": _ratio(hits, support),
        "specificity": 1 - _ratio(claimed - hits, negatives),
        "f1": np.where(support > 0, _ratio(2 * hits, support + claimed), np.nan),
    }


def _ratio(above: Floats, below: Floats) -> Floats:
    undefined = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    return np.asarray(np.divide(above, below, out=undefined, where=below > 0))


def _mean(values: Floats) -> Floats:
    """Return the mean over the classes in which a metric is defined, (R,), of (R, K)."""
    known = np.isfinite(values)
    return _ratio(np.where(known, values, 0).sum(axis=1), known.sum(axis=1).astype(np.float64))


def _mcc(matrix: Floats) -> Floats:
    """Return Matthews' correlation of each confusion matrix (Gorodkin 2004); nan where there is but one class.

    Where all is said to be of one class it is 0.
    """
    support, claimed, total = matrix.sum(axis=2), matrix.sum(axis=1), matrix.sum(axis=(1, 2))
    above = np.trace(matrix, axis1=1, axis2=2) * total - (support * claimed).sum(axis=1)
    below = np.sqrt((total**2 - (claimed**2).sum(axis=1)) * (total**2 - (support**2).sum(axis=1)))
    correlation = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return np.where((support > 0).sum(axis=1) > 1, correlation, np.nan)


def _kappa(matrix: Floats, weight: Floats) -> Floats:
    """Return Cohen's kappa of each confusion matrix, with a weight (K, K) for each disagreement (Cohen 1968)."""
    support, claimed, total = matrix.sum(axis=2), matrix.sum(axis=1), matrix.sum(axis=(1, 2))
    seen = (matrix * weight).sum(axis=(1, 2))
    by_chance = np.einsum("rk,kl,rl->r", support, weight, claimed) / total
    return 1 - _ratio(seen, by_chance)


def _calibration_error(given: Predictions, drawn: Resamples, total: Floats, bins: int) -> Floats:
    """Return the expected calibration error of each resample, less what resampling itself adds to it.

    A resample is a noisier sample than the sample, and noise looks like miscalibration: the replicates are moved to lie
    about the error of the sample. That is itself too large by about as much: those below are moved as far again.
    """
    place, confidence, right = calibration.bins_of(given, bins)
    gap = drawn.counts(place, bins, confidence - right)
    found = np.abs(gap).sum(axis=1) / total
    added = found.mean() - calibration.expected_error(given, bins)
    moved = np.where(found < found.mean(), found - 2 * added, found - added)
    return np.asarray(np.clip(moved, 0.0, 1.0))


def _ranking(given: Predictions, drawn: Resamples) -> dict[str, Floats]:
    """Return AUROC and average precision of each class in each resample, (R, K) each."""
    found = {name: np.full((len(drawn.weight), given.count), np.nan) for name in _RANKED}
    if given.posterior is None:
        return found
    for index in range(given.count):
        positive = given.label == index
        if positive.any():
            level, levels = _levels(given.posterior[:, index], positive)
            seen = _many_counts(drawn, level * 2 + positive, 2 * levels).reshape(-1, levels, 2)
            found["auroc"][:, index] = _auroc(seen)
            found["average_precision"][:, index] = _average_precision(seen)
    return found


def _many_counts(drawn: Resamples, place: Ints, places: int) -> Floats:
    """Return `drawn.counts` of so many places that most of them are empty in most buckets, (R, places)."""
    if len(place) > _DENSE * drawn.buckets * places:
        flat = np.bincount(drawn.bucket * places + place, minlength=drawn.buckets * places).astype(np.float32)
        return np.asarray(drawn.weight.astype(np.float32) @ flat.reshape(drawn.buckets, places), dtype=np.float64)
    of_place = sparse.coo_array((np.ones(len(place)), (place, drawn.bucket)), shape=(places, drawn.buckets))
    return np.asarray((of_place.tocsr() @ drawn.weight.T).T)


def _levels(score: Floats, positive: NDArray[np.bool_]) -> tuple[Ints, int]:
    """Return the level of each score, (N,), from the highest down, and how many there are.

    Of many, the highest positives have a level each, and equal shares of the other positives and of the rest one each.
    """
    if len(score) <= _LEVELS:
        cuts = np.unique(score)
    else:
        own = score[positive]
        alone = np.partition(own, max(0, len(own) - _ALONE))[-_ALONE:]
        even = np.linspace(0, 1, (_LEVELS - 2 * _ALONE) // 2)
        cuts = np.concatenate([_quantiles(of, even) for of in (own, score[~positive])])
        cuts = np.unique(np.r_[cuts, alone, np.nextafter(alone, -np.inf), score.max()])
    return (len(cuts) - 1 - np.searchsorted(cuts, score)).astype(np.int64), len(cuts)


def _quantiles(score: Floats, shares: Floats) -> Floats:
    """Return quantiles that are scores themselves, of an even share of the scores where there are many."""
    some = score[:: max(1, len(score) // _LOOKED_AT)]
    return np.quantile(some, shares, method="lower") if len(some) else some


def _auroc(seen: Floats) -> Floats:
    """Return the area under the ROC curve, (R,), from counts by level, (R, L, 2); ties count half."""
    below = seen[:, :, 0].sum(axis=1, keepdims=True) - np.cumsum(seen[:, :, 0], axis=1)
    wins = (seen[:, :, 1] * (below + 0.5 * seen[:, :, 0])).sum(axis=1)
    return _ratio(wins, seen[:, :, 1].sum(axis=1) * seen[:, :, 0].sum(axis=1))


def _average_precision(seen: Floats) -> Floats:
    """Return the average precision, (R,), from counts by level, (R, L, 2)."""
    hits = np.cumsum(seen[:, :, 1], axis=1)
    claimed = hits + np.cumsum(seen[:, :, 0], axis=1)
    gained = (seen[:, :, 1] * np.nan_to_num(_ratio(hits, claimed))).sum(axis=1)
    return _ratio(gained, hits[:, -1])
