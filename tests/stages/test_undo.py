"""Undo: answers are taken back by new events; what is left decides, and what was spent stays spent."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.answers import READ_ANSWERS
from schemas.classes import Classes
from schemas.errors import NothingToDoError, UsageError
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from stages.methods import ledger as ledgers
from stages.relabel import RelabelConfig, RelabelInputs, RelabelOutputs
from stages.relabel import run as relabel_run
from stages.report import SilentReport
from stages.undo import UndoConfig, UndoInputs, UndoOutputs, run

CLASSES = Classes(names=("red", "green", "blue"))
NAMES = ["s0", "s1", "s2", "s3"]
FIRST = LABELS.make({"sample_id": NAMES, "label": ["red"] * 4, "relabelled": [False, False, False, True]})
Rows = list[tuple[str, str, str | None]]


def relabel(rows: Rows, labels: pl.DataFrame = FIRST, ledger: pl.DataFrame | None = None, sha: str = "a") -> Any:
    """Take in answers (sample, label, annotator)."""
    table = [
        {"sample_id": name, "label": label, "annotator": who, "place": place}
        for place, (name, label, who) in enumerate(rows, 2)
    ]
    schema = READ_ANSWERS.empty().schema
    answers = pl.DataFrame([{name: row.get(name) for name in schema} for row in table], schema=schema)
    inputs = RelabelInputs(
        labels=labels,
        ledger=LEDGER.empty() if ledger is None else ledger,
        answers=answers,
        queue=None,
        classes=CLASSES,
        source_file=f"{sha}.csv",
        source_sha256=sha * 64,
        version="0",
    )
    return relabel_run(RelabelConfig(), inputs, SilentReport())


def undo(before: RelabelOutputs | UndoOutputs, **what: Any) -> UndoOutputs:
    """Take answers back."""
    inputs = UndoInputs(before.labels, before.ledger, CLASSES, "0")
    return run(UndoConfig(**what), inputs, SilentReport())


def labels_of(found: Any) -> dict[str, str]:
    return dict(found.labels.select("sample_id", "label").iter_rows())


def test_what_an_annotator_answered_goes_back_to_what_it_was() -> None:
    first = relabel([("s0", "blue", "ann"), ("s1", "green", "bob"), ("s3", "blue", "ann")])
    found = undo(first, annotator="ann", reason="was tired")
    assert labels_of(found) == {"s0": "red", "s1": "green", "s2": "red", "s3": "red"}
    assert found.labels["relabelled"].to_list() == [False, True, False, True]  # as they were at first, s3 too
    assert found.ledger[: first.ledger.height].equals(first.ledger)
    new = found.ledger[first.ledger.height :]
    assert new["kind"].to_list() == ["withdrawal", "withdrawal", "reversal", "reversal"]
    assert new["withdraws"].to_list()[:2] == [1, 3]
    assert new["comment"].to_list()[:2] == ["was tired"] * 2
    assert new["annotator"].to_list()[:2] == ["ann"] * 2
    assert new["round"].to_list() == [1] * 4
    assert (found.facts["answers_taken_back"], found.facts["samples"], found.facts["reversed"]) == (2, 2, 2)
    assert found.facts["changes"] == [["blue", "red", 2]]


def test_what_was_spent_stays_spent() -> None:
    found = undo(relabel([("s0", "blue", "ann"), ("s1", "blue", "ann")]), round=1)
    assert (found.facts["cost_so_far"], found.facts["labels_bought"], found.facts["cost"]) == (2.0, 2, 0.0)


def test_the_answers_that_are_left_decide_anew() -> None:
    first = relabel([("s0", "blue", "ann"), ("s0", "green", "bob"), ("s1", "blue", "ann"), ("s1", "blue", "bob")])
    assert first.facts["in_conflict"] == 1
    found = undo(first, annotator="bob")
    assert labels_of(found) == {"s0": "blue", "s1": "blue", "s2": "red", "s3": "red"}
    assert found.facts["in_conflict"] == 0
    assert found.ledger["kind"].to_list()[first.ledger.height :] == ["withdrawal", "withdrawal", "decision"]


def test_taking_back_can_leave_a_conflict_and_a_queue_for_it() -> None:
    rows: Rows = [("s0", "blue", "ann"), ("s0", "blue", "bob"), ("s0", "green", "cid")]
    found = undo(relabel(rows), annotator="bob")
    assert labels_of(found)["s0"] == "red"
    assert found.conflicts["label"].to_list() == ["blue", "green"]
    assert found.queue["sample_id"].to_list() == ["s0"]


def test_a_file_is_named_by_the_beginning_of_its_digest() -> None:
    first = relabel([("s0", "blue", "ann")])
    second = relabel([("s1", "blue", "ann")], first.labels, first.ledger, sha="b")
    assert labels_of(undo(second, file="BBBBBB")) == {"s0": "blue", "s1": "red", "s2": "red", "s3": "red"}
    assert labels_of(undo(second, file="a" * 64))["s0"] == "red"
    with pytest.raises(UsageError, match=r"^--file: 'bbb' is too short; at least 6 letters, as in bbbbbbbbbbbb$"):
        undo(second, file="bbb")


def test_what_the_ledger_does_not_know_is_refused_with_what_it_knows() -> None:
    first = relabel([("s0", "blue", "ann@example.org")])
    with pytest.raises(UsageError) as caught:
        undo(first, annotator="anne@example.org")
    assert str(caught.value) == (
        "--annotator: no answer is of 'anne@example.org' (known: ann@example.org); did you mean 'ann@example.org'?"
    )
    with pytest.raises(UsageError, match=r"^--round: no answer is of '2' \(known: 1\)$"):
        undo(first, round=2)
    with pytest.raises(UsageError, match=r"^--file: no answer is of 'cccccc' \(known: a.csv\)"):
        undo(first, file="cccccc")


def test_taking_back_twice_is_nothing_to_do() -> None:
    once = undo(relabel([("s0", "blue", "ann")]), annotator="ann")
    with pytest.raises(NothingToDoError, match=r"^all answers of annotator 'ann' are taken back already$"):
        undo(once, annotator="ann")


def test_answers_taken_back_and_given_again_count_again_and_are_not_charged_again() -> None:
    first = relabel([("s0", "blue", "ann")])
    back = undo(first, file="a" * 64)
    again = relabel([("s0", "blue", "ann")], back.labels, back.ledger)
    assert labels_of(again)["s0"] == "blue"
    assert (again.facts["cost"], again.facts["labels_bought"]) == (0.0, 1)


@pytest.mark.parametrize("what", [{}, {"file": "aaaaaa", "round": 1}, {"annotator": "a", "round": 1}])
def test_exactly_one_thing_is_to_be_named(what: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="one of --file, --annotator or --round"):
        UndoConfig(**what)


answers = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(CLASSES.names), st.sampled_from(["ann", "bob", "cid"])),
    min_size=1,
    max_size=6,
)


@given(st.lists(answers, min_size=1, max_size=4), st.data())
@settings(max_examples=10, deadline=None)
def test_whatever_is_taken_in_and_back_labels_are_the_ledgers_fold_and_of_what_stands(
    files: list[Rows], data: st.DataObject
) -> None:
    labels, ledger = FIRST, LEDGER.empty()
    for number, rows in enumerate(files):
        try:
            done = relabel(rows, labels, ledger, sha="abcd"[number])
            labels, ledger = done.labels, done.ledger
            if data.draw(st.booleans()):
                kind = data.draw(st.sampled_from(["annotator", "round"]))
                value = data.draw(st.sampled_from(ledger[kind].drop_nulls().unique(maintain_order=True).to_list()))
                done = undo(done, **{kind: value})
                labels, ledger = done.labels, done.ledger
        except (NothingToDoError, UsageError):
            continue
        first = ledgers.check(labels, ledger)
        assert first.equals(FIRST)
        decided = {name for name, is_decided in ledgers.decided(ledger).items() if is_decided}
        assert decided <= set(ledgers.standing(ledger))  # no label of an expert's without an answer that stands


def test_all_rounds_taken_back_leave_the_first_labels() -> None:
    first = relabel([("s0", "blue", "ann"), ("s1", "green", "bob")])
    second = relabel([("s1", "blue", "ann"), ("s2", "blue", "cid")], first.labels, first.ledger, sha="b")
    found = undo(undo(second, round=2), round=1)
    assert found.labels.equals(FIRST)


def test_votes_may_be_weighed_as_they_were_when_they_were_taken_in() -> None:
    rows = []
    for name in ("s0", "s1", "s2"):
        rows += [(name, "blue", who) for who in ("ann", "dan", "eve")]
        rows += [(name, "green", who) for who in ("bob", "cam")]
    rows += [("s3", "blue", "ann"), ("s3", "green", "bob"), ("s3", "green", "cam"), ("s3", "blue", "zoe")]
    before = relabel(rows)
    assert labels_of(undo(before, annotator="zoe"))["s3"] == "green"
    assert labels_of(undo(before, annotator="zoe", weights="agreement"))["s3"] == "blue"
