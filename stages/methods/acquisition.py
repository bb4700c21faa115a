"""Strategies that rank: how much each candidate is worth an expert's look, whatever the others are.

A strategy takes what is known of the candidates and gives a chooser, which is asked for one pick after the other among
those that are still allowed. Those that look at the batch as a whole are in `batch_acquisition`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Pick = tuple[int, float]
"""A candidate's place, and its worth when it was picked."""

Strategy = Literal[
    "random",
    "class-balanced-random",
    "entropy",
    "least-confidence",
    "margin",
    "bald",
    "disagreement",
    "neighbours",
    "label-quality",
    "expected-correction",
    "coreset",
    "badge",
    "typiclust",
    "mix",
]
Quality = Literal[
    "self-confidence",
    "normalised-margin",
    "cross-entropy-less-entropy",
    "confidence-weighted-entropy",
    "area-under-margin",
]
UNCERTAINTY: Mapping[str, tuple[str, int]] = {
    "entropy": ("entropy", 1),  # Shannon 1948; Settles 2009
    "least-confidence": ("least_confidence", 1),  # Lewis and Gale 1994
    "margin": ("margin", -1),  # Scheffer et al. 2001
    "bald": ("bald", 1),  # Houlsby et al. 2011; Gal et al. 2017
    "disagreement": ("disagreement", 1),  # McCallum and Nigam 1998
    "neighbours": ("neighbour_disagreement", 1),
}
"""Strategies that go by one column of the scores: 1 where the largest are worth most, -1 where the smallest are."""
QUALITY: Mapping[str, tuple[str, int]] = {
    "self-confidence": ("self_confidence", -1),
    "normalised-margin": ("normalised_margin", -1),
    "cross-entropy-less-entropy": ("cross_entropy_less_entropy", 1),
    "confidence-weighted-entropy": ("confidence_weighted_entropy", 1),
    "area-under-margin": ("area_under_margin", -1),  # Pleiss et al. 2020
}
"""The same, for how suspicious the given label is."""


@dataclass(frozen=True)
class Candidates:
    """What is known of N candidates, in the order of their ids; what a strategy does not ask for may be missing.

    Attributes:
        given: (N,) class of each one's label.
        columns: of the scores, (N,) each.
        posterior: (N, K).
        worth_of_correction: (N,) expected worth of mending each one's label.
        embeddings: (N, H).
        trusted: (M, H) embeddings of what is trusted already (judged clean, or relabelled).
        labelled: (L, H) embeddings of what an expert has labelled already.
    """

    given: Ints
    columns: Mapping[str, Floats] = field(default_factory=dict)
    posterior: Floats | None = None
    worth_of_correction: Floats | None = None
    embeddings: Tensor | None = None
    trusted: Tensor | None = None
    labelled: Tensor | None = None


class Chooser(Protocol):
    """Gives picks, one after the other."""

    def next(self, allowed: Bools) -> Pick | None:
        """Return the best of those that are `allowed`, (N,); None if there are none."""

    def took(self, place: int) -> None:
        """Take note that a candidate is in the queue now, whoever picked it."""

    def again(self) -> None:
        """Take note that what was not allowed before may be now."""


class Ranked:
    """Picks by worth, largest first; of equals, the first."""

    def __init__(self, worth: Floats) -> None:
        """Take the worth of each candidate, (N,)."""
        self._worth = worth
        self._order = np.argsort(-worth, kind="stable")
        self._at = 0

    def next(self, allowed: Bools) -> Pick | None:
        """Go down the order; from its top again where what was passed over has become allowed."""
        place = self._down(allowed)
        if place is None:
            self._at = 0
            place = self._down(allowed)
        return None if place is None else (place, float(self._worth[place]))

    def _down(self, allowed: Bools) -> int | None:
        while self._at < len(self._order):
            place = int(self._order[self._at])
            if allowed[place]:
                return place
            self._at += 1
        return None

    def took(self, place: int) -> None:
        """Do nothing: worth does not depend on the others."""

    def again(self) -> None:
        """Begin at the top of the order."""
        self._at = 0


def ranking(strategy: str, candidates: Candidates, quality: str, generator: np.random.Generator) -> Floats:
    """Return the worth of each candidate, (N,), by a strategy that ranks; the larger, the more worth a look.

    Args:
        strategy: its name.
        candidates: what is known of them.
        quality: which measure `label-quality` goes by.
        generator: of random choice.
    """
    if strategy == "random":
        return generator.random(len(candidates.given))
    if strategy == "class-balanced-random":
        return _class_balanced(candidates.given, generator)
    if strategy == "expected-correction":
        assert candidates.worth_of_correction is not None
        return candidates.worth_of_correction
    column, sign = QUALITY[quality] if strategy == "label-quality" else UNCERTAINTY[strategy]
    return sign * candidates.columns[column]


def _class_balanced(label: Ints, generator: np.random.Generator) -> Floats:
    """Draw from each class in turn: the n-th drawn of any class comes before the (n+1)-th of all."""
    drawn = generator.random(len(label))
    turn = np.empty(len(label))
    order = np.lexsort((drawn, label))
    first = np.searchsorted(label[order], label[order])  # where each one's class begins
    turn[order] = np.arange(len(label)) - first
    return -(turn + generator.random(len(label)))  # drawn anew: the least of many draws would favour common classes
