"""Bootstrap intervals: weights are repeats, groups are drawn whole, and the interval stands around the value."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from stages.methods import calibration, intervals, metrics
from stages.methods.intervals import Replicates, Resamples
from stages.methods.metrics import BY_CLASS, Yardstick
from stages.methods.predictions import Predictions

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def drawn(seed: int, count: int = 40, classes: int = 4, present: int = 4, tied: bool = True) -> Predictions:
    """References of some of the classes and posteriors for all, in tenths so that many are tied."""
    generator = np.random.default_rng(seed)
    label = generator.integers(0, present, count)
    if tied:
        return Predictions(label, generator.multinomial(10, np.ones(classes) / classes, size=count) / 10)
    logits = generator.normal(size=(count, classes)) + 1.5 * np.eye(classes)[label]
    return Predictions(label, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


def yardstick(classes: int = 4) -> Yardstick:
    """All that can be asked for."""
    members = np.arange(classes) % 3
    return Yardstick(
        top_k=(1, 2, 3),
        ordered=True,
        costs=np.random.default_rng(0).uniform(0, 5, (classes, classes)),
        class_groups={name: members == number for number, name in enumerate(("many", "medium", "few"))},
    )


def weighed(times: Ints | Floats) -> Resamples:
    """One resample: each sample its own group, drawn so many times."""
    return Resamples(np.arange(len(times)), np.asarray(times, dtype=np.float64)[None])


def each_alone(count: int) -> Ints:
    return np.arange(count, dtype=np.int64)


def bounds_of(
    of: Predictions, group: Ints, replicates: int = 300, seed: int = 0, how: Yardstick = metrics.PLAIN
) -> dict[str, tuple[float, float]]:
    resamples = intervals.resamples(group, replicates, np.random.default_rng(seed))
    found = intervals.replicate(of, resamples, how).overall
    return {name: intervals.bounds(values) for name, values in found.items()}


def same(found: Replicates, of: Predictions, how: Yardstick, tolerance: float = 1e-9) -> None:
    """Assert that the only resample's metrics are those of the samples."""
    plain = metrics.overall(of, how)
    assert set(found.overall) == set(plain)
    for name, value in plain.items():
        expected = math.nan if value is None else value
        assert found.overall[name] == pytest.approx([expected], abs=tolerance, nan_ok=True), name
    by_class = metrics.by_class(of)
    assert set(found.by_class) == set(BY_CLASS)
    for name in BY_CLASS:
        expected = getattr(by_class, name)
        assert found.by_class[name][0] == pytest.approx(expected, abs=tolerance, nan_ok=True), name


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(2, 6), st.integers(1, 6), st.booleans(), st.booleans())
@settings(max_examples=50, deadline=None)
def test_a_resample_that_is_the_sample_gives_every_plain_metric(
    seed: int, count: int, classes: int, present: int, tied: bool, with_posterior: bool
) -> None:
    of = drawn(seed, count, classes, min(present, classes), tied)
    if not with_posterior:
        of = Predictions(of.label, None, of.predicted, classes)
    how = yardstick(classes)
    same(intervals.replicate(of, weighed(np.ones(count)), how), of, how)


@given(st.integers(0, 10_000), st.integers(1, 6), st.booleans())
@settings(max_examples=50, deadline=None)
def test_weighing_a_sample_is_repeating_it(seed: int, present: int, tied: bool) -> None:
    of = drawn(seed, 40, 6, present, tied)
    times = np.random.default_rng(seed).integers(0, 4, 40)
    times[0] += 1
    repeated = of.at(np.repeat(np.arange(40), times))
    found = intervals.replicate(of, weighed(times), yardstick(6))
    error = found.overall.pop("expected_calibration_error")  # moved to lie about that of the sample
    assert error == pytest.approx([calibration.expected_error(of, 15)])
    plain = metrics.overall(repeated, yardstick(6))
    for name, values in found.overall.items():
        value = plain[name]
        assert values == pytest.approx([math.nan if value is None else value], abs=1e-9, nan_ok=True), name
    by_class = metrics.by_class(repeated)
    for name, values in found.by_class.items():
        assert values[0] == pytest.approx(getattr(by_class, name), abs=1e-9, nan_ok=True), name


