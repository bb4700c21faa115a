"""A turn: heads learn through T, judge samples they have not learnt from, and T is fitted anew to what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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


Judgement = tuple[Floats, list[list[Head]]]
"""Logits (n, K) out of sample, and the heads that gave them, one a fold, by view."""


@dataclass(frozen=True)
class View:
    """One way to look at the samples: other views have kernels of other widths, and other folds.

    Attributes:
        mapped: (n, F) features, by the kernel.
        folds: the rows of each.
    """

    mapped: Floats
    folds: list[Ints]


@dataclass(frozen=True)
class Work:
    """What is learnt from.

    Attributes:
        views: one or more; what heads say is the mean over them.
        given: (n,) labels as first given, or `UNKNOWN`.
        true: (n,) classes that an expert told, else `UNKNOWN`.
        classes: K.
    """

    views: tuple[View, ...]
    given: Ints
    true: Ints
    classes: int

    @property
    def quick(self) -> Work:
        """The same in one view alone, for tries."""
        return replace(self, views=self.views[:1])


@dataclass(frozen=True)
class Turn:
    """Fits of T to what heads say, what they are fitted to, and the heads, one a fold, by view."""

    fits: list[Fit]
    evidence: Evidence
    heads: list[list[Head]]

    @property
    def matrix(self) -> Floats:
        """T, (K, K), the mean over the structures."""
        classes = self.evidence.logits.shape[1]
        matrices = [transition.transition_of(fit, classes) for fit in self.fits]
        return np.asarray(np.average(matrices, axis=0, weights=transition.weights(self.fits)))

    @property
    def judgement(self) -> Judgement:
        """What T was fitted to, and the heads."""
        return self.evidence.logits, self.heads

    @property
    def best(self) -> Fit:
        """The fit of the likeliest structure."""
        return max(self.fits, key=lambda fit: fit.log_evidence)


def take(work: Work, matrix: Floats, structures: Sequence[Structure], starts: Sequence[Floats]) -> Turn:
    """Take a turn: heads through `matrix`, (K, K), then T of each structure from the best of the starts."""
    logits, heads = out_of_sample(work, matrix)
    evidence = Evidence(logits, work.given, work.true)
    return Turn(transition.fit(evidence, structures, starts), evidence, heads)


def out_of_sample(work: Work, matrix: Floats) -> Judgement:
    """Return logits (n, K) by heads that have not learnt from the sample's fold, and the heads, by view."""
    logits, heads = zip(*(_of_view(view, work, matrix) for view in work.views), strict=True)
    return np.asarray(np.mean(logits, axis=0)), list(heads)


def _of_view(view: View, work: Work, matrix: Floats) -> tuple[Floats, list[Head]]:
    logits = np.zeros((len(work.given), work.classes))
    heads = []
    for fold in view.folds:
        rest = np.ones(len(work.given), dtype=bool)
        rest[fold] = False
        ridge = _PRECISION / int(rest.sum())
        head = fit_head(view.mapped[rest], work.given[rest], work.true[rest], matrix, ridge)
        logits[fold] = head.logits(view.mapped[fold])
        heads.append(head)
    return logits, heads


def truth(posterior: Floats, evidence: Evidence, matrix: Floats) -> Floats:
    """Return the posterior of the true class given features, label and what an expert told, (N, K)."""
    known, labelled = evidence.true != UNKNOWN, evidence.given != UNKNOWN
    found = posterior.copy()
    found[labelled] = posterior_of_truth(posterior[labelled], evidence.given[labelled], matrix)
    found[known] = np.eye(posterior.shape[1])[evidence.true[known]]
    return found
