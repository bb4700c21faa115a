"""How often the 95 % intervals of `evaluate` hold the true value, on made-up images whose true values are known.

python benchmarks/interval_coverage.py
python benchmarks/interval_coverage.py --groups 200 --repetitions 100

Five classes (60, 20, 10, 7 and 3 %); patients with one to six images of one class, whose logits they share in part. The
true value of a metric is that of 400,000 patients. Each repetition draws patients anew, and makes intervals by drawing
whole patients, as the command does, and by drawing images as if each stood alone, which is told for comparison.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from stages.methods import intervals, metrics
from stages.methods.predictions import Predictions

Floats = NDArray[np.float64]
Interval = tuple[float, float]
SHARES = np.array([0.60, 0.20, 0.10, 0.07, 0.03])
RARE = len(SHARES) - 1
OVERALL = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "macro_auroc",
    "macro_average_precision",
    "mcc",
    "kappa",
    "log_loss",
    "brier_score",
    "expected_calibration_error",
)
BY_CLASS = ("recall", "precision", "auroc")


def drawn(groups: int, generator: np.random.Generator) -> tuple[Predictions, NDArray[np.int64]]:
    """Draw patients: their images' predictions, and the patient of each image."""
    group = np.repeat(np.arange(groups), generator.integers(1, 7, groups))
    label = generator.choice(len(SHARES), groups, p=SHARES)[group]
    shared = generator.normal(size=(groups, len(SHARES)))[group]
    logits = 2.2 * np.eye(len(SHARES))[label] + 0.6 * np.log(SHARES) + shared
    logits += generator.normal(size=(len(group), len(SHARES)))
    logits *= 1.3  # surer than it should be
    posterior = np.exp(logits - logits.max(axis=1, keepdims=True))
    return Predictions(label, posterior / posterior.sum(axis=1, keepdims=True)), group


def values(of: Predictions) -> dict[str, float]:
    """Return the metrics that are looked at."""
    found = metrics.by_class(of)
    overall = metrics.overall(of, found=found)
    told = {name: value for name in OVERALL if (value := overall[name]) is not None}
    return told | {f"{name} of the rarest": float(getattr(found, name)[RARE]) for name in BY_CLASS}


def replicates(
    of: Predictions, group: NDArray[np.int64], count: int, generator: np.random.Generator
) -> dict[str, Floats]:
    found = intervals.replicate(of, intervals.resamples(group, count, generator))
    told = {name: found.overall[name] for name in OVERALL}
    return told | {f"{name} of the rarest": found.by_class[name][:, RARE] for name in BY_CLASS}


def seen_in(of: Predictions, group: NDArray[np.int64]) -> dict[str, int]:
    """Return in how many patients those images are that a metric of the rarest class hangs on."""
    which = {"recall": of.label == RARE, "precision": of.predicted == RARE, "auroc": of.label == RARE}
    return {f"{name} of the rarest": intervals.groups_of(group, chosen) for name, chosen in which.items()}


def percentile(values: Floats, value: float, groups: int) -> Interval:
    """Return what the command tells of metrics over all classes."""
    return intervals.bounds(values)


def basic(values: Floats, value: float, groups: int) -> Interval:
    """Return the percentiles mirrored at the value."""
    low, high = intervals.bounds(values)
    return 2 * value - high, 2 * value - low


def expanded(values: Floats, value: float, groups: int) -> Interval:
    """Return wider percentiles, as a t-interval is wider than a normal one (Hesterberg 2015)."""
    groups = max(groups, 2)
    tail = stats.norm.cdf(math.sqrt(groups / (groups - 1)) * stats.t.ppf(0.025, groups - 1))
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, [100 * tail, 100 * (1 - tail)])
    return float(low), float(high)


def logit_t(values: Floats, value: float, groups: int) -> Interval:
    """Return what the command tells of metrics of one class."""
    return intervals.of_class(values, value, groups) if value < 1 else percentile(values, value, groups)


def effective(values: Floats, value: float, groups: int) -> Interval:
    """Return Clopper and Pearson's interval of as many samples as would vary as much (Korn and Graubard 1998)."""
    variance = float(np.nanvar(values))
    if not 0 < value < 1 or groups < 2 or not variance:
        return percentile(values, value, groups)
    shrink = (stats.norm.ppf(0.975) / stats.t.ppf(0.975, groups - 1)) ** 2
    count = value * (1 - value) / variance * shrink
    hits = value * count
    return float(stats.beta.ppf(0.025, hits, count - hits + 1)), float(stats.beta.ppf(0.975, hits + 1, count - hits))


def bias_corrected(values: Floats, value: float, groups: int) -> Interval:
    """Return percentiles moved by the median's bias (Efron 1981); BCa without its acceleration."""
    known = values[np.isfinite(values)]
    if not len(known):
        return math.nan, math.nan
    below = ((known < value).sum() + 0.5 * (known == value).sum()) / len(known)
    moved = stats.norm.ppf(np.clip(below, 0.5 / len(known), 1 - 0.5 / len(known)))
    low, high = np.percentile(known, 100 * stats.norm.cdf(2 * moved + stats.norm.ppf([0.025, 0.975])))
    return float(low), float(high)


WAYS: dict[str, Callable[[Floats, float, int], Interval]] = {
    "groups": percentile,
    "basic": basic,
    "expanded": expanded,
    "bias-corrected": bias_corrected,
    "logit t": logit_t,
    "effective": effective,
}


def covered(
    groups: int, repetitions: int, resamples: int, truth: dict[str, float]
) -> dict[str, dict[str, list[float]]]:
    """Return, by metric and way, how often the true value is held, and the intervals' mean width."""
    held: dict[str, dict[str, list[Interval]]] = defaultdict(lambda: defaultdict(list))
    told: dict[str, list[float]] = defaultdict(list)
    for repetition in range(repetitions):
        generator = np.random.default_rng([groups, repetition])
        of, group = drawn(groups, generator)
        plain, within = values(of), seen_in(of, group)
        by_group = replicates(of, group, resamples, generator)
        alone = replicates(of, np.arange(len(group)), resamples, generator)
        for name, value in plain.items():
            if math.isnan(value):
                continue
            told[name].append(value)
            for way, make in WAYS.items():
                held[name][way].append(make(by_group[name], value, within.get(name, groups)))
            held[name]["images"].append(percentile(alone[name], value, within.get(name, groups)))
    return {
        name: {
            way: [
                float(np.mean([low <= truth[name] <= high for low, high in found])),
                float(np.mean(np.ptp(found, axis=1))),
            ]
            for way, found in ways.items()
        }
        | {"bias": [float(np.mean(told[name])) - truth[name], float(np.std(told[name]))]}
        for name, ways in held.items()
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--groups", type=int, nargs="+", default=[200, 600, 2000])
    words.add_argument("--repetitions", type=int, default=500)
    words.add_argument("--resamples", type=int, default=400)
    given = words.parse_args()
    truth = values(drawn(400_000, np.random.default_rng(0))[0])
    for groups in given.groups:
        print(f"\n{groups:,} patients, {given.repetitions} repetitions of {given.resamples} resamples\n")
        ways = [*WAYS, "images"]
        print("| metric | true | bias | width | " + " | ".join(ways) + " |\n|---|---|---|---|" + "---|" * len(ways))
        for name, told in covered(groups, given.repetitions, given.resamples, truth).items():
            shares = " | ".join(f"{told[way][0]:.3f}" for way in ways)
            label = name.replace("_", " ")
            print(
                f"| {label} | {truth[name]:.3f} | {told['bias'][0]:+.4f} | {told['groups'][1]:.3f} | {shares} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
