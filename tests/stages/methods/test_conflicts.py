"""Answers that settle nothing are told, a row an annotator, and make a queue for whoever settles them."""

from __future__ import annotations

from typing import Any

import polars as pl

from schemas.conflicts import CONFLICTS
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.queue import QUEUE
from stages.methods import chain, conflicts
from stages.methods.consensus import Rules

LABELS_NOW = LABELS.make({"sample_id": ["a", "b", "c"], "label": ["red", "red", "green"]})


def event(sample: str, answer: str | None, annotator: str | None, kind: str = "vote", **more: Any) -> dict[str, Any]:
    """An event without number and links."""
    shared = {"round": 1, "relabelled_before": False, "charged": False, "cost": 0.0, "unit": "labels", "version": "1"}
    named = {"kind": kind, "sample_id": sample, "answer": answer, "annotator": annotator}
    return shared | named | {"label_before": "red", "label_after": "red"} | more


def ledger(*made: dict[str, Any]) -> pl.DataFrame:
    return chain.append(LEDGER.empty(), made, LABELS_NOW) if made else LEDGER.empty()


def found(*made: dict[str, Any], least: int = 1) -> list[tuple[Any, ...]]:
    return CONFLICTS.check(conflicts.of(ledger(*made), Rules(least)), "conflicts").rows()


def decision(sample: str) -> dict[str, Any]:
    return event(sample, None, None, "decision")


def test_a_tie_is_a_row_for_each_annotator_and_a_decided_sample_none() -> None:
    told = "no majority (blue 1, green 1)"
    assert found(event("a", "blue", "ann"), event("b", "blue", "ann"), decision("b"), event("a", "green", None)) == [
        ("a", "blue", "ann", told),
        ("a", "green", None, told),
    ]


def test_a_sample_whose_decision_was_reversed_is_in_conflict_again() -> None:
    tie = (event("a", "blue", "ann"), decision("a"), event("a", "green", "bob"))
    assert found(*tie) == []
    assert len(found(*tie, event("a", None, None, "reversal"))) == 2


def test_an_annotator_has_one_row_the_latest_and_one_who_named_no_class_too() -> None:
    unsure = event("a", None, "bob", "unclear", problem="unsure")
    rows = found(event("a", "blue", "bob"), event("a", "green", "ann"), event("a", "red", "cid"), unsure)
    assert [row[1:3] for row in rows] == [(None, "bob"), ("green", "ann"), ("red", "cid")]
    assert found(unsure) == [("a", None, "bob", "bob: unsure")]


def test_answers_that_were_taken_back_are_in_no_conflict() -> None:
    withdrawn = event("a", None, "ann", "withdrawal", withdraws=1)
    unsure = event("a", None, "bob", "unclear", problem="unsure")
    assert found(event("a", "blue", "ann"), withdrawn) == []
    assert found(event("a", "blue", "ann"), unsure, withdrawn) == [("a", None, "bob", "bob: unsure")]


def test_a_sample_that_only_waits_for_annotators_is_in_no_conflict() -> None:
    assert found(event("a", "blue", "ann"), event("b", None, "ann", "unclear", problem="unsure"), least=2) == [
        ("b", None, "ann", "ann: unsure")
    ]


def test_a_sample_that_came_in_under_other_options_says_so() -> None:
    assert found(event("a", "blue", "ann")) == [("a", "blue", "ann", "undecided under the options it came in with")]


def test_no_events_are_no_conflicts() -> None:
    assert found() == []
    assert conflicts.queue(CONFLICTS.empty(), LABELS_NOW, None).equals(QUEUE.empty())


OPEN = CONFLICTS.make(
    {
        "sample_id": ["a", "a", "a", "b", "c"],
        "label": ["green", "blue", "blue", None, "blue"],
        "annotator": ["ann", "bob", "cid", "ann", "ann"],
        "problem": ["p1", "p1", "p1", "p2", "p3"],
    }
)


def test_the_queue_suggests_what_most_named_and_the_given_label_where_nobody_did() -> None:
    columns = ("rank", "sample_id", "given_label", "suggested_label", "reason", "cost", "unit")
    assert conflicts.queue(OPEN, LABELS_NOW, None).select(columns).rows() == [
        (1, "a", "red", "blue", "p1", 1.0, "labels"),
        (2, "b", "red", "red", "p2", 1.0, "labels"),
        (3, "c", "green", "blue", "p3", 1.0, "labels"),
    ]


def test_the_queue_keeps_the_order_price_and_unit_they_were_asked_in_and_puts_others_last() -> None:
    asked = QUEUE.make(
        {
            "rank": [1, 7, 8],
            "sample_id": ["x", "c", "b"],
            "given_label": "red",
            "suggested_label": "blue",
            "cost": [1.0, 2.5, 3.5],
            "unit": "minutes",
        }
    )
    again = conflicts.queue(OPEN, LABELS_NOW, asked)
    assert again.select("rank", "sample_id", "cost", "unit").rows() == [
        (1, "c", 2.5, "minutes"),
        (2, "b", 3.5, "minutes"),
        (3, "a", 1.0, "labels"),
    ]
    assert QUEUE.check(again, "queue").equals(again)
