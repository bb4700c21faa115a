"""The labels that are probably wrong are listed, most probable first, with honest figures of the noise around them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from schemas.errors import NothingToDoError, UsageError
from schemas.noisy_ids import NOISY_IDS
from stages.methods.label_noise import symmetric
from stages.methods.noise_rate import noise_rate
from stages.methods.randomness import numpy_generator
from stages.noisy_ids import COLUMNS, Estimate, NoisyIdsConfig, NoisyIdsInputs, NoisyIdsOutputs, run
from stages.report import Report, SilentReport

CLASSES = ("red", "green", "blue")
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def exact(count: int, noise: float, seed: int, sharpness: float = 3.0) -> tuple[Floats, Ints, Ints]:
    """Posteriors that are exactly those of how the samples came about (N, K), true labels, and noisy ones."""
    generator = np.random.default_rng(seed)
    prior = np.array([0.5, 0.3, 0.2])
    truth = generator.choice(3, count, p=prior)
    features = generator.normal(size=(count, 3))
    features[np.arange(count), truth] += sharpness
    likelihood = prior * np.exp(sharpness * (features - features.max(axis=1, keepdims=True)))
    noisy = symmetric(truth, noise, np.arange(3), generator)
    return likelihood / likelihood.sum(axis=1, keepdims=True), truth, noisy


def table(posterior: Floats, label: Ints, **changed: Any) -> pl.DataFrame:
    """The scores' columns that are looked at, of samples s000, s001, ..."""
    columns: dict[str, Any] = {
        "sample_id": [f"s{number:03d}" for number in range(len(label))],
        "group_id": pl.Series([None] * len(label), dtype=pl.String),
        "given_label": np.array(CLASSES)[label].tolist(),
        "relabelled": [False] * len(label),
        "posterior": posterior.tolist(),
        "true_posterior": pl.Series([None] * len(label), dtype=pl.List(pl.Float64)),
        "loss": -np.log(posterior[np.arange(len(label)), label].clip(1e-12)),
    }
    return pl.DataFrame(columns | changed).select(COLUMNS)


def judge(
    scores: pl.DataFrame, out_of_sample: bool | None = True, report: Report | None = None, **options: Any
) -> NoisyIdsOutputs:
    label = np.array([CLASSES.index(name) for name in scores["given_label"]], dtype=np.int64)
    config = NoisyIdsConfig.model_validate({"bootstrap": 0} | options)
    return run(config, NoisyIdsInputs(scores, label, CLASSES, out_of_sample), report or SilentReport())


def same(one: Estimate, other: Estimate) -> bool:
    return all(np.array_equal(vars(one)[end], vars(other)[end], equal_nan=True) for end in ("value", "low", "high"))


def naive_truth(posterior: list[list[float]], label: list[int]) -> list[list[float]]:
    """The chance of each true class by the confident joint, one number at a time."""
    classes = range(3)
    threshold = [np.mean([row[k] for row, y in zip(posterior, label, strict=True) if y == k]) for k in classes]
    counts = [[0.0] * 3 for _ in classes]
    for row, y in zip(posterior, label, strict=True):
        reached = [k for k in classes if row[k] >= threshold[k]]
        if reached:
            counts[y][max(reached, key=lambda k: row[k])] += 1
    joint = [[c / sum(counts[y]) * label.count(y) / len(label) for c in counts[y]] for y in classes]
    transition = [[joint[y][k] / sum(joint[z][k] for z in classes) for y in classes] for k in classes]
    found = []
    for row, y in zip(posterior, label, strict=True):
        both = [row[k] * transition[k][y] for k in classes]
        found.append([value / sum(both) for value in both])
    return found


# --- the list --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("least", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_the_list_is_what_a_naive_computation_gives(seed: int, least: float) -> None:
    posterior, _, label = exact(200, 0.3, seed, sharpness=1.5)
    expected = []
    for row, (chances, y) in enumerate(zip(naive_truth(posterior.tolist(), label.tolist()), label, strict=True)):
        likeliest = max((k for k in range(3) if k != y), key=lambda k: chances[k])
        if 1 - chances[y] >= least:
            told = (f"s{row:03d}", CLASSES[y], CLASSES[likeliest], 1 - chances[y], chances[likeliest])
            expected.append((*told, -np.log(posterior[row, y])))
    expected.sort(key=lambda told: (-told[3], -told[5], told[0]))
    found = judge(table(posterior, label), least=least).noisy_ids
    assert 0 < found.height == len(expected)
    for rank, (row, wanted) in enumerate(zip(found.iter_rows(), expected, strict=True), 1):
        assert row[:4] == (rank, *wanted[:3])
        assert row[4:] == pytest.approx(wanted[3:], abs=1e-9)


