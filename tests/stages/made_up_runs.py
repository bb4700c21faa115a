"""Made-up runs of two arms whose true difference is known."""

from __future__ import annotations

import math

import numpy as np

from stages.compare import CompareConfig, CompareInputs, Judged, run
from stages.methods.predictions import Predictions
from stages.report import SilentReport

SAMPLES = 300
EFFECT = 0.3
"""Logits by which arm `a` is better once something is bought."""


def simulated(seed: int, seeds: int, spread: float) -> list[Judged]:
    """Return runs of two arms on the same samples, some easier than others, seeds better or worse by chance."""
    generator = np.random.default_rng(seed)
    ease, label = generator.normal(size=SAMPLES), generator.integers(0, 2, SAMPLES)
    judged = []
    for name in ("a", "random"):
        for number in range(seeds):
            luck = generator.normal(0, spread)
            for budget in (0.0, 100.0):
                logit = 0.5 + ease + luck + (EFFECT if name == "a" and budget else 0)
                hit = generator.random(SAMPLES) < 1 / (1 + np.exp(-logit))
                judged.append(
                    Judged(name, str(number), budget, Predictions(label, None, np.where(hit, label, 1 - label), 2))
                )
    return judged


def true_difference(spread: float) -> float:
    """Return by how much the accuracy of arm `a` is the better, over samples and seeds without number."""
    ease = np.random.default_rng(0).normal(0, math.hypot(1, spread), 200_000)
    better, plain = (1 / (1 + np.exp(-(0.5 + effect + ease))) for effect in (EFFECT, 0.0))
    return float((better - plain).mean())


def share_held(seeds: int, spread: float, repetitions: int, bootstrap: int) -> float:
    """Return the share of made-up comparisons whose 95 % interval of the difference holds the true one."""
    truth, held = true_difference(spread), 0
    config = CompareConfig(metric="accuracy", bootstrap=bootstrap)
    for seed in range(repetitions):
        judged = simulated(seed, seeds, spread)
        inputs = CompareInputs(judged, {"a": "random"}, [], np.arange(SAMPLES), True, ("benign", "malign"))
        held += run(config, inputs, SilentReport()).against[0].points[-1].value.holds(truth)
    return held / repetitions
