"""A search for two classes that exchange labels both ways, where T ends with them as one class, and one without any.

Given labels tell such a pair from one mixed class, and a second that no sample belongs to for sure, by little: the
evidence of the heads that learnt through either differs by a few nats, and each is a resting place of turns of heads
and T. So T is tried with pairs of classes exchanged outright, heads learn through that, and what is kept is what the
evidence holds for likelier, and what lets the features tell each class: one whose samples cannot be told from
another's, or that has none, is no class that anybody set up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stages.methods import noise_turns, transition
from stages.methods.mislabelling import symmetric_transition
from stages.methods.noise_turns import Turn, Work
from stages.methods.transition_model import Structure

Floats = NDArray[np.float64]

_EXCHANGED = 0.4
"""Share of labels that two classes exchange in a try."""
_FLOW = 0.15
"""Share of a class's labels that must go to another, by the estimate, for the pair to be tried."""
_PAIRS, _ROUNDS = 4, 2
"""Pairs of classes tried at once, at most; and how often, each time from the best so far."""
_TOLD = 10.0
"""What it is worth, in nats of the evidence, that samples of a class are told e times as surely."""
_LEAST = 1e-3
"""Under which how surely they are told is not taken to fall."""
_GAIN = 2.0
"""In nats, that a try must be better by."""
_RATE = 0.3
"""Symmetric noise that T is fitted from, too."""


def search(work: Work, first: Turn) -> Turn:
    """Return the turn that T is to be taken from: the first, or a better one.

    Where the evidence holds that wrong labels go evenly to all other classes, or there are two, nothing is tried.
    """
    if work.classes == 2 or not first.best.structure.scatter:
        return first
    structure = first.best.structure
    kept, worth = first, _worth(_through(work, first.matrix, structure))
    for _ in range(_ROUNDS):
        tries = [_through(work, matrix, structure) for matrix in _exchanges(kept.matrix)]
        worths = [_worth(found) for found in tries]
        if max(worths, default=worth) <= worth + _GAIN:
            break
        worth = max(worths)
        kept = tries[worths.index(worth)]
    if kept is first:
        return first
    scattered = [fit.structure for fit in first.fits if fit.structure.scatter]
    return replace(kept, fits=transition.fit(kept.evidence, scattered, [kept.matrix]))


def _through(work: Work, matrix: Floats, structure: Structure) -> Turn:
    """Take a turn of heads that learn through a matrix."""
    return noise_turns.take(work, matrix, [structure], [symmetric_transition(_RATE, work.classes), matrix])


def _worth(turn: Turn) -> float:
    """Return what speaks for a turn, in nats: its evidence, and how surely the samples of each class are told."""
    best, evidence = turn.best, turn.evidence
    posterior = transition.posterior_of(best, evidence.logits)
    surely = np.einsum("nk,nk->k", posterior, posterior) / np.maximum(posterior.sum(axis=0), _LEAST)
    return best.log_evidence + _TOLD * float(np.log(np.maximum(surely, _LEAST)).sum())


def _exchanges(matrix: Floats) -> Iterator[Floats]:
    """Give T with two classes taken for each other, for the pairs between which most labels go."""
    flow = np.triu(np.maximum(matrix, matrix.T), k=1)
    pairs = np.argwhere(flow >= _FLOW)
    for one, other in pairs[np.argsort(-flow[tuple(pairs.T)], kind="stable")][:_PAIRS]:
        found = matrix.copy()
        for true, given in ((one, other), (other, one)):
            found[true] = 0
            found[true, [true, given]] = 1 - _EXCHANGED, _EXCHANGED
        yield found
