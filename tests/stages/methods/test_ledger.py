"""The ledger is folded into labels and back, and tells which answers stand and what they cost."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import MismatchError
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from stages.methods import chain
from stages.methods import ledger as ledgers
from stages.methods.ledger import before_all, fold

NAMES = ["s0", "s1", "s2", "s3"]
Happened = list[tuple[str, str, str]]
sample = st.sampled_from(NAMES)
kind = st.sampled_from(["vote", "unclear", "adjudication", "withdrawal", "decision", "reversal"])
events = st.lists(st.tuples(sample, st.sampled_from(["red", "green", "blue"]), kind), max_size=20)
first_labels = st.lists(st.tuples(st.sampled_from(["red", "green"]), st.booleans()), min_size=4, max_size=4)


def event(kind: str, sample: str = "s0", before: str = "red", after: str | None = None, **more: Any) -> dict[str, Any]:
    """An event without number and links."""
    shared = {"round": 1, "relabelled_before": False, "charged": False, "cost": 0.0, "unit": "labels", "version": "1"}
    named = {"kind": kind, "sample_id": sample, "label_before": before, "label_after": after or before}
    return shared | named | more


def written(first: pl.DataFrame, *happened: dict[str, Any]) -> pl.DataFrame:
    return chain.append(LEDGER.empty(), happened, first) if happened else LEDGER.empty()


def labels(*given: tuple[str, bool]) -> pl.DataFrame:
    columns = {"sample_id": NAMES, "label": [one for one, _ in given], "relabelled": [two for _, two in given]}
    return LABELS.make(columns)


def told(given: list[tuple[str, bool]], happened: Happened) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """First labels, a ledger of any events, and, kept by hand, the labels now."""
    first = dict(zip(NAMES, given, strict=True))
    now, decided, made = dict(first), set[str](), []
    for name, word, kind in happened:
        if kind == "reversal" and name not in decided:
            continue
        after = {"decision": word, "reversal": first[name][0]}.get(kind, now[name][0])
        made.append(event(kind, name, now[name][0], after, relabelled_before=now[name][1]))
        if kind == "decision":
            now[name] = (word, True)
            decided.add(name)
        elif kind == "reversal":
            now[name] = first[name]
    return labels(*given), written(labels(*given), *made), labels(*now.values())


@given(first_labels, events)
@settings(max_examples=25, deadline=None)
def test_any_events_fold_into_the_last_decision_or_reversal_of_each_sample(
    given_labels: list[tuple[str, bool]], happened: Happened
) -> None:
    first, ledger, now = told(given_labels, happened)
    assert fold(first, ledger).equals(now)
    assert fold(first, ledger).schema == first.schema


@given(first_labels, events)
@settings(max_examples=25, deadline=None)
def test_any_events_fold_back_and_are_sound(given_labels: list[tuple[str, bool]], happened: Happened) -> None:
    first, ledger, now = told(given_labels, happened)
    assert before_all(now, ledger).equals(first)
    assert ledgers.check(now, ledger).equals(first)


@pytest.mark.parametrize("by_expert", [True, False])
def test_a_reversal_gives_back_whether_the_label_was_an_experts(by_expert: bool) -> None:
    first = labels(("red", by_expert), *[("red", False)] * 3)
    decision = event("decision", after="blue", relabelled_before=by_expert)
    again = event("decision", before="blue", after="green", relabelled_before=True)
    reversal = event("reversal", before="green", after="red", relabelled_before=True)
    assert fold(first, written(first, decision))["relabelled"][0]
    assert fold(first, written(first, decision, again, reversal)).equals(first)


def test_events_of_samples_that_are_not_there_change_nothing() -> None:
    first, ledger, _ = told([("red", False)] * 4, [("s0", "blue", "decision")])
    assert fold(first[1:], ledger).equals(first[1:])


SOUND = told([("red", True)] * 4, [("s0", "blue", "vote"), ("s0", "blue", "decision"), ("s1", "blue", "decision")])


@pytest.mark.parametrize(
    ("row", "column", "value", "start"),
    [
        (0, "label", "green", "ledger: the labels are not what the ledger beside them says of 1 sample (first: 's0')"),
        (1, "label", "green", "ledger: the labels are not what the ledger beside them says of 1 sample (first: 's1')"),
        (
            0,
            "relabelled",
            False,
            "ledger: the labels are not what the ledger beside them says of 1 sample (first: 's0')",
        ),
        (2, "label", "green", "ledger: the labels are not those that the ledger began from and led to"),
        (3, "relabelled", False, "ledger: the labels are not those that the ledger began from and led to"),
    ],
)
def test_any_label_that_is_changed_is_found(row: int, column: str, value: Any, start: str) -> None:
    _, ledger, now = SOUND
    cells = now[column].to_list()
    cells[row] = value
    with pytest.raises(MismatchError) as caught:
        ledgers.check(now.with_columns(pl.Series(column, cells)), ledger)
    assert str(caught.value).startswith(start)


def test_samples_of_the_ledger_that_the_labels_do_not_have_are_found() -> None:
    _, ledger, now = SOUND
    with pytest.raises(MismatchError) as caught:
        ledgers.check(now[2:], ledger)
    assert str(caught.value) == (
        "ledger: the ledger names 2 samples that the labels do not have (first: 's0'); was one of the two "
        "files replaced?"
    )


def test_a_sample_that_no_event_names_cannot_be_added_or_left_out() -> None:
    _, ledger, now = SOUND
    more = LABELS.make({"sample_id": ["s9"], "label": ["red"]})
    for other in (now[:3], pl.concat([now, more])):
        with pytest.raises(MismatchError, match="samples were added or removed"):
            ledgers.check(other, ledger)


@given(
    first_labels,
    events.map(lambda happened: [("s0", "blue", "vote"), *happened]),
    st.sampled_from(LEDGER.schema.column_names()),
    st.data(),
)
@settings(max_examples=30, deadline=None)
def test_any_edit_of_the_ledger_is_found(
    given_labels: list[tuple[str, bool]], happened: Happened, column: str, data: st.DataObject
) -> None:
    _, ledger, now = told(given_labels, happened)
    cells, dtype = ledger[column].to_list(), ledger.schema[column]
    row = data.draw(st.integers(0, ledger.height - 1))
    other = {pl.Boolean(): not cells[row], pl.Float64(): 3.5, pl.String(): "decision"}.get(dtype, 7)
    if other != cells[row]:
        cells[row] = other
        with pytest.raises(MismatchError):
            ledgers.check(now, ledger.with_columns(pl.Series(column, cells, dtype=dtype)))


def test_the_last_decision_cannot_be_cut_off_without_being_seen() -> None:
    _, ledger, now = SOUND
    with pytest.raises(MismatchError):
        ledgers.check(now, ledger[:-1])


def answer(number: int, **more: Any) -> dict[str, Any]:
    priced = {"answer": "blue", "annotator": f"ann{number}", "charged": True, "cost": 1.0}
    return event("vote") | priced | more


TAKEN_BACK = written(
    labels(*[("red", False)] * 4),
    answer(1, sample_id="s1"),
    answer(2, kind="unclear", answer=None, problem="unsure"),
    answer(3, kind="adjudication"),
    event("decision", after="blue"),
    event("withdrawal", withdraws=1),
    event("reversal", before="blue", after="red"),
)


def test_answers_are_votes_adjudications_and_unclear_ones_and_know_whether_they_stand() -> None:
    found = ledgers.answers(TAKEN_BACK)
    assert found["event"].to_list() == [1, 2, 3]
    assert found["withdrawn"].to_list() == [True, False, False]
    assert ledgers.answers(LEDGER.empty()).height == 0


def test_answers_that_stand_come_by_sample_in_order_and_those_taken_back_do_not() -> None:
    standing = ledgers.standing(TAKEN_BACK)
    assert {name: [one["event"] for one in given] for name, given in standing.items()} == {"s0": [2, 3]}
    assert standing["s0"][0]["problem"] == "unsure"


def test_a_sample_is_decided_if_its_last_word_is_a_decision() -> None:
    _, ledger, _ = told(
        [("red", False)] * 4,
        [
            ("s0", "blue", "decision"),
            ("s1", "blue", "decision"),
            ("s1", "", "reversal"),
            ("s2", "blue", "vote"),
            ("s0", "", "withdrawal"),
        ],
    )
    assert ledgers.decided(ledger) == {"s0": True, "s1": False}


def test_the_original_label_is_the_one_before_the_first_decision() -> None:
    happened = [("s0", "blue", "decision"), ("s0", "green", "decision"), ("s1", "red", "decision")]
    _, ledger, _ = told([("red", False), ("green", True), ("red", False), ("red", False)], happened)
    assert ledgers.original(ledger) == {"s0": ("red", False), "s1": ("green", True)}


def test_what_was_spent_is_told_by_round_and_annotator() -> None:
    ledger = written(
        labels(*[("red", False)] * 4),
        answer(1, annotator="bob", seconds=30.0),
        answer(1, annotator="bob", seconds=None),
        answer(1, annotator="bob", seconds=600.0, charged=False),
        answer(1, annotator=None, unit="minutes", cost=2.0),
        answer(1, annotator="ann", seconds=36.0, round=2),
        answer(1, annotator="ann", unit="money", cost=5.0, round=2),
        answer(1, annotator="cid", round=2),
        event("decision", after="blue", annotator="bob"),
    )
    columns = ("round", "annotator", "labels", "minutes", "untimed", "money")
    assert ledgers.spent(ledger, 100.0).columns == list(columns)
    assert ledgers.spent(ledger, 100.0).rows() == [
        (1, "bob", 2, 0.5, 1, pytest.approx(30 / 36)),
        (1, None, 1, 2.0, 0, None),
        (2, "ann", 2, pytest.approx(0.6), 1, pytest.approx(6.0)),
        (2, "cid", 1, None, 1, None),
    ]
    assert ledgers.spent(ledger)["money"].to_list() == [None, None, 5.0, None]
