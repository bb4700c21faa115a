"""The posterior of a noise transition matrix's parameters, given labels and what a classifier makes of the samples.

What is held of T before anything is seen, the likelihood of a label, and their derivatives; `transition` fits it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, logit

from stages.methods.softmaxes import log_softmax, log_sum_exp

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNKNOWN = -1
"""Stands for a label that is not known."""
_ODDS = (1.0, 1.5)  # mean and deviation of the log odds that a label is right: half to nine in ten
_SHIFT = 0.5  # deviation of the shifts of the logits
_SCALE = 1.0  # deviation of the log of their scale
_RATES_DIFFER = 20.0
"""Rate of the exponential prior of the spread of log odds (Simpson et al. 2017): 0.15 or more has 5 %."""


@dataclass(frozen=True)
class Structure:
    """How far classes may differ.

    Attributes:
        spread: deviation by class of the log odds that a label is right.
        scatter: deviation of the log shares of the wrong labels; 0 where they go evenly to all other classes.
    """

    spread: float
    scatter: float

    @property
    def words(self) -> str:
        """What it says of the noise, for people."""
        rates = "one rate for all classes" if self.spread <= 0.1 else "rates by class"
        return f"{rates}, wrong labels {'as they fall' if self.scatter else 'evenly to the others'}"


@dataclass(frozen=True)
class Evidence:
    """What T is estimated from.

    Attributes:
        logits: (N, K) of a classifier of the true class that has learnt from none of these samples.
        given: (N,) labels as first given, or UNKNOWN.
        true: (N,) classes where an expert told them, else UNKNOWN.
    """

    logits: Floats
    given: Ints
    true: Ints


@dataclass(frozen=True)
class Layout:
    """Where in the vector of parameters each stands."""

    classes: int
    structure: Structure

    @property
    def shares(self) -> int:
        """How many log shares there are."""
        return self.classes * (self.classes - 1) if self.structure.scatter else 0

    @property
    def size(self) -> int:
        """How many parameters there are."""
        return 1 + self.classes + self.shares + 1 + self.classes

    def odds(self, parameters: Floats) -> Floats:
        """Return the log odds that a label of each class is right, (K,)."""
        return np.asarray(parameters[0] + parameters[1 : 1 + self.classes])

    def log_shares(self, parameters: Floats) -> Floats:
        """Return the log share of each wrong label, (K, K); -inf on the diagonal."""
        found = np.zeros((self.classes, self.classes))
        if self.shares:
            found[self.wrong] = parameters[1 + self.classes : 1 + self.classes + self.shares]
        np.fill_diagonal(found, -np.inf)
        return np.asarray(log_softmax(found))

    def log_transition(self, parameters: Floats) -> Floats:
        """Return log T, (K, K)."""
        odds = self.odds(parameters)
        found: Floats = log_expit(-odds)[:, None] + self.log_shares(parameters)
        np.fill_diagonal(found, log_expit(odds))
        return found

    def calibration(self, parameters: Floats) -> tuple[float, Floats]:
        """Return the log scale and the shifts (K,) of the logits."""
        return float(parameters[-1 - self.classes]), parameters[-self.classes :]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """(K, K), true off the diagonal."""
        return ~np.eye(self.classes, dtype=bool)

    def start(self, transition: Floats) -> Floats:
        """Return parameters that have this T, (K, K), and leave the logits as they are."""
        matrix = np.clip(transition, 1e-4, 1 - 1e-4)
        odds = np.asarray(logit(np.diag(matrix)))
        found = np.zeros(self.size)
        found[0] = odds.mean()
        found[1 : 1 + self.classes] = odds - odds.mean()
        if self.shares:
            logs = np.log(matrix)
            logs -= np.where(self.wrong, logs, 0).sum(axis=1, keepdims=True) / (self.classes - 1)
            found[1 + self.classes : 1 + self.classes + self.shares] = logs[self.wrong]
        return found

    def deviations(self) -> Floats:
        """Return the deviations of the parameters' normal priors."""
        return np.concatenate(
            [
                [_ODDS[1]],
                np.full(self.classes, self.structure.spread),
                np.full(self.shares, self.structure.scatter),
                [_SCALE],
                np.full(self.classes, _SHIFT),
            ]
        )

    def means(self) -> Floats:
        """Return the means of the parameters' normal priors."""
        found = np.zeros(self.size)
        found[0] = _ODDS[0]
        return found


