"""A queue never passes its budget, quotas and groups, and keeps its floors wherever the pool can."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stages.methods.acquisition import Bools, Pick, Ranked
from stages.methods.queueing import Limits, Mixed, fill

Ints = NDArray[np.int64]
CLASSES = 3
SEEDS = st.integers(0, 100_000)


def limits(count: int, budget: float, **changed: Any) -> Limits:
    """A budget of looks that cost 1 each at one class, and no other limit."""
    return Limits(**({"budget": budget, "cost": np.ones(count), "label": np.zeros(count, dtype=np.int64)} | changed))


def falling(count: int) -> Ranked:
    """The first is worth most."""
    return Ranked(np.arange(count, 0, -1, dtype=np.float64))


def places(picks: list[Pick]) -> list[int]:
    return [place for place, _ in picks]


def drawn(count: int, seed: int) -> tuple[Ranked, np.random.Generator]:
    generator = np.random.default_rng(seed)
    return Ranked(generator.random(count)), generator


@given(st.lists(st.floats(0.01, 20), min_size=1, max_size=25), st.floats(0.01, 60), SEEDS)
@settings(max_examples=80, deadline=None)
def test_the_budget_is_never_passed_and_no_more_could_be_paid_for(cost: list[float], budget: float, seed: int) -> None:
    ranked, _ = drawn(len(cost), seed)
    found = places(fill(ranked, limits(len(cost), budget, cost=np.array(cost))))
    spent = sum(cost[place] for place in found)
    assert len(set(found)) == len(found)
    assert spent <= budget + 1e-6
    assert all(cost[place] > budget - spent - 1e-6 for place in range(len(cost)) if place not in found)


@pytest.mark.parametrize(("budget", "cost", "count"), [(0.3, 0.1, 3), (1.2, 0.4, 3), (2.0, 0.1, 20), (0.7, 0.1, 7)])
def test_fractions_that_add_up_to_the_budget_are_all_paid_for(budget: float, cost: float, count: int) -> None:
    assert len(fill(falling(40), limits(40, budget, cost=np.full(40, cost)))) == count


def test_what_is_too_dear_is_passed_over_for_what_can_be_paid() -> None:
    cost = np.array([3.0, 9.0, 3.0, 4.0, 1.0])
    assert fill(falling(5), limits(5, 7.0, cost=cost)) == [(0, 5.0), (2, 3.0), (4, 1.0)]


@given(
    st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=30),
    st.lists(st.integers(0, 6), min_size=CLASSES, max_size=CLASSES),
    st.integers(1, 20),
    SEEDS,
)
@settings(max_examples=60, deadline=None)
def test_quotas_hold_and_cost_no_pick_that_they_allow(
    label: list[int], most: list[int], budget: int, seed: int
) -> None:
    ranked, _ = drawn(len(label), seed)
    held = limits(len(label), budget, label=np.array(label), most=dict(enumerate(most)))
    counts = np.bincount(np.array(label)[places(fill(ranked, held))], minlength=CLASSES)
    there = np.bincount(label, minlength=CLASSES)
    assert (counts <= most).all()
    assert counts.sum() == min(budget, int(np.minimum(there, most).sum()))


@given(st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=30), st.integers(1, 20), SEEDS)
@settings(max_examples=80, deadline=None)
def test_floors_are_met_whenever_the_pool_can_meet_them(label: list[int], budget: int, seed: int) -> None:
    ranked, generator = drawn(len(label), seed)
    least = generator.multinomial(generator.integers(0, budget + 1), np.ones(CLASSES) / CLASSES)
    most = {0: int(least[0]) + 1, 1: int(least[1])}
    found = places(
        fill(
            ranked, limits(len(label), budget, label=np.array(label), most=most, least=dict(enumerate(least.tolist())))
        )
    )
    counts, there = np.bincount(np.array(label)[found], minlength=CLASSES), np.bincount(label, minlength=CLASSES)
    room = np.minimum(there, [most[0], most[1], len(label)])
    assert (counts >= np.minimum(least, there)).all()  # together they fit the budget, so each can be met
    assert (counts <= room).all()
    assert counts.sum() == min(budget, int(room.sum()))


@given(
    st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=30),
    st.lists(st.sampled_from([0.5, 1.0, 1.7, 3.0, 8.0]), min_size=CLASSES, max_size=CLASSES),
    st.lists(st.integers(0, 4), min_size=CLASSES, max_size=CLASSES),
    st.floats(0, 12),
    SEEDS,
)
@settings(max_examples=80, deadline=None)
def test_floors_are_met_though_classes_cost_unlike_amounts(
    label: list[int], cost: list[float], least: list[int], over: float, seed: int
) -> None:
    ranked, _ = drawn(len(label), seed)
    budget = float(np.dot(cost, least)) + over + 0.1
    held = limits(len(label), budget, cost=np.array(cost)[label], label=np.array(label), least=dict(enumerate(least)))
    found = places(fill(ranked, held))
    counts, there = np.bincount(np.array(label)[found], minlength=CLASSES), np.bincount(label, minlength=CLASSES)
    spent = float(counts @ np.array(cost))
    assert spent <= budget + 1e-6
    assert (counts >= np.minimum(least, there)).all()
    assert all(cost[index] > budget - spent - 1e-6 for index in range(CLASSES) if there[index] > counts[index])


def test_a_floor_moves_nothing_until_all_that_is_left_is_owed() -> None:
    label = np.array([0, 0, 0, 0, 0, 1, 1, 1])
    assert places(fill(falling(8), limits(8, 4, label=label, least={1: 2}))) == [0, 1, 5, 6]
    assert places(fill(falling(8), limits(8, 4, label=label, least={0: 2}))) == [0, 1, 2, 3]


def test_more_of_a_class_than_its_floor_may_be_picked_and_what_was_met_is_owed_no_more() -> None:
    label = np.array([1, 1, 1, 0, 0, 0])
    assert places(fill(falling(6), limits(6, 4, label=label, least={1: 2}))) == [0, 1, 2, 3]


def test_a_floor_of_a_class_that_is_not_there_is_owed_nothing() -> None:
    assert places(fill(falling(4), limits(4, 3, least={2: 3}))) == [0, 1, 2]


def test_what_is_left_after_the_floors_are_met_goes_to_the_best() -> None:
    label, cost = np.array([0, 0, 0, 1, 1]), np.array([1.0, 1, 1, 3, 3])
    assert places(fill(falling(5), limits(5, 8, cost=cost, label=label, least={1: 2}))) == [3, 4, 0, 1]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 15), SEEDS)
@settings(max_examples=60, deadline=None)
def test_one_of_a_group_is_picked_the_best(group: list[int], budget: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    worth = generator.random(len(group))
    found = places(fill(Ranked(worth), limits(len(group), budget, group=np.array(group))))
    best = {number: max(np.flatnonzero(np.array(group) == number), key=lambda at: worth[at]) for number in set(group)}
    assert found == sorted(best.values(), key=lambda place: -worth[place])[:budget]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.integers(1, 25), SEEDS)
@settings(max_examples=80, deadline=None)
def test_a_group_is_in_the_queue_whole_and_together_or_not_at_all(group: list[int], budget: int, seed: int) -> None:
    ranked, _ = drawn(len(group), seed)
    picks = fill(ranked, limits(len(group), budget, group=np.array(group), whole=True))
    found = [group[place] for place in places(picks)]
    sizes = np.bincount(group)
    assert len(set(places(picks))) == len(picks) <= budget
    assert [found.count(number) for number in found] == [sizes[number] for number in found]
    together = [number for at, number in enumerate(found) if at == 0 or found[at - 1] != number]
    assert len(together) == len(set(together))
    assert all(sizes[number] > budget - len(picks) for number in set(group) - set(found))


def test_a_whole_group_follows_the_pick_that_brought_it_and_bears_its_worth() -> None:
    group = np.array([0, 1, 0, 2, 1])
    picks = fill(falling(5), limits(5, 3, group=group, whole=True))
    assert picks == [(0, 5.0), (2, 5.0), (3, 2.0)]  # group 1 is past what is left, and passed over
    rising = Ranked(np.arange(1, 6, dtype=np.float64))
    assert fill(rising, limits(5, 4, group=group, whole=True)) == [(4, 5.0), (1, 5.0), (3, 4.0)]


def test_a_whole_group_is_paid_for_at_the_cost_of_each() -> None:
    group, cost = np.array([0, 0, 1, 2, 2]), np.array([2.0, 3.0, 4.0, 1.0, 2.0])
    assert places(fill(falling(5), limits(5, 8, cost=cost, group=group, whole=True))) == [0, 1, 3, 4]


def test_a_floor_whose_class_is_all_in_one_group_gets_the_one_there_is_and_the_rest_goes_on() -> None:
    label, group = np.array([0, 0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 3, 4, 4, 4])
    found = places(fill(falling(7), limits(7, 4, label=label, least={1: 3}, group=group)))
    assert found == [0, 1, 2, 4]
    assert len(fill(falling(7), limits(7, 5, label=label, least={1: 3}, group=group))) == 5


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=25), st.integers(1, 12), SEEDS)
@settings(max_examples=60, deadline=None)
def test_floors_quotas_and_groups_together_waste_no_budget(
    pairs: list[tuple[int, int]], budget: int, seed: int
) -> None:
    ranked, generator = drawn(len(pairs), seed)
    label, group = np.array([one for one, _ in pairs]), np.array([number for _, number in pairs])
    least = generator.multinomial(budget, np.ones(CLASSES) / CLASSES)
    held = limits(
        len(pairs), budget, label=label, most={0: int(least[0])}, least=dict(enumerate(least.tolist())), group=group
    )
    found = places(fill(ranked, held))
    assert len(found) <= budget
    assert len(set(group[found].tolist())) == len(found)
    assert (label[found] == 0).sum() <= least[0]
    if len(found) < budget:  # nothing is left that may be picked
        full = (label[found] == 0).sum() == least[0]
        assert all(group[at] in group[found] or (full and label[at] == 0) for at in range(len(pairs)))


@given(
    st.lists(st.floats(0.1, 5), min_size=1, max_size=4),
    st.integers(1, 40),
    SEEDS,
)
@settings(max_examples=50, deadline=None)
def test_a_mix_keeps_in_proportion_at_every_length(weights: list[float], budget: int, seed: int) -> None:
    names = [f"way{number}" for number in range(len(weights))]
    choosers = {name: drawn(40, seed + number)[0] for number, name in enumerate(names)}
    mixed = Mixed(choosers, dict(zip(names, weights, strict=True)))
    found = places(fill(mixed, limits(40, budget)))
    assert len(set(found)) == len(found) == budget
    by = [mixed.by[place] for place in found]
    for length in range(1, budget + 1):
        for name, weight in zip(names, weights, strict=True):
            assert abs(by[:length].count(name) - length * weight / sum(weights)) < max(1.0, len(weights) - 1)


def test_a_mix_of_three_to_one_takes_three_and_one() -> None:
    up = Ranked(np.arange(8, dtype=np.float64))
    mixed = Mixed({"down": falling(8), "up": up}, {"down": 3.0, "up": 1.0})
    found = places(fill(mixed, limits(8, 8)))
    assert sorted(found) == list(range(8))
    assert [mixed.by[place] for place in found].count("down") == 6
    assert [place for place in found if mixed.by[place] == "down"] == [0, 1, 2, 3, 4, 5]
    assert [place for place in found if mixed.by[place] == "up"] == [7, 6]


def test_all_of_a_mix_are_told_of_every_pick() -> None:
    told: dict[str, list[int]] = {"one": [], "two": []}

    class Listening(Ranked):
        def __init__(self, name: str) -> None:
            super().__init__(np.arange(6, 0, -1, dtype=np.float64))
            self._name = name

        def took(self, place: int) -> None:
            told[self._name].append(place)

    found = places(fill(Mixed({name: Listening(name) for name in told}, dict.fromkeys(told, 1.0)), limits(6, 4)))
    assert told == {"one": found, "two": found}


def test_a_chooser_is_told_of_whole_groups_and_not_of_what_was_too_dear() -> None:
    told: list[int] = []

    class Listening(Ranked):
        def took(self, place: int) -> None:
            told.append(place)

    group = np.array([0, 0, 0, 1, 1])
    found = fill(Listening(np.array([5.0, 4, 3, 2, 1])), limits(5, 2, group=group, whole=True))
    assert places(found) == told == [3, 4]


@pytest.mark.parametrize("budget", [0.5, 3.0])
def test_where_nothing_may_be_picked_the_queue_is_empty(budget: float) -> None:
    assert fill(falling(3), limits(3, budget, most={0: 0})) == []
    assert fill(Ranked(np.zeros(0)), limits(0, budget)) == []


def test_every_pick_is_asked_for_among_the_allowed_alone() -> None:
    seen: list[Bools] = []

    class Watching(Ranked):
        def next(self, allowed: Bools) -> Pick | None:
            seen.append(allowed.copy())
            return super().next(allowed)

    fill(Watching(np.array([4.0, 3.0, 2.0, 1.0])), limits(4, 3, cost=np.array([2.0, 5.0, 1.0, 3.0])))
    assert [allowed.tolist() for allowed in seen] == [
        [True, False, True, True],
        [False, False, True, False],
        [False, False, False, False],
    ]


def test_a_group_with_a_member_too_dear_is_not_torn_apart() -> None:
    held = limits(3, 2, cost=np.array([1.0, 3.0, 1.0]), group=np.array([0, 0, 1]), whole=True)
    assert places(fill(falling(3), held)) == [2]


def test_a_mix_goes_back_to_what_it_passed_over_for_a_floor() -> None:
    worth, label = np.array([9.0, 8, 7, 6, 5, 4, 3, 2]), np.array([0, 0, 0, 0, 1, 1, 0, 0])
    held = limits(8, 10, cost=np.where(label == 1, 3.0, 1.0), label=label, least={1: 2})
    mixed = Mixed({"a": Ranked(worth), "b": Ranked(worth)}, {"a": 1.0, "b": 1.0})
    assert places(fill(mixed, held)) == [0, 1, 4, 5, 2, 3]


def test_a_floor_is_met_though_its_class_shares_a_group_with_a_better_one() -> None:
    held = limits(3, 2, label=np.array([0, 1, 0]), least={1: 1}, group=np.array([0, 0, 1]))
    assert sorted(places(fill(falling(3), held))) == [1, 2]


def test_what_is_kept_for_a_floor_is_open_again_once_the_floor_is_met() -> None:
    label, group = np.array([0, 1, 0, 1, 0]), np.array([0, 0, 1, 1, 2])
    held = limits(5, 3, label=label, least={1: 1}, group=group)
    assert places(fill(falling(5), held))[:2] == [0, 3]  # the first closes a group of two that would do