@given(st.integers(20, 80), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_most_probable_come_first_and_none_is_below_the_threshold(count: int, least: float, seed: int) -> None:
    posterior, _, label = exact(count, 0.4, seed, sharpness=1.0)
    found = judge(table(posterior, label), least=least).noisy_ids
    assert found["probability_wrong"].is_sorted(descending=True)
    assert found["rank"].to_list() == list(range(1, found.height + 1))
    assert (found["probability_wrong"] >= least).all()
    everything = judge(table(posterior, label), least=0).noisy_ids
    assert everything.height == count
    assert found.height == int((everything["probability_wrong"] >= least).sum())
    NOISY_IDS.check(found, "noisy_ids")


def test_equally_probable_ones_are_in_the_order_of_their_ids_whatever_the_order_of_the_table() -> None:
    posterior, _, label = exact(40, 0.4, 1)
    scores = table(np.tile(posterior, (2, 1)), np.tile(label, 2))
    found = judge(scores, least=0).noisy_ids
    twins = [sorted((f"s{row:03d}", f"s{row + 40:03d}")) for row in range(40)]
    places = dict(zip(found["sample_id"], found["rank"], strict=True))
    assert all(places[first] < places[second] for first, second in twins)
    shuffled = judge(scores.sample(fraction=1, shuffle=True, seed=3), least=0)
    assert shuffled.noisy_ids.equals(found)


def test_a_label_that_is_wrong_with_the_very_chance_asked_for_is_listed() -> None:
    posterior, _, label = exact(60, 0.4, 2, sharpness=1.0)
    chances = judge(table(posterior, label), least=0).noisy_ids["probability_wrong"]
    least = float(chances[20])
    found = judge(table(posterior, label), least=least).noisy_ids
    assert found["probability_wrong"].to_list() == [chance for chance in chances if chance >= least]


def test_most_of_what_is_listed_is_wrong_and_the_suggestion_right_where_posteriors_are_exact() -> None:
    posterior, truth, label = exact(600, 0.3, 3)
    found = judge(table(posterior, label)).noisy_ids
    rows = [int(name[1:]) for name in found["sample_id"]]
    assert len(rows) > 0.9 * (truth != label).sum()
    assert (truth != label)[rows].mean() > 0.95
    suggested = np.array([CLASSES.index(name) for name in found["suggested_label"]])
    assert (suggested == truth[rows]).mean() > 0.9


def test_what_an_expert_relabelled_is_neither_listed_nor_counted() -> None:
    posterior, _, label = exact(120, 0.4, 4)
    relabelled = [number % 3 == 0 for number in range(120)]
    found = judge(table(posterior, label, relabelled=relabelled), bootstrap=10)
    without = judge(table(posterior, label).filter(~pl.Series(relabelled)), bootstrap=10)
    assert found.noisy_ids.equals(without.noisy_ids)
    assert same(found.transition, without.transition)
    assert (found.facts["judged"], found.facts["relabelled_left_out"]) == (80, 40)
    assert found.size.sum() == 80


def test_where_all_are_relabelled_there_is_nothing_to_judge() -> None:
    posterior, _, label = exact(3, 0.0, 0)
    with pytest.raises(NothingToDoError) as caught:
        judge(table(posterior, label, relabelled=[True] * 3))
    assert str(caught.value) == "no labels to judge: all 3 samples are relabelled"


def test_no_label_may_be_probably_wrong() -> None:
    found = judge(table(np.eye(3)[[0, 1, 2, 0, 1, 2]], np.array([0, 1, 2, 0, 1, 2])), bootstrap=5)
    assert found.noisy_ids.is_empty()
    assert NOISY_IDS.check(found.noisy_ids, "noisy_ids").equals(NOISY_IDS.empty())
    assert found.overall.value == 0
    assert found.facts["probably_wrong"] == 0


# --- what training estimated ------------------------------------------------------------------------------------------


def told(posterior: Floats, truth: Floats, label: Ints) -> pl.DataFrame:
    return table(posterior, label, true_posterior=truth.tolist())


def test_scores_that_tell_the_posterior_of_the_truth_are_gone_by_whatever_the_network_says(
    report: Report, heard: list[str]
) -> None:
    posterior, _, label = exact(150, 0.4, 12)
    truth = np.array(naive_truth(posterior.tolist(), label.tolist()))
    flat = np.full((150, 3), 1 / 3)
    found = judge(told(flat, truth, label), out_of_sample=False, report=report, bootstrap=20)
    assert found.overall.value == pytest.approx(1 - truth[np.arange(150), label].mean())
    assert found.overall.low < found.overall.value < found.overall.high
    by_id = {name: chance for name, chance in found.noisy_ids.select("sample_id", "probability_wrong").iter_rows()}
    for row in np.flatnonzero(1 - truth[np.arange(150), label] >= 0.5):
        assert by_id.pop(f"s{row:03d}") == pytest.approx(1 - truth[row, label[row]])
    assert not by_id
    assert found.facts["transition"] == "estimated"
    assert not heard  # the network is in sample, and is not asked


def test_another_transition_can_be_asked_for_where_training_tells() -> None:
    posterior, _, label = exact(150, 0.4, 12)
    truth = np.eye(3)[label]
    asked = judge(told(posterior, truth, label), transition="confident-joint")
    assert asked.overall.value == judge(table(posterior, label)).overall.value > 0
    assert judge(told(posterior, truth, label)).overall.value == 0


def test_what_no_training_told_cannot_be_asked_for() -> None:
    posterior, _, label = exact(20, 0.4, 12)
    with pytest.raises(UsageError, match="no true_posterior of every sample"):
        judge(table(posterior, label), transition="estimated")
    partly = [None, *posterior.tolist()[1:]]
    assert judge(table(posterior, label, true_posterior=partly)).facts["transition"] == "confident-joint"


# --- how much noise there is -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("transition", ["confident-joint", "symmetric"])
def test_list_rates_and_matrix_are_sums_of_one_posterior(transition: str) -> None:
    posterior, _, label = exact(300, 0.3, 5, sharpness=2.0)
    found = judge(table(posterior, label), least=0, transition=transition)
    wrong = found.noisy_ids.group_by("given_label").agg(pl.col("probability_wrong").sum(), pl.len())
    by_label = {name: (total, size) for name, total, size in wrong.iter_rows()}
    for index, name in enumerate(CLASSES):
        total, size = by_label[name]
        assert found.size[index] == size
        assert found.by_given.value[index] == pytest.approx(total / size)
    assert found.overall.value == pytest.approx(found.noisy_ids["probability_wrong"].mean())
    np.testing.assert_allclose(found.transition.value.sum(axis=1), 1)
    np.testing.assert_allclose(found.by_true.value, 1 - np.diag(found.transition.value))
    assert found.facts["estimated_errors"] == pytest.approx(found.noisy_ids["probability_wrong"].sum())


def test_exact_posteriors_give_the_matrix_that_made_the_noise() -> None:
    posterior, _, label = exact(20_000, 0.3, 6)
    found = judge(table(posterior, label))
    np.testing.assert_allclose(
        found.transition.value, [[0.7, 0.15, 0.15], [0.15, 0.7, 0.15], [0.15, 0.15, 0.7]], atol=0.02
    )
    assert found.overall.value == pytest.approx(0.3, abs=0.01)


def test_symmetric_noise_is_taken_at_the_rate_that_the_losses_show() -> None:
    posterior, _, label = exact(400, 0.3, 7, sharpness=2.0)
    scores = table(posterior, label)
    found = judge(scores, least=0, transition="symmetric").noisy_ids.sort("sample_id")
    seeds = {noise_rate(scores["loss"].to_numpy(), label, 3, seed) for seed in range(3)}
    assert max(seeds) - min(seeds) < 0.01, "the mixture's start must not matter here"
    rate = seeds.pop()
    chance = np.full((3, 3), rate / 2) + np.eye(3) * (1 - 1.5 * rate)
    both = posterior * chance[:, label].T
    expected = 1 - both[np.arange(400), label] / both.sum(axis=1)
    np.testing.assert_allclose(found["probability_wrong"].to_numpy(), expected, atol=0.01)


def test_a_class_that_nobody_is_given_or_held_to_be_of_has_no_rate() -> None:
    posterior = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.7, 0.3, 0.0], [0.1, 0.9, 0.0]])
    found = judge(table(posterior, np.array([0, 1, 1, 1])), bootstrap=20)
    assert np.isnan(found.by_given.value[2]) and np.isnan(found.by_given.low[2])
    assert np.isnan(found.transition.value[2]).all()
    assert np.isfinite(found.by_given.value[:2]).all()
    assert found.size.tolist() == [1, 3, 0]


