"""The noise transition matrix, estimated from given labels and what a classifier makes of the samples.

T[k, y] is the chance that a sample of true class k is given label y. With p the posterior of the true class by the
features alone, a given label has the likelihood sum_k p_k T[k, y] (Patrini et al. 2017), and an expert's label that of
its class. What a classifier says out of sample is over- or underconfident, so p is the softmax of its logits scaled and
shifted, both estimated with T: else a shrunken posterior is taken for label noise.

T is held by a hierarchical prior, as a rare class alone tells little: the log odds of a right label scatter by class
around a common value, and the log shares of the wrong labels scatter around being even. How much they scatter is
chosen by the evidence (the marginal likelihood, by Laplace's approximation: MacKay 1992); the results are means over
the structures tried, weighed by it, and intervals come from draws of their posteriors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import expit, log_expit, log_softmax, logit, logsumexp, softmax

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNKNOWN = -1
"""Stands for a label that is not known."""
MOST_CLASSES = 40
"""Past so many classes wrong labels are taken to go evenly to all others: K * K parameters are too many to weigh."""
_ODDS = (1.0, 1.5)  # mean and deviation of the log odds that a label is right: half to nine in ten
_SHIFT = 0.5  # deviation of the shifts of the logits
_SCALE = 1.0  # deviation of the log of their scale
_RATES_DIFFER = 20.0
"""Rate of the exponential prior of the spread of log odds (Simpson et al. 2017): 0.15 or more has 5 %."""
_NEGLIGIBLE = 1e-3  # weight of a structure under which it is left out
_STEPS = 200


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


STRUCTURES = tuple(Structure(spread, scatter) for scatter in (0.0, 3.0) for spread in (0.1, 0.4, 1.2))


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
class Fit:
    """The mode of one structure's posterior.

    Attributes:
        structure: that was fitted.
        parameters: log odds of a right label on average; then by class the difference from it; then by class the log
            shares of its wrong labels; then the log scale and the shifts of the logits.
        precision: Cholesky factor (lower) of the negative log posterior's second derivatives there.
        log_evidence: up to a constant that is the same for all structures.
    """

    structure: Structure
    parameters: Floats
    precision: Floats
    log_evidence: float


def fit(evidence: Evidence, structures: Sequence[Structure], starts: Sequence[Floats]) -> list[Fit]:
    """Return each structure's fit, from the best of the starts.

    Args:
        evidence: of N samples and K classes, two or more.
        structures: to try; those with scatter are left out for more than `MOST_CLASSES` classes.
        starts: transition matrices (K, K) to begin from.
    """
    classes = evidence.logits.shape[1]
    tried = [found for found in structures if not found.scatter or 2 < classes <= MOST_CLASSES]
    return [_fit(_Model(evidence, structure), starts) for structure in tried]


def weights(fits: Sequence[Fit]) -> Floats:
    """Return the posterior weight of each structure; those that hardly count are 0."""
    found = softmax(np.array([fit.log_evidence for fit in fits]))
    found[found < _NEGLIGIBLE] = 0
    return np.asarray(found / found.sum())


def transition_of(fit: Fit, classes: int) -> Floats:
    """Return T, (K, K)."""
    return np.asarray(np.exp(_Layout(classes, fit.structure).log_transition(fit.parameters)))


def posterior_of(fit: Fit, logits: Floats) -> Floats:
    """Return the posterior of the true class by the features alone, (N, K), of logits of the same classifier."""
    log_scale, shifts = _Layout(logits.shape[1], fit.structure).calibration(fit.parameters)
    return np.asarray(softmax(logits * np.exp(log_scale) + shifts, axis=1))


def calibrate(evidence: Evidence, matrix: Floats) -> Floats:
    """Return the posterior of the true class by the features alone, (N, K), where T, (K, K), is known."""
    classes = evidence.logits.shape[1]
    model = _Model(evidence, Structure(1.0, 1.0 if 2 < classes <= MOST_CLASSES else 0.0))
    start = model.layout.start(matrix)
    own = model.layout.size - 1 - classes

    def negative(calibration: Floats) -> tuple[float, Floats]:
        value, gradient = model.negative(np.concatenate([start[:own], calibration]))
        return value, gradient[own:]

    found = minimize(negative, start[own:], jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x
    return np.asarray(softmax(evidence.logits * np.exp(found[0]) + found[1:], axis=1))


def draws(fits: Sequence[Fit], classes: int, count: int, generator: np.random.Generator) -> list[Fit]:
    """Return draws from the posterior over structures and parameters, each as a fit."""
    chosen = generator.choice(len(fits), size=count, p=weights(fits))
    found = []
    for index in chosen:
        drawn = fits[index]
        noise = solve_triangular(
            drawn.precision, generator.standard_normal(len(drawn.parameters)), lower=True, trans="T"
        )
        found.append(Fit(drawn.structure, drawn.parameters + noise, drawn.precision, drawn.log_evidence))
    return found


@dataclass(frozen=True)
class _Layout:
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
        return np.asarray(log_softmax(found, axis=1))

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


class _Model:
    """The posterior of the parameters, given the evidence."""

    def __init__(self, evidence: Evidence, structure: Structure) -> None:
        classes = evidence.logits.shape[1]
        self.layout = _Layout(classes, structure)
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
        log_posterior = log_softmax(self._logits * np.exp(log_scale) + shifts, axis=1)
        log_transition = self.layout.log_transition(parameters)
        of_label = np.concatenate([log_transition, np.zeros((classes, 1))], axis=1)[:, self._given].T
        joint = log_posterior + of_label + self._impossible
        total = logsumexp(joint, axis=1)
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


def _fit(model: _Model, starts: Sequence[Floats]) -> Fit:
    found = [_descend(model, model.layout.start(start)) for start in starts]
    parameters = min(found, key=lambda pair: pair[0])[1]
    precision = _factor(model.curvature(parameters))
    return Fit(model.layout.structure, parameters, precision, model.log_evidence(parameters, precision))


def _descend(model: _Model, start: Floats) -> tuple[float, Floats]:
    result = minimize(model.negative, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    return float(result.fun), np.asarray(result.x)


def _factor(curvature: Floats) -> Floats:
    """Return the Cholesky factor, where need be of what is nearly the curvature and has no direction of ascent."""
    try:
        return np.asarray(cholesky(curvature, lower=True))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(curvature)
        floor = 1e-3 * max(float(np.median(values)), 1e-3)
        return np.asarray(cholesky((vectors * np.maximum(values, floor)) @ vectors.T, lower=True))
