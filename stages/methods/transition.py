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

from stages.methods.softmaxes import softmax
from stages.methods.transition_model import Evidence, Layout, Model, Structure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_CLASSES = 40
"""Past so many classes wrong labels are taken to go evenly to all others: K * K parameters are too many to weigh."""
_NEGLIGIBLE = 1e-3  # weight of a structure under which it is left out
_STEPS = 200
_HEAT, _FINALISTS = 15, 3  # steps of every start where there are many, and how many of them go on to the end


STRUCTURES = tuple(Structure(spread, scatter) for scatter in (0.0, 3.0) for spread in (0.1, 0.4, 1.2))


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
    return [_fit(Model(evidence, structure), starts) for structure in tried]


def weights(fits: Sequence[Fit]) -> Floats:
    """Return the posterior weight of each structure; those that hardly count are 0."""
    found = softmax(np.array([[fit.log_evidence for fit in fits]]))[0]
    found[found < _NEGLIGIBLE] = 0
    return np.asarray(found / found.sum())


def transition_of(fit: Fit, classes: int) -> Floats:
    """Return T, (K, K)."""
    return np.asarray(np.exp(Layout(classes, fit.structure).log_transition(fit.parameters)))


def posterior_of(fit: Fit, logits: Floats) -> Floats:
    """Return the posterior of the true class by the features alone, (N, K), of logits of the same classifier."""
    log_scale, shifts = Layout(logits.shape[1], fit.structure).calibration(fit.parameters)
    return softmax(logits * np.exp(log_scale) + shifts)


def calibrate(evidence: Evidence, matrix: Floats, logits: Floats) -> Floats:
    """Return the posterior of the true class by the features alone, (N, K), where T, (K, K), is known.

    Args:
        evidence: of samples by which scale and shift of the logits are fitted.
        matrix: T.
        logits: (N, K) of the samples asked about, by the same classifier.
    """
    classes = evidence.logits.shape[1]
    model = Model(evidence, Structure(1.0, 1.0 if 2 < classes <= MOST_CLASSES else 0.0))
    start = model.layout.start(matrix)
    own = model.layout.size - 1 - classes

    def negative(calibration: Floats) -> tuple[float, Floats]:
        value, gradient = model.negative(np.concatenate([start[:own], calibration]))
        return value, gradient[own:]

    found = minimize(negative, start[own:], jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x
    return softmax(logits * np.exp(found[0]) + found[1:])


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


def _fit(model: Model, starts: Sequence[Floats]) -> Fit:
    begun = [model.layout.start(start) for start in starts]
    if len(begun) > _FINALISTS:
        heats = sorted((_descend(model, start, _HEAT) for start in begun), key=lambda pair: pair[0])
        begun = [parameters for _, parameters in heats[:_FINALISTS]]
    parameters = min((_descend(model, start, _STEPS) for start in begun), key=lambda pair: pair[0])[1]
    precision = _factor(model.curvature(parameters))
    return Fit(model.layout.structure, parameters, precision, model.log_evidence(parameters, precision))


def _descend(model: Model, start: Floats, steps: int) -> tuple[float, Floats]:
    result = minimize(model.negative, start, jac=True, method="L-BFGS-B", options={"maxiter": steps})
    return float(result.fun), np.asarray(result.x)


def _factor(curvature: Floats) -> Floats:
    """Return the Cholesky factor, where need be of what is nearly the curvature and has no direction of ascent."""
    try:
        return np.asarray(cholesky(curvature, lower=True))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(curvature)
        floor = 1e-3 * max(float(np.median(values)), 1e-3)
        return np.asarray(cholesky((vectors * np.maximum(values, floor)) @ vectors.T, lower=True))