@given(st.integers(0, 10_000), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_each_resample_is_that_of_its_groups_repeated(seed: int, most: int) -> None:
    of, generator = drawn(seed), np.random.default_rng(seed)
    group = np.unique(generator.integers(0, 40 // most, 40), return_inverse=True)[1].astype(np.int64)
    resamples = intervals.resamples(group, 7, generator)
    assert resamples.weight.shape == (7, group.max() + 1)
    assert (resamples.weight.sum(axis=1) == group.max() + 1).all()
    found = intervals.replicate(of, resamples, yardstick())
    for number, times in enumerate(resamples.weight.astype(int)):
        plain = metrics.overall(of.at(np.repeat(np.arange(40), times[group])), yardstick())
        for name in ("balanced_accuracy", "macro_auroc", "macro_average_precision", "mcc", "log_loss", "few_macro_f1"):
            value = plain[name]
            expected = math.nan if value is None else value
            assert found.overall[name][number] == pytest.approx(expected, abs=1e-9, nan_ok=True), name


@pytest.mark.parametrize("count", [2048, 2049, 20_000])
@pytest.mark.parametrize("tied", [True, False])
def test_past_2048_samples_ranks_are_kept_to_a_thousandth(count: int, tied: bool) -> None:
    of = drawn(count, count, 4, 3, tied)
    found = intervals.replicate(of, Resamples(np.zeros(count, dtype=np.int64), np.ones((1, 1))), yardstick())
    same(found, of, yardstick(), tolerance=1e-9 if count <= 2048 or tied else 1e-3)


def test_a_class_of_few_among_very_many_keeps_its_ranks() -> None:
    generator, count = np.random.default_rng(0), 300_000
    label = (generator.random(count) < 0.0005).astype(np.int64)
    score = 1 / (1 + np.exp(6 - 3 * label - generator.normal(size=count)))
    of = Predictions(label, np.stack([1 - score, score], axis=1))
    found = intervals.replicate(of, Resamples(np.zeros(count, dtype=np.int64), np.ones((1, 1))))
    plain = metrics.by_class(of)
    assert 0.1 < plain.average_precision[1] < 0.9
    np.testing.assert_allclose(found.by_class["auroc"][0], plain.auroc, atol=1e-3)
    np.testing.assert_allclose(found.by_class["average_precision"][0], plain.average_precision, atol=1e-3)


def test_the_interval_stands_around_the_value_and_narrows_with_samples() -> None:
    widths = []
    for count in (100, 2000):
        of = drawn(0, count, tied=False)
        plain, found = metrics.overall(of, yardstick()), bounds_of(of, each_alone(count), how=yardstick())
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
    low, high = bounds_of(Predictions(label, posterior), each_alone(400), 2000)["accuracy"]
    assert (high - low) / 2 == pytest.approx(1.96 * math.sqrt(0.25 / 400), rel=0.1)


def test_groups_are_drawn_whole() -> None:
    of = Predictions(np.tile([0, 1], 30), np.tile([[0.8, 0.2], [0.7, 0.3]], (30, 1)))  # of each pair one is right
    in_pairs, alone = (bounds_of(of, group)["accuracy"] for group in (np.repeat(np.arange(30), 2), each_alone(60)))
    assert in_pairs == (0.5, 0.5)
    assert alone[1] - alone[0] > 0.15


def test_groups_stay_whole_where_they_are_put_into_buckets() -> None:
    of = Predictions(np.tile([0, 1], 5000), np.tile([[0.8, 0.2], [0.7, 0.3]], (5000, 1)))
    group = np.repeat(np.random.default_rng(0).permutation(5000), 2)
    assert bounds_of(of, group)["accuracy"] == (0.5, 0.5)


def test_buckets_give_nearly_the_width_of_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    group = np.sort(np.r_[np.arange(6000), generator.integers(0, 6000, 6000)])
    label = generator.integers(0, 3, 6000)[group]
    logits = generator.normal(size=(6000, 3))[group] + generator.normal(size=(12_000, 3)) + np.eye(3)[label]
    of = Predictions(label, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    in_buckets = intervals.resamples(group, 2000, generator)
    assert in_buckets.buckets == 4096
    sizes = np.bincount(np.unique(np.stack([in_buckets.bucket, group]), axis=1)[0])
    assert set(sizes.tolist()) == {1, 2}  # as even as can be
    monkeypatch.setattr(intervals, "_BUCKETS", 10_000)
    by_group = intervals.resamples(group, 2000, generator)
    assert by_group.buckets == 6000
    first, second = (intervals.replicate(of, resamples).overall for resamples in (in_buckets, by_group))
    for name, values in first.items():
        assert values.std() == pytest.approx(second[name].std(), rel=0.1), name
        assert values.mean() == pytest.approx(second[name].mean(), abs=0.2 * second[name].std()), name


def test_4096_groups_are_drawn_one_by_one_and_4097_in_buckets() -> None:
    for groups, expected in ((4096, np.arange(4096)), (4097, None)):
        found = intervals.resamples(np.arange(groups), 2, np.random.default_rng(0))
        assert found.buckets == 4096
        assert (expected is not None) == np.array_equal(found.bucket, np.arange(groups))


def test_the_same_seed_gives_the_same_interval() -> None:
    of, group = drawn(1), np.arange(40) // 2
    first, again, other = (bounds_of(of, group, 120, seed) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_the_same_seed_gives_the_same_interval_in_buckets() -> None:
    of, group = drawn(1, 9000), np.arange(9000) // 2
    first, again, other = (bounds_of(of, group, 20, seed) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_a_class_that_a_resample_misses_is_left_out_of_its_means() -> None:
    label = np.r_[np.zeros(19, dtype=np.int64), 1]
    found = bounds_of(Predictions(label, np.eye(2)[label] * 0.8 + 0.1), each_alone(20), 200)
    for name in ("accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1", "macro_auroc"):
        assert found[name] == (1, 1), name


def test_what_a_resample_with_one_class_leaves_undefined_is_nan_there_and_not_0() -> None:
    label = np.r_[np.zeros(19, dtype=np.int64), 1]
    of = Predictions(label, np.eye(2)[label] * 0.8 + 0.1)  # never wrong
    found = intervals.replicate(of, intervals.resamples(each_alone(20), 200, np.random.default_rng(0))).overall
    for name in ("mcc", "kappa", "macro_auroc", "macro_specificity"):
        assert 20 < np.isnan(found[name]).sum() < 150, name
        assert intervals.bounds(found[name]) == pytest.approx((1, 1)), name


def test_references_of_one_class_have_no_interval_of_what_is_undefined() -> None:
    posterior = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    found = bounds_of(Predictions(np.zeros(3, dtype=np.int64), posterior), each_alone(3), 20)
    assert all(math.isnan(bound) for bound in found["macro_auroc"])
    assert found["accuracy"][0] < found["accuracy"][1]


def test_bounds_are_the_percentiles_of_what_is_defined() -> None:
    values = np.r_[np.arange(1001) / 1000, [math.nan] * 500, math.inf]
    assert intervals.bounds(values) == pytest.approx((0.025, 0.975))
    assert all(math.isnan(bound) for bound in intervals.bounds(np.full(5, math.nan)))


@pytest.mark.parametrize("count", [1, 2, 7, 300])
def test_a_share_of_none_or_all_has_the_ends_of_clopper_and_pearson(count: int) -> None:
    for hits in (0, count):
        exact = stats.binomtest(hits, count).proportion_ci(0.95, method="exact")
        found = intervals.of_class(np.full(10, hits / count), hits / count, count)
        assert found == pytest.approx((exact.low, exact.high))


def test_any_other_value_of_a_class_has_a_t_interval_of_its_logit() -> None:
    values = np.r_[np.random.default_rng(0).normal(0.8, 0.05, 4000), math.nan]
    spread = stats.t.ppf(0.975, 6) * np.nanstd(values) / (0.8 * 0.2)
    odds = [0.8 / 0.2 * math.exp(sign * spread) for sign in (-1, 1)]
    found = intervals.of_class(values, 0.8, 7)
    assert found == pytest.approx([one / (1 + one) for one in odds])
    many = intervals.of_class(values, 0.8, 100_000)
    assert many[1] - many[0] == pytest.approx(2 * 1.96 * 0.05, rel=0.05)
    assert found[0] < many[0] and many[1] < found[1]


def test_a_value_of_one_group_has_its_percentiles_and_a_value_of_nothing_none() -> None:
    values = np.arange(1001) / 1000
    assert intervals.of_class(values, 0.5, 1) == intervals.bounds(values)
    assert all(math.isnan(bound) for bound in intervals.of_class(np.full(3, math.nan), 0.5, 9))
    assert all(math.isnan(bound) for bound in intervals.of_class(np.full(3, math.nan), math.nan, 0))


@given(st.floats(0.001, 0.999), st.floats(0.0001, 0.5), st.integers(2, 10_000))
@settings(max_examples=60, deadline=None)
def test_the_interval_of_a_class_stands_around_its_value_between_0_and_1(
    value: float, spread: float, groups: int
) -> None:
    low, high = intervals.of_class(value + spread * np.array([-1.0, 1.0]), value, groups)
    assert 0 <= low < value < high <= 1


def test_groups_are_counted_once() -> None:
    group, which = np.array([0, 0, 1, 2, 2, 5]), np.array([True, True, False, True, False, True])
    assert intervals.groups_of(group, which) == 3
    assert intervals.groups_of(group, ~which) == 2
    assert intervals.groups_of(group, which & False) == 0


def test_the_calibration_errors_interval_stands_about_the_error_and_not_below_0() -> None:
    generator = np.random.default_rng(0)
    sure = generator.uniform(0.5, 1, 3000)
    right = generator.random(3000) < sure  # calibrated: the error is all noise, and resamples' errors are larger
    of = Predictions((~right).astype(np.int64), np.stack([sure, 1 - sure], axis=1))
    value = calibration.expected_error(of, 15)
    resamples = intervals.resamples(each_alone(3000), 400, generator)
    values = intervals.replicate(of, resamples).overall["expected_calibration_error"]
    assert values.min() >= 0
    low, high = intervals.bounds(values)
    assert low < value < high
    assert 0 <= low < value - 0.5 * (high - value)  # what noise adds is taken off below
    assert high < value + 0.02
    one = drawn(0, 12)
    few = intervals.replicate(one, intervals.resamples(each_alone(12), 400, generator))
    assert few.overall["expected_calibration_error"].min() >= 0


def test_a_sum_and_a_count_are_those_of_the_resampled() -> None:
    resamples = Resamples(np.array([0, 0, 1]), np.array([[2.0, 0.0], [1.0, 1.0]]))
    assert resamples.buckets == 2
    assert resamples.sums(np.array([1.0, 2.0, 4.0])).tolist() == [6, 7]
    assert resamples.counts(np.array([0, 2, 2]), 3).tolist() == [[2, 0, 2], [1, 0, 2]]
    assert resamples.counts(np.array([0, 2, 2]), 3, np.array([0.5, 1.0, 3.0])).tolist() == [[1, 0, 2], [0.5, 0, 4]]
