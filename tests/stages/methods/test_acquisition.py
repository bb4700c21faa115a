"""The contract of every strategy: what it is asked for it gives, whatever the candidates; and what each goes by."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from schemas.scores import SCORES
from stages.methods import label_quality, uncertainty
from stages.methods.acquisition import (
    QUALITY,
    UNCERTAINTY,
    Candidates,
    Chooser,
    Pick,
    Quality,
    Ranked,
    Strategy,
    ranking,
)
from stages.methods.batch_acquisition import Diverse, batch_chooser
from stages.methods.queueing import Limits, Mixed, fill
from stages.methods.selection import BATCH
from stages.report import Report
from stages.select import SelectConfig, SelectInputs, run

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RANKING = [name for name in get_args(Strategy) if name not in (*BATCH, "mix")]
MIX: dict[str, float] = {"margin": 2.0, "badge": 1.0, "typiclust": 1.0, "random": 0.5}
WAYS = [
    *(name for name in get_args(Strategy) if name != "label-quality"),
    *(f"label-quality by {measure}" for measure in get_args(Quality)),
    *(f"diverse {name}" for name in RANKING),
]
"""Every strategy, label quality by each of its measures, and each that ranks with diversity."""


def scored(posterior: Floats, given_label: NDArray[np.int64], generator: np.random.Generator) -> dict[str, Any]:
    """Every column of the scores that a strategy may go by."""
    count, classes = posterior.shape
    return {
        "entropy": uncertainty.entropy(posterior),
        "least_confidence": uncertainty.least_confidence(posterior),
        "margin": uncertainty.margin(posterior),
        "bald": generator.random(count) * 0.3,
        "disagreement": uncertainty.disagreement(posterior, generator.dirichlet(np.ones(classes), count)),
        "neighbour_disagreement": generator.integers(0, 11, count) / 10,  # with ties
        "self_confidence": label_quality.self_confidence(posterior, given_label),
        "normalised_margin": label_quality.normalised_margin(posterior, given_label),
        "cross_entropy_less_entropy": label_quality.cross_entropy_less_entropy(posterior, given_label),
        "confidence_weighted_entropy": label_quality.confidence_weighted_entropy(posterior, given_label),
        "area_under_margin": generator.normal(size=count),
    }


def known(count: int, seed: int, others: int = 6) -> Candidates:
    """All that may be known of so many candidates; `others` are trusted, half of them labelled by an expert."""
    generator = np.random.default_rng(seed)
    posterior, label = generator.dirichlet(np.ones(3), count), generator.integers(0, 3, count)
    embeddings = torch.from_numpy(generator.normal(size=(count + others, 5))).float()
    return Candidates(
        given=label,
        columns=scored(posterior, label, generator),
        posterior=posterior,
        worth_of_correction=generator.random(count),
        embeddings=embeddings[:count],
        trusted=embeddings[count:],
        labelled=embeddings[count : count + others // 2],
    )


def free(count: int, budget: float, **changed: Any) -> Limits:
    """A budget of looks that cost 1 each, and no other limit."""
    return Limits(**({"budget": budget, "cost": np.ones(count), "label": np.zeros(count, dtype=np.int64)} | changed))


def chooser_of(way: str, candidates: Candidates, budget: int, generator: np.random.Generator) -> Chooser:
    """The chooser of a strategy, made as `select` makes it."""
    kind, _, rest = way.partition(" ")
    if kind in BATCH:
        return batch_chooser(kind, candidates, budget, generator)
    if kind == "mix":
        return Mixed({name: chooser_of(name, candidates, budget, generator) for name in MIX}, MIX)
    name, quality = (rest, "self-confidence") if kind == "diverse" else (kind, rest.removeprefix("by "))
    worth = ranking(name, candidates, quality, generator)
    if kind == "diverse":
        assert candidates.embeddings is not None
        return Diverse(worth, candidates.embeddings, 0.5, 2 * budget)
    return Ranked(worth)


def chosen(way: str, candidates: Candidates, limits: Limits, seed: int) -> list[Pick]:
    most = int(min(len(limits.cost), limits.budget // float(limits.cost.min()) + 1))
    return fill(chooser_of(way, candidates, most, np.random.default_rng(seed)), limits)


def places(picks: list[Pick]) -> list[int]:
    return [place for place, _ in picks]


def test_every_strategy_that_can_be_asked_for_is_held_to_the_contract() -> None:
    assert {way.split()[0] for way in WAYS} == {*get_args(Strategy), "diverse"}
    assert set(QUALITY) == set(get_args(Quality))
    assert set(UNCERTAINTY) < set(RANKING)


@pytest.mark.parametrize("way", WAYS)
@given(st.integers(1, 25), st.integers(0, 1000), st.data())
@settings(max_examples=8, deadline=None)
def test_a_chooser_asked_directly_keeps_to_what_is_allowed(
    way: str, count: int, seed: int, data: st.DataObject
) -> None:
    chooser = chooser_of(way, known(count, seed), 5, np.random.default_rng(seed))
    for _ in range(6):  # what is not allowed now may be allowed later
        allowed = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
        pick = chooser.next(allowed)
        assert (pick is None) == (not allowed.any())
        if pick is not None:
            assert allowed[pick[0]]
            chooser.took(pick[0])


@pytest.mark.parametrize("way", WAYS)
@given(st.integers(1, 25), st.integers(1, 30), st.integers(0, 1000))
@settings(max_examples=12, deadline=None)
def test_as_many_are_picked_as_the_budget_or_the_pool_allows_each_once(
    way: str, count: int, budget: int, seed: int
) -> None:
    picks = chosen(way, known(count, seed), free(count, budget), seed)
    assert len(picks) == len(set(places(picks))) == min(count, budget)
    assert set(places(picks)) <= set(range(count))
    assert np.isfinite([worth for _, worth in picks]).all()


@pytest.mark.parametrize("way", WAYS)
@given(st.integers(2, 25), st.integers(1, 12), st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_what_costs_more_than_the_budget_is_never_picked(way: str, count: int, budget: int, seed: int) -> None:
    dear = np.random.default_rng(seed).random(count) < 0.5
    limits = free(count, budget, cost=np.where(dear, 1000.0, 1.0))
    found = places(chosen(way, known(count, seed), limits, seed))
    assert len(found) == min(int((~dear).sum()), budget)
    assert not dear[found].any()


@pytest.mark.parametrize("way", WAYS)
@given(st.integers(2, 25), st.integers(0, 4), st.integers(0, 4), st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_of_a_class_with_a_quota_no_more_are_picked(way: str, count: int, first: int, second: int, seed: int) -> None:
    candidates = known(count, seed)
    limits = free(count, 100, label=candidates.given, most={0: first, 1: second})
    found = np.bincount(candidates.given[places(chosen(way, candidates, limits, seed))], minlength=3)
    sizes = np.bincount(candidates.given, minlength=3)
    assert found.tolist() == [min(first, sizes[0]), min(second, sizes[1]), sizes[2]]


@pytest.mark.parametrize("way", WAYS)
@given(st.integers(1, 25), st.integers(1, 12), st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_of_a_group_one_is_picked(way: str, count: int, budget: int, seed: int) -> None:
    group = np.random.default_rng(seed).integers(0, 8, count)
    found = group[places(chosen(way, known(count, seed), free(count, budget, group=group), seed))]
    assert len(found) == len(set(found.tolist())) == min(len(set(group.tolist())), budget)


@pytest.mark.parametrize("way", WAYS)
def test_the_same_seed_gives_the_same_picks(way: str) -> None:
    first, again = (chosen(way, known(40, 1), free(40, 15), 9) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("way", ["random", "class-balanced-random", "badge", "mix", "diverse random"])
def test_another_seed_gives_other_picks_where_chance_has_a_say(way: str) -> None:
    first, other = (places(chosen(way, known(40, 1), free(40, 15), seed)) for seed in (0, 1))
    assert first != other


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("others", [0, 6])
def test_candidates_are_left_as_they_were(way: str, others: int) -> None:
    candidates = known(30, 2, others)
    same, limits = copy.deepcopy(candidates), free(30, 12, label=candidates.given, most={0: 2})
    chosen(way, candidates, limits, 0)
    for name in (field.name for field in fields(Candidates) if field.name != "columns"):
        assert np.array_equal(getattr(candidates, name), getattr(same, name)), name
    for name, column in candidates.columns.items():
        assert np.array_equal(column, same.columns[name]), name
    assert limits.most == {0: 2}
    assert limits.cost.tolist() == [1.0] * 30


def table(count: int, seed: int) -> tuple[pl.DataFrame, Tensor]:
    """Scores in the order of their ids, a fifth of them relabelled and some judged clean; and embeddings."""
    generator = np.random.default_rng(seed)
    names = np.array(["red", "green", "blue"])
    posterior, label = generator.dirichlet(np.ones(3), count), generator.integers(0, 3, count)
    said = names[posterior.argmax(axis=1)].tolist()
    made = SCORES.make(
        {
            "sample_id": [f"s{number:03}" for number in range(count)],
            "group_id": [None if number % 3 else f"p{number % 5}" for number in range(count)],
            "given_label": names[label].tolist(),
            "relabelled": (generator.random(count) < 0.2).tolist(),
            "judged_clean": (generator.random(count) < 0.3).tolist(),
            "posterior": posterior.tolist(),
            "predicted_label": said,
            "loss": uncertainty.given_loss(posterior, label),
            "suggested_label": said,
            "suggested_certainty": posterior.max(axis=1),
        }
        | scored(posterior, label, generator)
    )
    return made, torch.from_numpy(generator.normal(size=(count, 5))).float()


def options_of(way: str) -> Mapping[str, Any]:
    kind, _, rest = way.partition(" ")
    if kind == "mix":
        return {"strategy": kind, "mix": tuple(f"{name}={weight}" for name, weight in MIX.items())}
    if kind == "diverse":
        return {"strategy": rest, "diversity": 0.5}
    return {"strategy": kind} | ({"label_quality": rest.removeprefix("by ")} if rest else {})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_the_table_does_not_matter(way: str, seed: int, report: Report) -> None:
    scores, embeddings = table(60, seed)
    config = SelectConfig.model_validate({"budget": 15, "seed": seed, "group": "one"} | options_of(way))
    first = run(config, SelectInputs(scores, ("red", "green", "blue"), embeddings), report).queue
    order = np.random.default_rng(seed + 1).permutation(60)
    shuffled = SelectInputs(scores[order], ("red", "green", "blue"), embeddings[torch.from_numpy(order)])
    other = run(config, shuffled, report).queue
    assert first.height == 15
    assert other["sample_id"].to_list() == first["sample_id"].to_list()
    assert other["reason"].to_list() == first["reason"].to_list()
    np.testing.assert_allclose(other["score"], first["score"], rtol=1e-5, atol=1e-5)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_the_best_come_largest_first_and_of_equals_the_earlier(worth: list[int], budget: int) -> None:
    expected = sorted(range(len(worth)), key=lambda place: (-worth[place], place))[:budget]
    picks = fill(Ranked(np.array(worth, dtype=np.float64)), free(len(worth), budget))
    assert picks == [(place, float(worth[place])) for place in expected]


def test_what_was_passed_over_is_picked_once_it_is_allowed() -> None:
    ranked = Ranked(np.array([3.0, 2.0, 1.0]))
    assert ranked.next(np.array([False, False, True])) == (2, 1.0)
    assert ranked.next(np.array([True, True, False])) == (0, 3.0)
    assert ranked.next(np.zeros(3, dtype=np.bool_)) is None


@pytest.mark.parametrize("strategy", ["entropy", "least-confidence", "margin"])
def test_the_less_sure_of_two_classes_is_worth_more(strategy: str) -> None:
    posterior = np.array([[0.99, 0.01], [0.5, 0.5], [0.3, 0.7], [0.9, 0.1]])
    label, generator = np.zeros(4, dtype=np.int64), np.random.default_rng(0)
    worth = ranking(strategy, Candidates(label, scored(posterior, label, generator)), "self-confidence", generator)
    assert np.argsort(-worth).tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize("quality", get_args(Quality))
def test_the_label_that_is_contradicted_is_worth_more(quality: str) -> None:
    label, generator = np.array([0, 2]), np.random.default_rng(0)
    columns = scored(np.array([[0.8, 0.15, 0.05], [0.8, 0.15, 0.05]]), label, generator)
    columns["area_under_margin"] = np.array([0.7, -0.7])
    right, wrong = ranking("label-quality", Candidates(label, columns), quality, generator)
    assert wrong > right


@pytest.mark.parametrize(
    ("strategy", "column"),
    [("bald", "bald"), ("disagreement", "disagreement"), ("neighbours", "neighbour_disagreement")],
)
def test_what_disagrees_more_is_worth_more(strategy: str, column: str) -> None:
    candidates = Candidates(np.zeros(2, dtype=np.int64), {column: np.array([0.1, 0.2])})
    low, high = ranking(strategy, candidates, "self-confidence", np.random.default_rng(0))
    assert (low, high) == (0.1, 0.2)


def test_expected_correction_goes_by_the_worth_of_correction() -> None:
    candidates = known(20, 0)
    worth = ranking("expected-correction", candidates, "self-confidence", np.random.default_rng(0))
    assert np.array_equal(worth, np.asarray(candidates.worth_of_correction))


def test_random_worth_is_even_and_blind() -> None:
    candidates = known(5000, 0)
    worth = ranking("random", candidates, "self-confidence", np.random.default_rng(0))
    assert worth.mean() == pytest.approx(0.5, abs=0.02)
    assert abs(np.corrcoef(worth, candidates.columns["entropy"])[0, 1]) < 0.05


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 40), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_class_balanced_random_draws_from_each_class_in_turn(label: list[int], budget: int, seed: int) -> None:
    found = places(chosen("class-balanced-random", Candidates(np.array(label)), free(len(label), budget), seed))
    counts = np.bincount([label[place] for place in found], minlength=4)
    sizes = np.bincount(label, minlength=4)
    for index in range(4):  # behind the others by more than one only where there are no more of it
        assert counts[index] == sizes[index] or counts[index] >= counts.max() - 1


def test_within_a_class_class_balanced_random_is_even() -> None:
    firsts = [
        places(chosen("class-balanced-random", Candidates(np.zeros(4, dtype=np.int64)), free(4, 1), seed))[0]
        for seed in range(800)
    ]
    assert (np.abs(np.bincount(firsts, minlength=4) / 800 - 0.25) < 0.06).all()


def naive_diverse(worth: Floats, embeddings: Floats, weight: float, shortlist: int, budget: int) -> list[int]:
    """Greedy maximal marginal relevance: rank against the likeness to the nearest pick, in loops."""
    ranked = sorted(range(len(worth)), key=lambda place: (-worth[place], place))
    short, found = ranked[:shortlist], list[int]()
    unit = [row / np.sqrt(sum(value * value for value in row)) for row in embeddings]
    while len(found) < min(budget, len(worth)):
        best, most = -1, -np.inf
        for rank, place in enumerate(short):
            if place in found:
                continue
            likeness = max([0.0, *(float(unit[place] @ unit[pick]) for pick in found)])
            value = (1 - weight) * (1 - rank / len(short)) - weight * likeness
            if value > most:
                best, most = place, value
        found.append(best if best >= 0 else next(place for place in ranked if place not in found))
    return found


@given(st.integers(1, 25), st.integers(1, 30), st.integers(1, 30), st.floats(0.05, 0.95), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_diverse_picks_are_those_of_a_plain_greedy_loop(
    count: int, budget: int, shortlist: int, weight: float, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    worth, embeddings = generator.random(count), generator.normal(size=(count, 4))
    diverse = Diverse(worth, torch.from_numpy(embeddings), weight, shortlist)
    picks = fill(diverse, free(count, budget))
    assert places(picks) == naive_diverse(worth, embeddings, weight, shortlist, budget)
    assert [found for _, found in picks] == worth[places(picks)].tolist()


def test_hardly_any_weight_of_diversity_is_the_ranking() -> None:
    generator = np.random.default_rng(0)
    worth, embeddings = generator.random(50), torch.from_numpy(generator.normal(size=(50, 4)))
    assert places(fill(Diverse(worth, embeddings, 1e-6, 50), free(50, 20))) == np.argsort(-worth)[:20].tolist()


def test_a_second_copy_comes_later() -> None:
    embeddings = torch.eye(6)[torch.tensor([0, 0, 1, 1, 2, 3])]
    worth = np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.5])
    assert places(fill(Diverse(worth, embeddings, 0.5, 6), free(6, 6))) == [0, 2, 4, 5, 1, 3]


def test_what_others_picked_lowers_what_is_like_it() -> None:
    diverse = Diverse(np.array([1.0, 0.9, 0.1]), torch.eye(3)[torch.tensor([0, 0, 1])], 0.6, 3)
    diverse.took(1)
    assert diverse.next(np.array([True, False, True])) == (2, 0.1)