# --- intervals -------------------------------------------------------------------------------------------------------


def width(estimate: Estimate) -> float:
    return float(estimate.high - estimate.low)


def test_intervals_hold_the_true_rate_for_most_data_sets_where_posteriors_are_exact() -> None:
    held, widths = 0, []
    for seed in range(20):
        posterior, _, label = exact(500, 0.3, seed, sharpness=4.0)
        overall = judge(table(posterior, label), bootstrap=100, seed=seed).overall
        held += bool(overall.low <= 0.3 <= overall.high)
        widths.append(width(overall))
    assert 16 <= held, held
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.sqrt(0.3 * 0.7 / 500), rel=0.15), "nor are they too wide"


def test_intervals_are_wider_where_groups_repeat_themselves() -> None:
    posterior, _, label = exact(100, 0.3, 8)
    posterior, label = np.repeat(posterior, 9, axis=0), np.repeat(label, 9)
    groups = [f"g{number // 9}" for number in range(900)]
    alone = judge(table(posterior, label), bootstrap=100)
    grouped = judge(table(posterior, label, group_id=groups), bootstrap=100)
    assert grouped.overall.value == alone.overall.value
    assert width(grouped.overall) == pytest.approx(3 * width(alone.overall), rel=0.25), "the square root of nine"


def test_a_sample_without_a_group_is_a_group_by_itself_even_if_a_group_bears_its_name() -> None:
    posterior, _, label = exact(60, 0.3, 9)
    found = judge(table(posterior, label, group_id=["s001", None] * 30), bootstrap=2)
    assert "over 31 groups" in found.facts["intervals"]


