"""A turn: heads learn through T, judge samples they have not learnt from, and T is fitted anew to what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.methods import transition
from stages.methods.mislabelling import posterior_of_truth
from stages.methods.noisy_head import Head, fit_head
from stages.methods.transition import Fit
from stages.methods.transition_model import UNKNOWN, Evidence, Structure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PRECISION = 200.0
"""Of the normal prior of the heads' weights, on features of unit variance."""


@dataclass(frozen=True)
class Work:
    """What is learnt from.

    Attributes:
        mapped: (n, F) features, by the kernel.
        given: (n,) labels as first given, or `UNKNOWN`.
        true: (n,) classes that an expert told, else `UNKNOWN`.
        folds: the rows of each.
        classes: K.
    """

    mapped: Floats
    given: Ints
    true: Ints
    folds: list[Ints]
    classes: int


@dataclass(frozen=True)
class Turn:
    """Fits of T to what heads say, what they are fitted to, and the heads, one a fold."""

    fits: list[Fit]
    evidence: Evidence
    heads: list[Head]

    @property
    def matrix(self) -> Floats:
        """T, (K, K), the mean over the structures."""
        classes = self.evidence.logits.shape[1]
        matrices = [transition.transition_of(fit, classes) for fit in self.fits]
        return np.asarray(np.average(matrices, axis=0, weights=transition.weights(self.fits)))

    @property
    def best(self) -> Fit:
        """The fit of the likeliest structure."""
        return max(self.fits, key=lambda fit: fit.log_evidence)


def take(work: Work, matrix: Floats, structures: Sequence[Structure], starts: Sequence[Floats]) -> Turn:
    """Take a turn: heads through `matrix`, (K, K), then T of each structure from the best of the starts."""
    logits, heads = out_of_sample(work, matrix)
    evidence = Evidence(logits, work.given, work.true)
    return Turn(transition.fit(evidence, structures, starts), evidence, heads)


def out_of_sample(work: Work, matrix: Floats) -> tuple[Floats, list[Head]]:
    """Return logits (n, K) by heads that have not learnt from the sample's fold, and the heads."""
    logits = np.zeros((len(work.given), work.classes))
    heads = []
    for fold in work.folds:
        rest = np.ones(len(work.given), dtype=bool)
        rest[fold] = False
        ridge = _PRECISION / int(rest.sum())
        head = fit_head(work.mapped[rest], work.given[rest], work.true[rest], matrix, ridge)
        logits[fold] = head.logits(work.mapped[fold])
        heads.append(head)
    return logits, heads


def truth(posterior: Floats, evidence: Evidence, matrix: Floats) -> Floats:
    """Return the posterior of the true class given features, label and what an expert told, (N, K)."""
    known, labelled = evidence.true != UNKNOWN, evidence.given != UNKNOWN
    found = posterior.copy()
    found[labelled] = posterior_of_truth(posterior[labelled], evidence.given[labelled], matrix)
    found[known] = np.eye(posterior.shape[1])[evidence.true[known]]
    return found
