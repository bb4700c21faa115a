"""Strategies: how much each candidate is worth an expert's look. Each takes arrays, and gives (N,), larger first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Strategy = Literal["random", "entropy", "least-confidence", "margin"]


@dataclass(frozen=True)
class Candidates:
    """What is known of N candidates: entropy in nats, least confidence and margin, (N,) each."""

    entropy: Floats
    least_confidence: Floats
    margin: Floats


def _random(candidates: Candidates, generator: np.random.Generator) -> Floats:
    """Draw evenly: the control that every strategy is held against."""
    return generator.random(len(candidates.entropy))


def _entropy(candidates: Candidates, generator: np.random.Generator) -> Floats:
    """Take the largest entropy of the posterior (Shannon 1948; Settles 2009)."""
    return candidates.entropy


def _least_confidence(candidates: Candidates, generator: np.random.Generator) -> Floats:
    """Take the smallest largest posterior (Lewis and Gale 1994)."""
    return candidates.least_confidence


def _margin(candidates: Candidates, generator: np.random.Generator) -> Floats:
    """Take the smallest lead of the first class over the second (Scheffer et al. 2001)."""
    return -candidates.margin


STRATEGIES: Mapping[str, Callable[[Candidates, np.random.Generator], Floats]] = {
    "random": _random,
    "entropy": _entropy,
    "least-confidence": _least_confidence,
    "margin": _margin,
}


def best(worth: Floats, budget: int) -> NDArray[np.int64]:
    """Return the places of the `budget` largest values, largest first; ties by place."""
    return np.argsort(-worth, kind="stable")[:budget].astype(np.int64)
