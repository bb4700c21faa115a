"""Label noise estimated from features and labels alone: how much, where it goes, and which labels it hit.

Nobody says a rate. Heads on the features learn through a first guess of the transition matrix; each judges samples of
folds, whole groups, that it has not learnt from; the matrix is estimated from what they say (`transition`). Then heads
learn through that matrix, and judge again. Kernels' features keep what a linear head cannot fit from passing for noise;
what is judged by is the mean over kernels of several widths, each with folds of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.errors import NothingToDoError
from stages.methods import noise_turns, transition
from stages.methods.feature_space import FeatureSpace
from stages.methods.mislabelling import symmetric_transition
from stages.methods.noise_search import search
from stages.methods.noise_turns import Judgement, Turn, View, Work
from stages.methods.noisy_head import Head
from stages.methods.randomness import integer, numpy_generator
from stages.methods.splitting import k_folds
from stages.methods.transition_model import UNKNOWN, Evidence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST = 20_000
"""Samples that the matrix is estimated from, at most: drawn at random where there are more."""
_FOLDS = 5
_FIRST_RATE = 0.3
"""Symmetric noise that the first heads learn through; 0.05 was tried and leads to the same."""
_WIDTHS = (1.0, 2.0, 4.0)
"""Of the kernels of the views, against the median distance of samples."""
_DRAWS = 200
_BLOCK = 8_192


class Features(Protocol):
    """Features of samples, (N, D): an array, a tensor, or what reads their rows from disk."""

    def __len__(self) -> int:
        """Return N."""
        ...

    def __getitem__(self, rows: Any, /) -> Any:
        """Return some rows, which numpy can take."""
        ...


@dataclass(frozen=True)
class _Astray:
    """Deviations of what the model is off by, as measured (docs/experiments.md): of the rate, and of those by class."""

    overall: float
    by_true: float
    by_given: float


_EVENLY, _AS_THEY_FALL = _Astray(0.02, 0.05, 0.05), _Astray(0.03, 0.08, 0.15)


@dataclass(frozen=True)
class Rate:
    """A share of wrong labels, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class NoiseEstimate:
    """What the labels are held to be.

    Attributes:
        transition: (K, K), chance that a sample of a true class (row) was given a label (column).
        truth: (N, K) of the true class by features and given label; certain where an expert told it.
        rate: share of wrong labels among all that stand now: an expert's count as right.
        by_true_class: of each class's samples the share that was given another label; None for a class without any.
        by_given_class: of the labels that stand now the share that is wrong, by class; None for a class without any.
        structure: what the evidence says of the noise, in words.
        used: how many samples the matrix was estimated from.
        told: how many of all samples an expert had told.
    """

    transition: Floats
    truth: Floats
    rate: Rate
    by_true_class: list[Rate | None]
    by_given_class: list[Rate | None]
    structure: str
    used: int
    told: int


def estimate_noise(features: Features, given: Ints, true: Ints, group: Ints, classes: int, seed: int) -> NoiseEstimate:
    """Estimate the noise of labels.

    Args:
        features: (N, D) of the samples, from a network that has hardly learnt these labels by heart; of any precision.
        given: (N,) labels as first given, or `UNKNOWN` where only the expert's is left.
        true: (N,) classes where an expert told them, else `UNKNOWN`.
        group: (N,) unit of each sample, never torn apart by a fold.
        classes: K.
        seed: of folds, draws and the kernel's landmarks.

    Raises:
        NothingToDoError: there are fewer than two groups or classes, no class has two samples, or features are alike.
    """
    now = np.where(true == UNKNOWN, given, true)
    if len(np.unique(now)) < 2 or len(np.unique(group)) < 2 or np.bincount(now).max() < 2:
        raise NothingToDoError("label noise can be estimated from two groups and two classes, one of two samples")
    chosen = _chosen(group, seed)
    if len(np.unique(now[chosen])) < 2 or len(np.unique(group[chosen])) < 2:
        raise NothingToDoError("label noise can be estimated from two groups and two classes, one of two samples")
    known = np.asarray(features[chosen], dtype=np.float64)
    if not np.ptp(known, axis=0).any():
        raise NothingToDoError("label noise cannot be estimated: the samples' features do not differ")
    present, position = _present(given, true, classes)
    spaces = _spaces(known, seed)
    views = tuple(
        View(space.map(known), _folds(now[chosen], group[chosen], _of_view(seed, number)))
        for number, space in enumerate(spaces)
    )
    turn, (logits, heads) = _settled(Work(views, position[given[chosen]], position[true[chosen]], len(present)))
    if len(chosen) < len(given):
        logits = _everywhere(features, spaces, chosen, logits, heads)
    whole = Evidence(logits, position[given], position[true])
    return _told(whole, turn, chosen, present, classes, seed)


