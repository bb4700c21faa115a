"""How likely a given label is wrong, and where the noise goes: from posteriors and given labels alone.

T is the transition matrix, T[k, y] the chance that a sample of true class k is given label y; rows sum to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-9
"""What the mean of equal posteriors may be above them by."""
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def symmetric_transition(noise_rate: float, classes: int) -> Floats:
    """Return T, (K, K), of noise that takes any class for any other alike, at this rate."""
    matrix = np.full((classes, classes), noise_rate / (classes - 1))
    np.fill_diagonal(matrix, 1 - noise_rate)
    return matrix


def confident_counts(posterior: Floats, label: Ints) -> Floats:
    """Return the confident joint as counts, (K, K): given label by likely true class (Northcutt et al. 2021, eq. 1).

    A sample counts for the likeliest of those classes whose posterior reaches the mean posterior of the samples that
    are given the class; it counts for none where no class does.

    Args:
        posterior: (N, K), out of sample.
        label: (N,) given classes.
    """
    classes = posterior.shape[1]
    sizes = np.bincount(label, minlength=classes)
    own = np.bincount(label, weights=posterior[np.arange(len(label)), label], minlength=classes)
    threshold = np.where(sizes > 0, own / np.maximum(sizes, 1) - _ROUNDING, np.inf)
    reached = np.where(posterior >= threshold, posterior, -1.0)
    likely = reached.argmax(axis=1)
    sure = reached.max(axis=1) >= 0
    counts = np.zeros((classes, classes))
    np.add.at(counts, (label[sure], likely[sure]), 1)
    return counts


def confident_joint(posterior: Floats, label: Ints) -> Floats:
    """Return the joint distribution of given label and true class, (K, K), sums to 1 (Northcutt et al. 2021, eq. 3).

    Each row of the counts is scaled to the share of its given label; a row without counts is taken for right.
    """
    counts = confident_counts(posterior, label)
    empty = counts.sum(axis=1) == 0
    counts[empty, empty.nonzero()[0]] = 1
    sizes = np.bincount(label, minlength=len(counts))
    joint = counts / counts.sum(axis=1, keepdims=True) * sizes[:, None]
    return np.asarray(joint / joint.sum())


def transition_of_joint(joint: Floats) -> Floats:
    """Return T, (K, K), of a joint distribution of given label (rows) and true class (columns).

    A class that no sample is held to be of is taken for always given rightly.
    """
    found = joint.T.copy()  # true by given
    totals = found.sum(axis=1, keepdims=True)
    return np.where(totals > 0, found / np.where(totals > 0, totals, 1), np.eye(len(joint)))


def confident_transition(posterior: Floats, label: Ints) -> Floats:
    """Return T, (K, K), as the confident joint of posteriors (N, K) and given labels (N,) has it."""
    return transition_of_joint(confident_joint(posterior, label))


def posterior_of_truth(posterior: Floats, label: Ints, transition: Floats) -> Floats:
    """Return the chance of each true class, given image and label, (N, K), by Bayes' rule; rows sum to 1.

    Args:
        posterior: (N, K) of the true class, given the image alone.
        label: (N,) given classes.
        transition: (K, K).
    """
    joint = posterior * transition[:, label].T
    totals = joint.sum(axis=1, keepdims=True)
    own = np.eye(posterior.shape[1])[label]
    return np.where(totals > 0, joint / np.where(totals > 0, totals, 1), own)


def probability_wrong(truth: Floats, label: Ints) -> Floats:
    """Return the chance that each given label is wrong, (N,), of the posterior of the truth (N, K)."""
    return np.asarray(np.clip(1 - truth[np.arange(len(label)), label], 0, 1))


@dataclass(frozen=True)
class Correction:
    """What mending labels is worth.

    Attributes:
        expected: (N,) worth expected of mending each label: from 0 to 1, the worth of the rarest class's.
        probability_wrong: (N,).
        class_size: (K,) expected number of samples of each true class.
        class_worth: (K,) of a label mended to be each class, 1 for the rarest.
    """

    expected: Floats
    probability_wrong: Floats
    class_size: Floats
    class_worth: Floats


def expected_correction(truth: Floats, label: Ints, exponent: float) -> Correction:
    """Return what mending each label is worth: the chance of each other true class, times what its label is worth.

    A label of a class is worth one over the class's expected size to the power of `exponent`: 0 holds all errors for
    alike; with 1 the errors of a class together are worth as much as those of any other.

    Args:
        truth: (N, K) chance of each true class, of all samples that are learnt from.
        label: (N,) given classes.
        exponent: 0 or above.
    """
    size = truth.sum(axis=0)
    worth = np.maximum(size, 1.0) ** -exponent
    worth /= worth.max()
    others = truth.copy()
    others[np.arange(len(label)), label] = 0
    return Correction(others @ worth, probability_wrong(truth, label), size, worth)
