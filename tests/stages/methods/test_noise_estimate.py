"""Nobody says a rate: it is found under imbalance, by class, and better where an expert has told some labels."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.errors import NothingToDoError
from stages.methods import noise_estimate, noise_turns
from stages.methods.mislabelling import symmetric_transition
from stages.methods.noise_estimate import NoiseEstimate, estimate_noise
from stages.methods.noise_turns import Turn, Work
from stages.methods.transition_model import UNKNOWN, Structure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SIZES = (900, 250, 60)


class World:
    """Samples of classes of these sizes, features that tell them apart but for a tenth, and noisy labels."""

    def __init__(self, matrix: NDArray[np.float64], sizes: tuple[int, ...] = SIZES, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        self.true = np.repeat(np.arange(len(sizes)), sizes)
        self.features = generator.normal(size=(len(self.true), 6))
        self.features[:, : len(sizes)] += 2.6 * np.eye(len(sizes))[self.true]
        self.given = np.array([generator.choice(len(sizes), p=matrix[index]) for index in self.true])

    @property
    def rate(self) -> float:
        return float((self.given != self.true).mean())

    def estimate(self, told: NDArray[np.bool_] | None = None, classes: int = 0, **changed: Any) -> NoiseEstimate:
        true = np.full(len(self.true), UNKNOWN) if told is None else np.where(told, self.true, UNKNOWN)
        usual = {"features": self.features, "given": self.given, "group": np.arange(len(self.true)), "seed": 0}
        return estimate_noise(**(usual | {"true": true, "classes": classes or len(SIZES)} | changed))


@pytest.fixture(scope="module")
def noisy() -> World:
    return World(symmetric_transition(0.4, 3))


@pytest.fixture(scope="module")
def found(noisy: World) -> NoiseEstimate:
    return noisy.estimate()


def test_the_rate_is_found_overall_and_by_class(noisy: World, found: NoiseEstimate) -> None:
    assert found.rate.value == pytest.approx(noisy.rate, abs=0.05)
    assert found.rate.low < noisy.rate < found.rate.high
    for index in range(3):
        of_true, of_given = noisy.true == index, noisy.given == index
        by_true, by_given = found.by_true_class[index], found.by_given_class[index]
        assert by_true is not None and by_given is not None
        assert by_true.low < (noisy.given[of_true] != index).mean() < by_true.high
        assert by_given.low < (noisy.true[of_given] != index).mean() < by_given.high
    rare = found.by_given_class[2]
    assert rare is not None and rare.value > 0.75  # the errors of the others swamp it


@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_other_rates_are_found_too(rate: float) -> None:
    world = World(symmetric_transition(rate, 3), seed=1)
    assert world.estimate().rate.value == pytest.approx(world.rate, abs=0.04)


def test_the_truth_is_better_told_than_by_the_labels(noisy: World, found: NoiseEstimate) -> None:
    np.testing.assert_allclose(found.truth.sum(axis=1), 1)
    right = found.truth.argmax(axis=1) == noisy.true
    assert right.mean() > 0.9 > (noisy.given == noisy.true).mean() + 0.25
    np.testing.assert_allclose(found.truth.mean(axis=0), np.array(SIZES) / sum(SIZES), atol=0.05)


def test_what_an_expert_told_is_certain_and_its_errors_are_gone(noisy: World) -> None:
    told = np.random.default_rng(0).random(len(noisy.true)) < 0.3
    found = noisy.estimate(told)
    np.testing.assert_array_equal(found.truth[told], np.eye(3)[noisy.true[told]])
    left = float(((noisy.given != noisy.true) & ~told).mean())
    assert found.rate.value == pytest.approx(left, abs=0.04)
    assert found.told == told.sum()
    by_true = found.by_true_class[0]
    assert by_true is not None and by_true.value == pytest.approx(0.4, abs=0.05)  # of labels as first given


def test_labels_of_which_only_the_experts_is_left_count_as_right(noisy: World) -> None:
    told = np.arange(len(noisy.true)) % 2 == 0
    found = noisy.estimate(told, given=np.where(told, UNKNOWN, noisy.given))
    assert found.rate.value == pytest.approx(((noisy.given != noisy.true) & ~told).mean(), abs=0.05)


def test_a_class_without_a_sample_stays_out(noisy: World, found: NoiseEstimate) -> None:
    wider = noisy.estimate(classes=5)
    assert wider.truth[:, 3:].sum() == 0
    assert wider.by_true_class[3:] == wider.by_given_class[3:] == [None, None]
    np.testing.assert_array_equal(wider.transition[3:], np.eye(5)[3:])
    np.testing.assert_allclose(wider.transition[:3, :3], found.transition)


def test_the_same_seed_gives_the_same_estimate(noisy: World, found: NoiseEstimate) -> None:
    again = noisy.estimate()
    for one, other in zip(astuple(found), astuple(again), strict=True):
        np.testing.assert_array_equal(one, other)
    assert noisy.estimate(seed=1).rate != found.rate


def test_folds_keep_groups_whole() -> None:
    group = np.arange(30) // 3
    label = np.arange(30) // 3 % 3
    folds = noise_estimate._folds(label, group, 0)
    assert sorted(np.concatenate(folds).tolist()) == list(range(30))
    assert all(np.isin(np.flatnonzero(group == unit), fold).mean() in (0, 1) for fold in folds for unit in range(10))


def test_where_labels_go_evenly_one_more_turn_is_taken_in_all_views(
    noisy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    take = noise_turns.take

    def watched(work: Work, matrix: Floats, structures: list[Structure], starts: list[Floats]) -> Turn:
        turn = take(work, matrix, structures, starts)
        taken.append((work, matrix, turn))
        assert len(taken) == 1 or not any(structure.scatter for structure in structures)
        return turn

    monkeypatch.setattr(noise_turns, "take", watched)
    found = noisy.estimate()
    (quick, guess, first), (whole, through, second) = taken
    np.testing.assert_array_equal(guess, symmetric_transition(0.3, 3))
    np.testing.assert_array_equal(through, first.matrix)
    np.testing.assert_array_equal(found.transition, second.matrix)
    assert [len(work.views) for work in (quick, whole)] == [1, 3]
    spreads = {float(np.abs(view.mapped).max()) for view in whole.views}
    assert len(spreads) == 3, "kernels of three widths"
    folds = {tuple(tuple(fold) for fold in view.folds) for view in whole.views}
    assert len(folds) == 3, "folds of their own"


def test_of_many_samples_some_are_drawn_and_the_others_judged_all_the_same(
    noisy: World, found: NoiseEstimate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise_estimate, "MOST", 700)
    monkeypatch.setattr(noise_estimate, "_BLOCK", 300)
    told = np.arange(len(noisy.true)) < 40
    some = noisy.estimate(told)
    assert some.used == 700
    assert some.told == 40
    assert (some.truth.argmax(axis=1) == noisy.true).mean() > 0.88
    assert some.rate.value == pytest.approx(found.rate.value, abs=0.07)


def test_whole_groups_are_drawn_and_told_samples_no_more_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise_estimate, "MOST", 700)
    group = np.random.default_rng(0).permutation(np.repeat(np.arange(1000), 3))
    chosen = noise_estimate._chosen(group, 0)
    assert 690 < len(chosen) <= 700
    assert (np.diff(chosen) > 0).all()
    assert (np.bincount(group[chosen], minlength=1000) % 3 == 0).all()
    assert 0.15 < (chosen < 600).mean() < 0.25, "the first fifth of the samples is a fifth of those drawn"
    few = noise_estimate._chosen(np.repeat(np.arange(2), 1500), 0)
    assert len(few) == 700
    assert np.bincount(few // 1500).min() > 250, "of groups too large to be drawn, samples are"


def test_errors_that_experts_were_sent_to_do_not_raise_the_rate(monkeypatch: pytest.MonkeyPatch, noisy: World) -> None:
    monkeypatch.setattr(noise_estimate, "MOST", 700)
    wrong = np.flatnonzero(noisy.given != noisy.true)
    told = np.isin(np.arange(len(noisy.true)), wrong[::2])
    rate = (noisy.given != noisy.true)[~told].sum() / len(told)
    assert noisy.estimate(told).rate.value == pytest.approx(rate, abs=0.06)


def test_of_one_class_or_one_group_nothing_can_be_estimated(noisy: World) -> None:
    with pytest.raises(NothingToDoError, match="two groups and two classes"):
        noisy.estimate(given=np.zeros(len(noisy.true), dtype=np.int64))
    with pytest.raises(NothingToDoError, match="two groups and two classes"):
        noisy.estimate(group=np.zeros(len(noisy.true), dtype=np.int64))
    with pytest.raises(NothingToDoError, match="features do not differ"):
        noisy.estimate(features=np.ones_like(noisy.features))
    with pytest.raises(NothingToDoError, match="one of two samples"):
        World(np.eye(3), sizes=(1, 1, 1)).estimate()


def test_a_handful_of_samples_is_enough_to_run() -> None:
    found = World(np.eye(3), sizes=(3, 2, 1)).estimate()
    assert np.isfinite(found.truth).all()
    assert 0 <= found.rate.low <= found.rate.value <= found.rate.high <= 1