def test_all_is_estimated_anew_in_each_resample() -> None:
    posterior, _, label = exact(80, 0.3, 10, sharpness=1.5)
    found = judge(table(posterior, label), bootstrap=20)
    generator, resampled = numpy_generator(0, "noisy-ids"), []
    for _ in range(20):
        rows = np.sort(generator.integers(80, size=80))
        resampled.append(judge(table(posterior[rows], label[rows])).transition.value)
    low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
    np.testing.assert_allclose(found.transition.low, low)
    np.testing.assert_allclose(found.transition.high, high)
    assert (low < high).all()


def test_a_higher_level_of_confidence_gives_wider_intervals() -> None:
    posterior, _, label = exact(200, 0.3, 11)
    narrow, wide = (judge(table(posterior, label), bootstrap=100, confidence_level=level) for level in (0.5, 0.95))
    assert width(narrow.overall) < 0.6 * width(wide.overall)
    assert narrow.facts["intervals"] == "50 %, bootstrap over 200 groups; of chance, not of bias"


def test_without_resamples_there_are_no_intervals() -> None:
    posterior, _, label = exact(30, 0.3, 12)
    found = judge(table(posterior, label), bootstrap=0)
    assert np.isnan(found.overall.low) and np.isnan(found.transition.high).all()
    assert (found.facts["interval"], found.facts["intervals"]) == (None, "none")


def test_samples_of_one_group_alone_give_no_interval(report: Report, heard: list[str]) -> None:
    posterior, _, label = exact(30, 0.3, 13)
    found = judge(table(posterior, label, group_id=["g"] * 30), bootstrap=10, report=report)
    assert np.isnan(found.overall.low)
    assert heard == ["all samples are of one group: there are no intervals"]


def test_the_same_seed_gives_the_same_and_another_other_intervals() -> None:
    posterior, _, label = exact(100, 0.3, 14)
    scores = table(posterior, label)
    first, again, other = (judge(scores, bootstrap=20, seed=seed) for seed in (0, 0, 1))
    assert same(first.transition, again.transition)
    assert first.noisy_ids.equals(again.noisy_ids) and first.noisy_ids.equals(other.noisy_ids)
    assert first.overall.low != other.overall.low
    shuffled = judge(scores.sample(fraction=1, shuffle=True, seed=1), bootstrap=20)
    assert same(shuffled.transition, first.transition)


# --- what is said about it -------------------------------------------------------------------------------------------


def test_posteriors_in_sample_are_warned_of_and_what_is_unknown_is_said(report: Report, heard: list[str]) -> None:
    posterior, _, label = exact(30, 0.3, 15)
    found = {told: judge(table(posterior, label), told, report).facts for told in (True, None, False)}
    assert len(heard) == 1
    assert "in sample" in heard[0] and "lower bound" in heard[0] and "`alrctl score --cross-validate 5`" in heard[0]
    told = {key: facts["posteriors"] for key, facts in found.items()}
    assert told == {True: "out of sample", None: "not known whether out of sample", False: "in sample"}
    overstates = "the confident joint overstates noise where classes are imbalanced and posteriors are poor"
    assert overstates in found[True]["mind"] and overstates in found[None]["mind"]
    assert "a lower bound" in found[False]["mind"]
    assert all("estimates" in facts["mind"] for facts in found.values())


@pytest.mark.parametrize(
    ("option", "value"),
    [("least", -0.1), ("least", 1.1), ("confidence_level", 0), ("confidence_level", 1), ("bootstrap", -1), ("k", 1)],
)
def test_options_without_sense_are_refused(option: str, value: float) -> None:
    with pytest.raises(ValidationError):
        NoisyIdsConfig.model_validate({option: value})
