"""A linear classifier that learns through a transition matrix: forward correction (Patrini et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from stages.methods.softmaxes import log_softmax, log_sum_exp
from stages.methods.transition_model import UNKNOWN

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_STEPS = 60
_TINY = 1e-12


@dataclass(frozen=True)
class Head:
    """Weights, (F, K), and biases, (K,)."""

    weights: Floats
    biases: Floats

    def logits(self, features: Floats) -> Floats:
        """Return logits (N, K) of features (N, F)."""
        return np.asarray(features @ self.weights + self.biases)


def fit_head(features: Floats, given: Ints, true: Ints, matrix: Floats, ridge: float) -> Head:
    """Return the head that makes labels likeliest: given ones through T, those that an expert told as they are.

    Args:
        features: (N, F).
        given: (N,) given labels, or `UNKNOWN`.
        true: (N,) classes told, or `UNKNOWN`.
        matrix: T, (K, K).
        ridge: weight of half the squared weights beside the mean loss.
    """
    classes = len(matrix)
    of_label = _log_chances(given, true, matrix)
    width = features.shape[1]

    def loss(flat: Floats) -> tuple[float, Floats]:
        head = Head(flat[:-classes].reshape(width, classes), flat[-classes:])
        log_posterior = log_softmax(head.logits(features))
        joint = log_posterior + of_label
        total = log_sum_exp(joint)
        difference = (np.exp(log_posterior) - np.exp(joint - total[:, None])) / len(features)
        gradient = features.T @ difference + ridge * head.weights
        value = -total.mean() + ridge / 2 * float((head.weights**2).sum())
        return float(value), np.concatenate([gradient.ravel(), difference.sum(axis=0)])

    first = np.concatenate([np.zeros(width * classes), _log_shares(given, true, classes)])
    found = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x
    return Head(found[:-classes].reshape(width, classes), found[-classes:])


def _log_chances(given: Ints, true: Ints, matrix: Floats) -> Floats:
    """Return the log chance of what is known of each sample under each true class, (N, K)."""
    classes = len(matrix)
    logs = np.log(np.maximum(matrix, _TINY))
    found = np.where((given == UNKNOWN)[:, None], 0.0, logs[:, given].T)
    told = true != UNKNOWN
    found[told] = np.log(_TINY)
    found[told, true[told]] = 0.0
    assert found.shape == (len(given), classes)
    return np.asarray(found)


def _log_shares(given: Ints, true: Ints, classes: int) -> Floats:
    """Return the log share of each class among the labels, (K,)."""
    now = np.where(true == UNKNOWN, given, true)
    counts = np.bincount(now[now != UNKNOWN], minlength=classes) + 1.0
    return np.asarray(np.log(counts / counts.sum()))