def _present(given: Ints, true: Ints, classes: int) -> tuple[Ints, Ints]:
    """Return the classes that have a sample, and the place of each among them; `UNKNOWN` stays as it is."""
    seen = np.unique(np.concatenate([given, true]))
    present = seen[seen != UNKNOWN]
    position = np.full(classes + 1, UNKNOWN)  # its last entry is that of UNKNOWN
    position[present] = np.arange(len(present))
    return present, position


def _chosen(group: Ints, seed: int) -> Ints:
    """Return the rows that T is estimated from: all, or those of groups drawn at random.

    Samples that experts told are not drawn rather than others: they were asked about labels that are likelier wrong.
    Where groups are so large that few can be drawn, samples are.
    """
    if len(group) <= MOST:
        return np.arange(len(group))
    generator = numpy_generator(seed, "noise estimate")
    _, place = np.unique(group, return_inverse=True)
    order = generator.permutation(int(place.max()) + 1)
    drawn = order[np.cumsum(np.bincount(place)[order]) <= MOST]
    rows = np.flatnonzero(np.isin(place, drawn))
    return rows if len(rows) > MOST // 2 else np.sort(generator.permutation(len(group))[:MOST])


def _of_view(seed: int, number: int) -> int:
    """Return the seed of a view's folds and landmarks."""
    return integer(seed, "view", number)


def _spaces(features: Floats, seed: int) -> list[FeatureSpace]:
    """Return each view's map of features."""
    return [
        FeatureSpace.of(features, numpy_generator(_of_view(seed, number), "landmarks"), width)
        for number, width in enumerate(_WIDTHS)
    ]


def _folds(label: Ints, group: Ints, seed: int) -> list[Ints]:
    """Return the rows of each fold."""
    count = min(_FOLDS, len(np.unique(group)), int(np.bincount(label).max()))
    return [np.flatnonzero(fold) for fold in k_folds(label, group, count, seed) if fold.any()]


def _settled(work: Work) -> tuple[Turn, Judgement]:
    """Return the turn that T is taken from, and what heads say that samples are judged by.

    Where wrong labels go evenly to all others, by heads that learn through even noise of a rate that nobody told, one
    more turn is taken. Else exchanged classes are searched for; there more turns take for noise what heads cannot tell.
    """
    guess = symmetric_transition(_FIRST_RATE, work.classes)
    starts = [guess, symmetric_transition(_FIRST_RATE / 6, work.classes)]
    quick = noise_turns.take(work.quick, guess, transition.STRUCTURES, starts)
    if not quick.best.structure.scatter:
        evenly = [structure for structure in transition.STRUCTURES if not structure.scatter]
        second = noise_turns.take(work, quick.matrix, evenly, [*starts, quick.matrix])
        return second, second.judgement
    first = noise_turns.take(work, guess, transition.STRUCTURES, starts)
    found = search(work, first)
    return found, noise_turns.out_of_sample(work, first.matrix) if found is first else found.judgement


def _everywhere(
    features: Features, spaces: Sequence[FeatureSpace], chosen: Ints, of_chosen: Floats, heads: list[list[Head]]
) -> Floats:
    """Return logits of all samples: of those that T was not estimated from, the mean over the heads of each view."""
    logits = np.zeros((len(features), of_chosen.shape[1]))
    for start in range(0, len(features), _BLOCK):
        block = slice(start, start + _BLOCK)
        known = np.asarray(features[block], dtype=np.float64)
        for space, of_view in zip(spaces, heads, strict=True):
            mapped = space.map(known)
            logits[block] += np.mean([head.logits(mapped) for head in of_view], axis=0) / len(spaces)
    logits[chosen] = of_chosen
    return logits


