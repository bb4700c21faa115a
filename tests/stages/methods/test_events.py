"""Answers that stand lead to the events that bring each label to what they come to, and to no others."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.labels import LABELS
from schemas.ledger import LEDGER
from stages.methods import chain
from stages.methods.consensus import Rules, Verdict
from stages.methods.events import State, decide, event, states

FIRST = LABELS.make({"sample_id": ["a", "b"], "label": ["red", "green"], "relabelled": [False, True]})
UNTOUCHED = State("red", False, False, ("red", False))
DECIDED = State("blue", True, True, ("red", False))


def vote(answer: str | None, annotator: str | None = "ann", kind: str = "vote") -> dict[str, Any]:
    problem = "unsure" if answer is None else None
    return {"kind": kind, "answer": answer, "annotator": annotator, "answered_at": None, "problem": problem}


def test_a_sample_that_nothing_was_decided_of_stands_at_its_first_label() -> None:
    vote_only = event("vote", "a", UNTOUCHED, round=1, version="1")
    ledger = chain.append(LEDGER.empty(), [vote_only], FIRST)
    assert states(["a", "b"], FIRST, ledger) == {
        "a": UNTOUCHED,
        "b": State("green", True, False, ("green", True)),
    }


def test_a_decided_sample_stands_at_its_label_and_remembers_the_first() -> None:
    made = [
        event("decision", "a", UNTOUCHED, "blue", round=1, version="1"),
        event("decision", "a", DECIDED, "green", round=1, version="1"),
    ]
    ledger = chain.append(LEDGER.empty(), made, FIRST)
    now = LABELS.make({"sample_id": ["a", "b"], "label": ["green", "green"], "relabelled": [True, True]})
    assert states(["a"], now, ledger) == {"a": State("green", True, True, ("red", False))}
    back = [event("reversal", "a", State("green", True, True, ("red", False)), "red", round=1, version="1")]
    assert states(["a"], FIRST, chain.append(ledger, back, FIRST))["a"] == UNTOUCHED


@pytest.mark.parametrize("state", [UNTOUCHED, DECIDED], ids=["untouched", "decided"])
def test_a_new_verdict_is_a_decision_from_the_label_now(state: State) -> None:
    made, verdicts = decide(
        {"a": state}, {"a": [vote("green", "bob"), vote("green", "ann"), vote(None, None)]}, Rules()
    )
    assert verdicts == {"a": Verdict("green")}
    assert [
        (one["kind"], one["label_before"], one["label_after"], one["relabelled_before"], one["annotator"])
        for one in made
    ] == [("decision", state.label, "green", state.relabelled, "ann; bob")]


def test_a_decision_by_nobody_named_has_no_annotator() -> None:
    assert decide({"a": UNTOUCHED}, {"a": [vote("blue", None)]}, Rules())[0][0]["annotator"] is None


def test_an_answer_that_confirms_the_first_label_is_a_decision_too() -> None:
    made, _ = decide({"a": UNTOUCHED}, {"a": [vote("red")]}, Rules())
    assert [(one["kind"], one["label_after"]) for one in made] == [("decision", "red")]


def test_a_verdict_that_was_decided_already_is_no_event() -> None:
    assert decide({"a": DECIDED}, {"a": [vote("blue"), vote("blue", "bob")]}, Rules())[0] == []


def test_answers_that_no_longer_come_to_anything_are_a_reversal_to_the_first_label() -> None:
    tie = [vote("blue"), vote("green", "bob")]
    for answers in ({"a": tie}, {"a": []}, {}):
        made, verdicts = decide({"a": DECIDED}, answers, Rules())
        assert [(one["kind"], one["label_before"], one["label_after"]) for one in made] == [("reversal", "blue", "red")]
        assert verdicts["a"].label is None


def test_answers_that_come_to_nothing_are_no_event_where_nothing_was_decided() -> None:
    made, verdicts = decide({"a": UNTOUCHED}, {"a": [vote("blue"), vote("green", "bob")]}, Rules())
    assert (made, verdicts["a"].problem) == ([], "no majority (blue 1, green 1)")


def test_an_event_leaves_the_label_and_costs_nothing_unless_it_says_so() -> None:
    plain = event("vote", "a", DECIDED)
    assert plain == {
        "kind": "vote",
        "sample_id": "a",
        "label_before": "blue",
        "label_after": "blue",
        "relabelled_before": True,
        "charged": False,
        "cost": 0.0,
        "unit": "labels",
    }
    told = event("decision", "a", DECIDED, "green", cost=2.0, charged=True, comment="why")
    assert (told["label_after"], told["cost"], told["charged"], told["comment"]) == ("green", 2.0, True, "why")