class Model:
    """The posterior of the parameters, given the evidence."""

    def __init__(self, evidence: Evidence, structure: Structure) -> None:
        classes = evidence.logits.shape[1]
        self.layout = Layout(classes, structure)
        self._logits = evidence.logits
        self._given = np.where(evidence.given == UNKNOWN, classes, evidence.given)  # K stands for a label not known
        told = np.flatnonzero(evidence.true != UNKNOWN)
        self._impossible = np.zeros_like(evidence.logits)
        self._impossible[told] = -np.inf
        self._impossible[told, evidence.true[told]] = 0
        self._deviations, self._means = self.layout.deviations(), self.layout.means()
        self._rows = np.eye(classes + 1)[self._given]  # (N, K + 1)

    def negative(self, parameters: Floats) -> tuple[float, Floats]:
        """Return the negative log posterior, up to a constant, and its gradient."""
        log_likelihood, responsibility, posterior, _ = self._see(parameters)
        by_label = (responsibility.T @ self._rows)[:, :-1]  # (K, K): d/d log T
        difference = responsibility - posterior
        log_scale, _ = self.layout.calibration(parameters)
        gradient = np.concatenate(
            [
                self._of_transition(parameters, by_label),
                [np.exp(log_scale) * float((difference * self._logits).sum())],
                difference.sum(axis=0),
            ]
        )
        standard = (parameters - self._means) / self._deviations
        return (
            0.5 * float(standard @ standard) - log_likelihood,
            np.asarray(standard / self._deviations - gradient),
        )

    def curvature(self, parameters: Floats) -> Floats:
        """Return the second derivatives of the negative log posterior, (P, P)."""
        _, responsibility, posterior, _ = self._see(parameters)
        found = -self._of_likelihood(parameters, responsibility, posterior)
        found[np.diag_indices_from(found)] += self._deviations**-2
        return found

    def log_evidence(self, parameters: Floats, precision: Floats) -> float:
        """Return the log of the marginal likelihood by Laplace's approximation, and of the structure's prior."""
        value, _ = self.negative(parameters)
        structure = self.layout.structure
        return float(
            -value
            - np.log(np.diag(precision)).sum()
            - np.log(self._deviations).sum()
            - _RATES_DIFFER * structure.spread
        )

    def _see(self, parameters: Floats) -> tuple[float, Floats, Floats, Floats]:
        """Return the log likelihood, the posterior of the truth given features and label, that by features, and T."""
        classes = self.layout.classes
        log_scale, shifts = self.layout.calibration(parameters)
        log_posterior = log_softmax(self._logits * np.exp(log_scale) + shifts)
        log_transition = self.layout.log_transition(parameters)
        of_label = np.concatenate([log_transition, np.zeros((classes, 1))], axis=1)[:, self._given].T
        joint = log_posterior + of_label + self._impossible
        total = log_sum_exp(joint)
        return float(total.sum()), np.exp(joint - total[:, None]), np.exp(log_posterior), log_transition

    def _of_transition(self, parameters: Floats, by_label: Floats) -> Floats:
        """Return the gradient by T's own parameters, of that by log T, (K, K)."""
        layout = self.layout
        right = expit(layout.odds(parameters))
        sums = by_label.sum(axis=1)
        of_odds = np.diag(by_label) - right * sums
        found = [np.array([of_odds.sum()]), of_odds]
        if layout.shares:
            shares = np.exp(layout.log_shares(parameters))
            wrong = np.where(layout.wrong, by_label, 0)
            found.append((wrong - shares * wrong.sum(axis=1, keepdims=True))[layout.wrong])
        return np.concatenate(found)

    def _of_likelihood(self, parameters: Floats, responsibility: Floats, posterior: Floats) -> Floats:
        """Return the second derivatives of the log likelihood, (P, P).

        With v the log of the joint of truth and label, that is J'(diag r - r r')J, summed over samples, and r times the
        second derivatives of v; where T alone is concerned, the samples count by their label.
        """
        layout, classes = self.layout, self.layout.classes
        log_scale, _ = layout.calibration(parameters)
        scale = np.exp(log_scale)
        own = layout.size - 1 - classes  # parameters of T
        spread = np.stack(
            [
                np.diag(members.sum(axis=0)) - members.T @ members
                for members in (responsibility[self._given == label] for label in range(classes + 1))
            ]
        )  # (K + 1, K, K): by given label, diag r - r r'
        jacobian = self._jacobian(parameters)  # (K, K, own): of log T[k, y]
        found = np.zeros((layout.size, layout.size))
        for label in range(classes):
            step = jacobian[:, label]
            found[:own, :own] += step.T @ spread[label] @ step
            found[:own, own + 1 :] += step.T @ spread[label]
        centred = responsibility * (self._logits - (responsibility * self._logits).sum(axis=1, keepdims=True))  # (N, K)
        of_scale = scale * (centred.T @ self._rows)  # (K, K + 1)
        found[:own, own] = np.einsum("kyp,ky->p", jacobian, of_scale[:, :-1])
        found[own, own + 1 :] = of_scale.sum(axis=1)
        found[own + 1 :, own + 1 :] = spread.sum(axis=0)
        found[own, own] = scale**2 * float((centred * self._logits).sum())
        self._add_curves(found, parameters, responsibility, posterior)
        lower = np.tril_indices(layout.size, -1)
        found[lower] = found.T[lower]
        return found

    def _add_curves(self, found: Floats, parameters: Floats, responsibility: Floats, posterior: Floats) -> None:
        """Add what the second derivatives of log T and of the log posterior bring, above the diagonal and on it."""
        layout, classes = self.layout, self.layout.classes
        log_scale, _ = layout.calibration(parameters)
        scale = np.exp(log_scale)
        own = layout.size - 1 - classes
        by_label = (responsibility.T @ self._rows)[:, :-1]
        right = expit(layout.odds(parameters))
        of_odds = -right * (1 - right) * by_label.sum(axis=1)
        classes_at = np.arange(1, 1 + classes)
        found[0, 0] += of_odds.sum()
        found[0, classes_at] += of_odds
        found[classes_at, classes_at] += of_odds
        if layout.shares:
            shares = np.exp(layout.log_shares(parameters))
            wrong = np.where(layout.wrong, by_label, 0).sum(axis=1)
            for index in range(classes):
                row = np.delete(shares[index], index)
                first = 1 + classes + index * (classes - 1)
                block = slice(first, first + classes - 1)
                found[block, block] -= wrong[index] * (np.diag(row) - np.outer(row, row))
        expected = (posterior * self._logits).sum(axis=1, keepdims=True)
        centred = posterior * (self._logits - expected)
        found[own, own] += scale * float(((responsibility - posterior) * self._logits).sum())
        found[own, own] -= scale**2 * float((centred * self._logits).sum())
        found[own, own + 1 :] -= scale * centred.sum(axis=0)
        found[own + 1 :, own + 1 :] -= np.diag(posterior.sum(axis=0)) - posterior.T @ posterior

    def _jacobian(self, parameters: Floats) -> Floats:
        """Return the derivatives of log T, (K, K, P), by T's own parameters."""
        layout, classes = self.layout, self.layout.classes
        found = np.zeros((classes, classes, layout.size - 1 - classes))
        right = expit(layout.odds(parameters))
        shares = np.exp(layout.log_shares(parameters))
        for index in range(classes):
            of_odds = np.full(classes, -right[index])
            of_odds[index] = 1 - right[index]
            found[index, :, 0] = found[index, :, 1 + index] = of_odds
            if layout.shares:
                others = np.delete(np.arange(classes), index)
                first = 1 + classes + index * (classes - 1)
                block = np.eye(classes - 1) - shares[index, others]
                found[index, others, first : first + classes - 1] = block
        return found