def _told(evidence: Evidence, turn: Turn, chosen: Ints, present: Ints, classes: int, seed: int) -> NoiseEstimate:
    """Return the estimate in the data set's own classes; one that no sample has is taken for always given rightly.

    `chosen` are the rows that T was estimated from.
    """
    matrix = turn.matrix
    some = Evidence(evidence.logits[chosen], evidence.given[chosen], evidence.true[chosen])
    by_features = transition.calibrate(some, matrix, evidence.logits)
    known = noise_turns.truth(by_features, evidence, matrix)
    truth = np.zeros((len(evidence.given), classes))
    truth[:, present] = known
    whole = np.eye(classes)
    whole[np.ix_(present, present)] = matrix
    astray = _AS_THEY_FALL if turn.best.structure.scatter else _EVENLY
    overall, by_true, by_given = _rates(_shares_wrong(known, evidence), _drawn(turn, seed), astray)
    places = {int(index): place for place, index in enumerate(present)}
    return NoiseEstimate(
        transition=whole,
        truth=truth,
        rate=overall,
        by_true_class=[by_true[places[index]] if index in places else None for index in range(classes)],
        by_given_class=[by_given[places[index]] if index in places else None for index in range(classes)],
        structure=turn.best.structure.words,
        used=len(turn.evidence.given),
        told=int((evidence.true != UNKNOWN).sum()),
    )


@dataclass(frozen=True)
class _Wrong:
    """Shares of wrong labels: of all, by true class (K,) as first given, by class as they stand (K,); nan of none."""

    overall: float
    by_true: Floats
    by_given: Floats


def _shares_wrong(truth: Floats, evidence: Evidence) -> _Wrong:
    """Return the shares expected of a posterior of the truth, (N, K)."""
    now = np.where(evidence.true == UNKNOWN, evidence.given, evidence.true)
    wrong = 1 - truth[np.arange(len(now)), now]
    labelled = evidence.given != UNKNOWN
    sizes = truth[labelled].sum(axis=0)
    kept = np.bincount(
        evidence.given[labelled],
        weights=truth[labelled, evidence.given[labelled]],
        minlength=truth.shape[1],
    )
    counts = np.bincount(now, minlength=truth.shape[1])
    by_given = np.bincount(now, weights=wrong, minlength=truth.shape[1])
    return _Wrong(
        float(wrong.mean()),
        np.where(sizes > 0, 1 - kept / np.where(sizes > 0, sizes, 1), np.nan),
        np.where(counts > 0, by_given / np.maximum(counts, 1), np.nan),
    )


def _drawn(turn: Turn, seed: int) -> list[_Wrong]:
    """Return the shares under draws of T, of the logits' calibration, and of each sample's true class."""
    generator = numpy_generator(seed, "draws of the transition matrix")
    classes = turn.evidence.logits.shape[1]
    found = []
    for drawn in transition.draws(turn.fits, classes, _DRAWS, generator):
        posterior = transition.posterior_of(drawn, turn.evidence.logits)
        truth = noise_turns.truth(posterior, turn.evidence, transition.transition_of(drawn, classes))
        cumulated = truth.cumsum(axis=1)
        beyond = generator.random(len(truth))[:, None] * cumulated[:, -1:]
        found.append(_shares_wrong(np.eye(classes)[(cumulated < beyond).sum(axis=1)], turn.evidence))
    return found


def _rates(value: _Wrong, drawn: list[_Wrong], astray: _Astray) -> tuple[Rate, list[Rate | None], list[Rate | None]]:
    overall = _rate(value.overall, np.array([one.overall for one in drawn]), astray.overall)
    by_true, by_given = np.array([one.by_true for one in drawn]), np.array([one.by_given for one in drawn])
    return (
        overall,
        _by_class(value.by_true, by_true, astray.by_true),
        _by_class(value.by_given, by_given, astray.by_given),
    )


def _by_class(values: Floats, drawn: Floats, astray: float) -> list[Rate | None]:
    known = np.isfinite(values) & np.isfinite(drawn).any(axis=0)
    return [
        _rate(float(value), column[np.isfinite(column)], astray) if there else None
        for value, column, there in zip(values, drawn.T, known, strict=True)
    ]


def _rate(value: float, drawn: Floats, astray: float) -> Rate:
    """Return a rate with its interval: the draws' own width, and what the model is off by."""
    low, high = np.quantile(drawn, [0.025, 0.975]) - drawn.mean()
    reach = 1.96 * astray
    return Rate(value, max(0.0, value - float(np.hypot(low, reach))), min(1.0, value + float(np.hypot(high, reach))))
