"""Every answer takes its price from the budget once, in order, and what all cost is told."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.classes import Classes
from schemas.errors import DataError, NothingToDoError, UsageError
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from stages.methods import chain
from stages.methods import ledger as ledgers
from stages.methods.accounts import Budget, accounts, changes, named_classes, unpriced, within

FIRST = LABELS.make({"sample_id": ["a", "b"], "label": ["red", "red"]})


def answer(place: int = 1, seconds: float | None = 36.0, **more: Any) -> dict[str, Any]:
    """An answer as the ledger has it, with its place in the file."""
    row = {"round": 1, "kind": "vote", "sample_id": "a", "answer": "blue", "label_before": "red", "label_after": "red"}
    row |= {"relabelled_before": False, "charged": True, "cost": 2.0, "unit": "labels", "version": "1"}
    return row | {"annotator": "ann", "seconds": seconds, "place": place} | more


def ledger(*made: dict[str, Any]) -> pl.DataFrame:
    return chain.append(LEDGER.empty(), made, FIRST) if made else LEDGER.empty()


def kept(budget: Budget, new: list[dict[str, Any]], *before: dict[str, Any]) -> list[int]:
    """The places of the answers that are covered; the others must be those left."""
    covered, left = within(budget, ledger(*before), new, "a.csv", "row")
    assert sorted(one["place"] for one in [*covered, *left]) == sorted(one["place"] for one in new)
    return [one["place"] for one in covered]


@pytest.mark.parametrize(
    ("budget", "changed", "price"),
    [
        (Budget(9, "labels"), {}, 1.0),
        (Budget(9, "labels"), {"unit": "minutes", "seconds": None}, 1.0),
        (Budget(9, "minutes"), {}, 0.6),
        (Budget(9, "minutes"), {"unit": "minutes"}, 2.0),
        (Budget(9, "minutes"), {"seconds": None}, None),
        (Budget(9, "money", 50.0), {}, 0.5),
        (Budget(9, "money", 50.0), {"unit": "money"}, 2.0),
        (Budget(9, "money"), {"unit": "money", "seconds": None}, 2.0),
        (Budget(9, "money"), {}, None),
        (Budget(9, "money", 50.0), {"seconds": None}, None),
        (Budget(9, "minutes"), {"charged": False, "seconds": None}, 0.0),
    ],
)
def test_an_answer_is_priced_in_the_budgets_unit(budget: Budget, changed: dict[str, Any], price: float | None) -> None:
    found = budget.price(answer(**changed))
    assert found is None if price is None else found == pytest.approx(price)


def test_answers_are_covered_in_order_until_one_does_not_fit_and_none_after_it() -> None:
    new = [answer(place, seconds=60.0 * minutes) for place, minutes in enumerate([1, 1, 3, 1], 1)]
    assert kept(Budget(4.5, "minutes"), new) == [1, 2]
    assert kept(Budget(5, "minutes"), new) == [1, 2, 3]
    assert kept(Budget(6, "minutes"), new) == [1, 2, 3, 4]


def test_what_earlier_rounds_spent_is_spent_and_what_was_not_charged_is_not() -> None:
    new = [answer(place) for place in (1, 2, 3)]
    assert kept(Budget(3, "labels"), new, answer(), answer(charged=False), answer(kind="unclear")) == [1]


def test_decisions_cost_nothing() -> None:
    assert kept(Budget(1, "labels"), [answer(1)], answer(kind="decision", charged=False, cost=0.0)) == [1]


def test_answers_free_of_charge_come_in_after_the_budget_is_spent() -> None:
    new = [answer(1), answer(2), answer(3, charged=False)]
    assert kept(Budget(1, "labels"), new) == [1, 3]
    assert kept(Budget(1, "labels"), new[2:], answer()) == [3]


def test_small_rounding_does_not_cost_an_answer() -> None:
    assert kept(Budget(0.3, "money", 1.0), [answer(p, unit="money", cost=0.1) for p in (1, 2, 3)]) == [1, 2, 3]


@given(st.lists(st.floats(0.1, 9), min_size=1, max_size=8), st.lists(st.floats(0.1, 9), max_size=4), st.floats(0.1, 40))
@settings(max_examples=30, deadline=None)
def test_the_budget_is_never_overdrawn_and_the_first_left_over_would(
    prices: list[float], before: list[float], most: float
) -> None:
    new = [answer(place, unit="money", cost=price) for place, price in enumerate(prices)]
    spent = sum(before)
    held = [answer(unit="money", cost=price) for price in before]
    if spent + prices[0] > most + 1e-9:
        with pytest.raises(NothingToDoError, match="the budget is spent"):
            kept(Budget(most, "money"), new, *held)
        return
    covered = kept(Budget(most, "money"), new, *held)
    assert covered == list(range(len(covered)))
    assert spent + sum(prices[: len(covered)]) <= most + 1e-8
    if len(covered) < len(prices):
        assert spent + sum(prices[: len(covered) + 1]) > most


def test_a_spent_budget_is_told_with_what_was_spent() -> None:
    with pytest.raises(NothingToDoError) as caught:
        kept(Budget(2, "labels"), [answer()], answer(), answer())
    assert str(caught.value) == "a.csv: the budget is spent (2 of 2 labels); a larger --budget takes more answers in"


def test_nothing_new_is_no_spent_budget() -> None:
    assert kept(Budget(1, "labels"), [], answer()) == []


def test_an_answer_without_its_time_is_refused_with_the_first_place() -> None:
    new = [answer(2), answer(5, seconds=None), answer(7, seconds=None)]
    for budget in (Budget(9, "minutes"), Budget(9, "money", 50.0)):
        with pytest.raises(DataError) as caught:
            kept(budget, new)
        told = f"a.csv: 2 answers without the seconds taken (first: row 5); a budget in {budget.unit} counts them"
        assert str(caught.value) == told


def test_money_without_what_an_hour_costs_is_refused_unless_the_queue_counts_money() -> None:
    with pytest.raises(UsageError) as caught:
        kept(Budget(9, "money"), [answer()])
    assert str(caught.value) == "--unit money: the queue is not in money, so --rate-per-hour is needed too"
    assert kept(Budget(9, "money"), [answer(3, unit="money")]) == [3]


def test_the_accounts_tell_what_the_new_events_and_all_events_cost() -> None:
    made = [
        answer(cost=1.5),
        answer(kind="unclear", answer=None, cost=1.0),
        answer(kind="decision", charged=False, cost=0.0),
    ]
    whole = ledger(answer(cost=4.0, seconds=90.0, round=1), *[one | {"round": 2} for one in made])
    found = accounts(whole, made, Classes(names=("red", "blue")), 100.0)
    assert found == {
        "unclear": 1,
        "cost": 2.5,
        "cost_so_far": 6.5,
        "cost_in": "labels",
        "labels_bought": 3,
        "spent": [[1, "ann", 1, 1.5, 0, 2.5], [2, "ann", 2, 1.2, 0, 2.0]],
        "mean_kappa": None,
        "agreement": [],
    }


def test_the_accounts_tell_how_far_annotators_agree() -> None:
    votes = [
        answer(sample_id=name, annotator=who, answer=label)
        for name, who, label in [("a", "ann", "blue"), ("a", "bob", "blue"), ("b", "ann", "red"), ("b", "bob", "red")]
    ]
    found = accounts(ledger(*votes), [], Classes(names=("red", "blue")), None)
    assert (found["mean_kappa"], found["agreement"]) == (1.0, [["ann", "bob", 2, 1.0, 1.0]])


def test_grades_of_one_scale_agree_by_squared_weights() -> None:
    told = [("a", "ann", "1"), ("a", "bob", "1"), ("b", "ann", "2"), ("b", "bob", "3")]
    votes = [answer(sample_id=name, annotator=who, answer=label) for name, who, label in told]
    plain, ordered = (
        accounts(ledger(*votes), [], Classes(names=("1", "2", "3"), ordered=is_ordered), None)["mean_kappa"]
        for is_ordered in (False, True)
    )
    assert (plain, ordered) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_changes_are_told_from_class_to_class() -> None:
    names = ["a", "b", "c", "d"]
    before = LABELS.make({"sample_id": names, "label": ["red", "red", "blue", "blue"]})
    after = LABELS.make({"sample_id": names, "label": ["blue", "blue", "blue", "green"]})
    assert changes(before, after) == {"changed": 3, "changes": [["blue", "green", 1], ["red", "blue", 2]]}
    assert changes(before, before) == {"changed": 0, "changes": []}


def test_costs_in_different_units_are_not_added() -> None:
    new = answer(cost=5.0, unit="money", round=2)
    found = accounts(ledger(answer(cost=1.0, round=1), new), [new], Classes(names=("red", "blue")), None)
    assert (found["cost"], found["cost_so_far"], found["cost_in"]) == (5.0, 5.0, "money")


def test_answers_that_a_budget_cannot_count_are_counted() -> None:
    told = ledger(answer(seconds=None), answer(seconds=3.0), answer(charged=False, cost=0.0))
    assert unpriced(Budget(9, "minutes"), told) == 1
    assert unpriced(Budget(9, "labels"), told) == 0


def test_of_each_sample_with_two_annotators_the_classes_that_they_named_last_count() -> None:
    events = [
        answer(sample_id="a", annotator="ann", answer="red"),
        answer(sample_id="a", annotator="bob", answer="blue"),
        answer(sample_id="a", annotator="ann", answer="green"),
        answer(sample_id="a", annotator="dr", answer="red", kind="adjudication"),
        answer(sample_id="b", annotator="ann", answer="red"),
        answer(sample_id="b", annotator="ann; bob", answer=None, kind="decision"),
        answer(sample_id="c", annotator="ann", answer="red"),
        answer(sample_id="c", annotator="bob", answer=None, kind="unclear"),
        answer(sample_id="d", annotator="ann", answer="red"),
        answer(sample_id="d", annotator="bob", answer="red"),
        answer(sample_id="d", annotator="bob", answer=None, kind="withdrawal", withdraws=10),
        answer(sample_id="e", annotator=None, answer="red"),
        answer(sample_id="e", annotator="bob", answer="red"),
    ]
    found = named_classes(ledgers.standing(ledger(*events)))
    assert found == {"a": {"ann": "green", "bob": "blue"}, "e": {None: "red", "bob": "red"}}
