"""Bootstrap intervals: weights are repeats, groups are drawn whole, and the interval stands around the value."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stages.methods import intervals, metrics

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def drawn(seed: int, count: int = 40, classes: int = 3) -> tuple[Ints, Floats]:
    """Labels and posteriors in tenths, so that many are tied."""
    generator = np.random.default_rng(seed)
    label = np.r_[np.arange(classes), generator.integers(0, classes, count - classes)]
    parts = generator.multinomial(10, np.ones(classes) / classes, size=count)
    return label, np.asarray(parts / 10)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_one_group_of_all_gives_the_plain_metrics_ties_included(seed: int) -> None:
    label, posterior = drawn(seed)
    one_group = np.zeros(len(label), dtype=np.int64)
    found = intervals.bootstrap(label, posterior, one_group, 3, np.random.default_rng(seed))
    plain = metrics.overall(label, posterior)
    assert found.keys() == plain.keys()
    for name, value in plain.items():
        assert found[name] == pytest.approx((value, value)), name


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_weighing_a_sample_is_repeating_it(seed: int) -> None:
    label, posterior = drawn(seed)
    times = np.random.default_rng(seed).integers(0, 4, len(label))
    times[:3] = np.maximum(times[:3], 1)  # every class stays
    found = intervals._weighted_metrics(label, posterior, times[None].astype(np.float64))
    repeated = metrics.overall(np.repeat(label, times), np.repeat(posterior, times, axis=0))
    for name, value in repeated.items():
        assert found[name] == pytest.approx([value]), name


def test_the_interval_stands_around_the_value_and_narrows_with_samples() -> None:
    widths = []
    for count in (100, 2000):
        label, posterior = drawn(0, count)
        plain = metrics.overall(label, posterior)
        found = intervals.bootstrap(label, posterior, np.arange(count), 300, np.random.default_rng(0))
        for name, (low, high) in found.items():
            value = plain[name]
            assert value is not None
            assert low < value < high, name
        widths.append(found["accuracy"][1] - found["accuracy"][0])
    assert widths[1] < widths[0] / 3


def test_the_width_is_that_of_the_binomial() -> None:
    label = np.zeros(400, dtype=np.int64)
    label[200:] = 1
    posterior = np.eye(2)[np.r_[label[:100], 1 - label[100:200], label[200:300], 1 - label[300:]]]
    low, high = intervals.bootstrap(label, posterior, np.arange(400), 2000, np.random.default_rng(0))["accuracy"]
    assert (high - low) / 2 == pytest.approx(1.96 * math.sqrt(0.25 / 400), rel=0.1)


def test_groups_are_drawn_whole() -> None:
    label = np.tile([0, 1], 30)
    posterior = np.tile([[0.8, 0.2], [0.7, 0.3]], (30, 1))  # of each pair one is right and one is wrong
    pairs = np.repeat(np.arange(30), 2)
    drawn_in_pairs = intervals.bootstrap(label, posterior, pairs, 200, np.random.default_rng(0))
    drawn_alone = intervals.bootstrap(label, posterior, np.arange(60), 200, np.random.default_rng(0))
    assert drawn_in_pairs["accuracy"] == (0.5, 0.5)
    assert drawn_alone["accuracy"][1] - drawn_alone["accuracy"][0] > 0.15


def test_the_same_seed_gives_the_same_interval() -> None:
    label, posterior = drawn(1)
    group = np.arange(40) // 2
    first, again, other = (
        intervals.bootstrap(label, posterior, group, 120, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other


def test_a_class_that_a_resample_misses_is_left_out_of_its_means() -> None:
    label = np.r_[np.zeros(19, dtype=np.int64), 1]
    posterior = np.eye(2)[label] * 0.8 + 0.1
    found = intervals.bootstrap(label, posterior, np.arange(20), 200, np.random.default_rng(0))
    for name in ("accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1", "macro_auroc"):
        assert found[name] == (1, 1), name


def test_the_correlation_of_a_resample_with_one_class_is_undefined_and_not_0() -> None:
    label = np.r_[np.zeros(19, dtype=np.int64), 1]
    posterior = np.eye(2)[label] * 0.8 + 0.1  # never wrong
    found = intervals.bootstrap(label, posterior, np.arange(20), 200, np.random.default_rng(0))
    assert found["mcc"] == (1, 1)


def test_references_of_one_class_have_no_interval_of_what_is_undefined() -> None:
    posterior = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    found = intervals.bootstrap(np.zeros(3, dtype=np.int64), posterior, np.arange(3), 20, np.random.default_rng(0))
    assert all(math.isnan(bound) for bound in found["macro_auroc"])
    assert found["accuracy"][0] < found["accuracy"][1]
