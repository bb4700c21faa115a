"""Opinions from out of sample are by networks that have learnt neither from the sample nor from its group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from schemas.checkpoint import NetworkSpec
from schemas.errors import NothingToDoError
from stages.methods.transition_model import UNKNOWN
from stages.report import Array, NoStore, SilentReport, Store, Unfinished
from stages.training import folds
from stages.training.fit import fit
from stages.training.folds import Teaching, out_of_sample
from stages.training.inputs import FeatureInputs, FeatureRows
from stages.training.learning import Examples
from stages.training.network import Head
from stages.training.noise_watch import LabelEvidence
from stages.training.opinions import Asking, Opinions, opinions
from stages.training.plan import FitPlan
from stages.training.recipe import MethodOptions, rule, start

CPU = torch.device("cpu")
SPEC = NetworkSpec(
    backbone="test_resnet",
    train="head",
    hidden=6,
    dropout=0.5,
    image_size=16,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
    feature_width=5,
)
FEATURES = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
ROWS = torch.randperm(50, generator=torch.Generator().manual_seed(1))[:36]
LABELS = torch.arange(36) % 3
UNITS = np.arange(36) // 2  # pairs, each of two classes
ASKING = Asking("none", 5, 0.5, 0, CPU, "float32")
TINY: dict[str, Any] = {"epochs": 2, "batch_size": 12, "learning_rate": 0.1, "num_gradual": 1, "precision": "float32"}


def teach(labels: Tensor = LABELS, **options: Any) -> Teaching:
    config = MethodOptions.model_validate(TINY | options)
    examples = Examples(FeatureInputs(FEATURES, CPU), ROWS, labels, ROWS[:0], labels[:0], 3)
    known = LabelEvidence(labels.numpy(), np.full(36, UNKNOWN), UNITS, FeatureRows(FEATURES, ROWS))
    return Teaching(config, SPEC, examples, known, {})


def ask(networks: list[nn.Module], rows: Tensor) -> Opinions:
    return opinions(networks, 1, FeatureInputs(FEATURES, CPU), rows, ASKING, SilentReport())


def said(teaching: Teaching, count: int = 4, store: Callable[[int], Store] = lambda fold: NoStore()) -> Opinions:
    return out_of_sample(teaching, count, ask, CPU, SilentReport(), store)


@dataclass
class Lesson:
    """What the networks of a fold were given to learn from, and what they were asked about."""

    networks: list[nn.Module]
    rows: Tensor
    labels: Tensor
    plan: FitPlan
    asked: list[Tensor] = field(default_factory=list)


@pytest.fixture
def lessons(monkeypatch: pytest.MonkeyPatch) -> list[Lesson]:
    """Every call of `fit`, as it comes."""
    given: list[Lesson] = []

    def spy(networks: list[nn.Module], examples: Examples, learning: Any, plan: FitPlan, *more: Any) -> Any:
        given.append(Lesson(list(networks), examples.rows, examples.labels, plan))
        return fit(networks, examples, learning, plan, *more)

    monkeypatch.setattr(folds, "fit", spy)
    return given


@pytest.mark.parametrize("count", [2, 4, 12])
def test_no_network_is_asked_about_what_it_or_its_group_was_taught_by(lessons: list[Lesson], count: int) -> None:
    asked: list[Tensor] = []

    def spying(networks: list[nn.Module], rows: Tensor) -> Opinions:
        assert networks[0] is lessons[-1].networks[0]
        asked.append(rows)
        return ask(networks, rows)

    out_of_sample(teach(), count, spying, CPU, SilentReport(), lambda fold: NoStore())
    unit = dict(zip(ROWS.tolist(), UNITS.tolist(), strict=True))
    label = dict(zip(ROWS.tolist(), LABELS.tolist(), strict=True))
    assert len(lessons) == len(asked) == count
    for lesson, rows in zip(lessons, asked, strict=True):
        taught = {unit[row] for row in lesson.rows.tolist()}
        assert not taught & {unit[row] for row in rows.tolist()}
        assert {*lesson.rows.tolist(), *rows.tolist()} == set(ROWS.tolist()), "a fold learns from all the others"
        assert [label[row] for row in lesson.rows.tolist()] == lesson.labels.tolist()
    assert sorted(torch.cat(asked).tolist()) == sorted(ROWS.tolist()), "each is asked about once"


def test_opinions_come_in_the_order_of_the_examples(lessons: list[Lesson]) -> None:
    found = said(teach())
    assert found.posterior.shape == (36, 3)
    assert found.by_network.shape == (2, 36, 3)
    assert found.bald is not None
    for lesson in lessons:
        out = np.flatnonzero(~np.isin(ROWS.numpy(), lesson.rows.numpy()))
        again = ask(lesson.networks, ROWS[torch.from_numpy(out)])
        assert again.bald is not None
        np.testing.assert_array_equal(found.posterior[out], again.posterior)
        np.testing.assert_array_equal(found.by_network[:, out], again.by_network)
        np.testing.assert_array_equal(found.bald[out], again.bald)
        assert torch.equal(found.embeddings[torch.from_numpy(out)], again.embeddings)


def test_a_fold_learns_as_phase_1_did(lessons: list[Lesson]) -> None:
    teaching = teach(seed=3)
    found = said(teaching, 2)
    lesson = lessons[0]
    features = FEATURES[lesson.rows]
    by_hand = [start(SPEC, 3, 3, number, features, {}) for number in (1, 2)]
    examples = replace(teaching.examples, rows=lesson.rows, labels=lesson.labels)
    plan = FitPlan.of(teaching.options, CPU)
    assert lesson.plan == plan
    units = UNITS[np.isin(ROWS.numpy(), lesson.rows.numpy())]
    evidence = LabelEvidence(lesson.labels.numpy(), np.full(len(units), UNKNOWN), units, features)
    fit(by_hand, examples, rule(teaching.options, evidence, 3), plan, SilentReport(), NoStore())
    out = np.flatnonzero(~np.isin(ROWS.numpy(), lesson.rows.numpy()))
    again = ask(by_hand, ROWS[torch.from_numpy(out)])
    np.testing.assert_array_equal(found.posterior[out], again.posterior)
    assert isinstance(by_hand[0], Head)
    torch.testing.assert_close(by_hand[0].shift, features.mean(dim=0))


@pytest.mark.parametrize("method", ["cross-entropy", "elr", "coteaching-vog"])
@pytest.mark.parametrize("place", [0, 17, 35])
def test_a_samples_own_label_moves_what_is_said_of_others_and_not_of_itself_or_its_group(
    monkeypatch: pytest.MonkeyPatch, place: int, method: str
) -> None:
    split = folds.k_folds(LABELS.numpy(), UNITS, 4, 0)
    monkeypatch.setattr(folds, "k_folds", lambda *given: split)  # the folds go by the labels too
    changed = LABELS.clone()
    changed[place] = (changed[place] + 1) % 3
    before, after = said(teach(method=method)), said(teach(changed, method=method))
    moved = (before.posterior != after.posterior).any(axis=1)
    own = next(fold for fold in split if fold[place])
    assert own[place ^ 1], "its pair is in the same fold"
    assert not moved[own].any()
    assert moved[~own].any()
    assert before.bald is not None
    assert after.bald is not None
    assert np.array_equal(before.bald[own], after.bald[own])


def test_opinions_are_the_seeds_alone() -> None:
    first, again, other = (said(teach(seed=seed)).posterior for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_without_draws_there_is_no_bald() -> None:
    def plain(networks: list[nn.Module], rows: Tensor) -> Opinions:
        return opinions(networks, 1, FeatureInputs(FEATURES, CPU), rows, replace(ASKING, passes=0), SilentReport())

    assert out_of_sample(teach(), 3, plain, CPU, SilentReport(), lambda fold: NoStore()).bald is None


def test_fewer_groups_than_folds_are_nothing_to_do(lessons: list[Lesson]) -> None:
    with pytest.raises(NothingToDoError) as refused:
        said(teach(), 19)
    assert str(refused.value) == "18 groups of training samples cannot make 19 folds"
    assert not lessons


class Kept:
    """A store in memory."""

    def __init__(self) -> None:
        self.states: list[Unfinished] = []

    def load(self) -> Unfinished | None:
        return self.states[-1] if self.states else None

    def save(self, state: Unfinished) -> Mapping[str, Mapping[str, Array]]:
        parts = {
            part: {name: array[0 : array.shape[0]].clone() if array.shape else array for name, array in tensors.items()}  # type: ignore[attr-defined]
            for part, tensors in state.parts.items()
        }
        self.states.append(Unfinished(state.epochs, state.facts, parts))
        return {}


def test_each_fold_has_a_place_of_its_own_and_one_that_is_done_is_not_taught_again() -> None:
    stores: dict[int, Kept] = {}

    def place(fold: int) -> Store:
        return stores.setdefault(fold, Kept())

    first = said(teach(), 3, place)
    assert {fold: [state.epochs for state in store.states] for fold, store in stores.items()} == {
        0: [1, 2],
        1: [1, 2],
        2: [1, 2],
    }
    del stores[1]
    again = said(teach(), 3, place)
    assert [len(store.states) for fold, store in sorted(stores.items())] == [2, 2, 2]
    assert np.array_equal(first.posterior, again.posterior)
    assert np.array_equal(first.bald, again.bald)  # type: ignore[arg-type]
