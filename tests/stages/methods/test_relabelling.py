"""Answers are read as a person meant them, settled by plain rules, and folded into labels and back."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.labels import LABELS
from schemas.ledger import LEDGER
from stages.methods.relabelling import before_all, fold, read_class, settle

CLASSES = ("Red", "green", "GREEN", "7", "blue")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Red", "Red"),
        ("red", "Red"),
        ("BLUE", "blue"),
        ("green", "green"),
        ("GREEN", "GREEN"),
        ("Green", None),  # two classes differ by capitals alone
        ("0", "Red"),
        ("4", "blue"),
        ("7", "7"),  # a name goes before an index
        ("5", None),
        ("-1", None),
        ("1.0", None),
        ("²", None),
        ("٣", None),
        ("", None),
        ("redd", None),
    ],
)
def test_a_class_is_read_by_name_then_by_capitals_then_by_index(text: str, meant: str | None) -> None:
    assert read_class(text, CLASSES) == meant


@given(st.lists(st.text(min_size=1), min_size=2, unique=True), st.data())
@settings(max_examples=40, deadline=None)
def test_a_class_by_its_own_name_is_always_itself(names: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names))
    assert read_class(name, tuple(names)) == name


def answer(label: str, annotator: str | None = "ann", timestamp: str | None = None) -> dict[str, Any]:
    """One answer."""
    return {"sample_id": "s", "label": label, "annotator": annotator, "timestamp": timestamp}


def test_one_answer_is_the_verdict() -> None:
    verdict = settle([answer("red")])
    assert (verdict.label, verdict.counted, verdict.repeated) == ("red", [answer("red")], 0)


def test_the_same_annotators_same_answer_counts_once() -> None:
    verdict = settle([answer("red"), answer("red"), answer("red")])
    assert (verdict.label, len(verdict.counted), verdict.repeated) == ("red", 1, 2)


def test_of_one_annotators_answers_the_latest_counts_wherever_it_stands() -> None:
    late, early = answer("red", timestamp="2026-02-01"), answer("blue", timestamp="2026-01-31")
    for given_answers in ([late, early], [early, late]):
        verdict = settle(given_answers)
        assert (verdict.label, verdict.counted, verdict.repeated) == ("red", [late], 1)


@pytest.mark.parametrize("stamps", [(None, None), ("2026-01-01", None), ("2026-01-01", "2026-01-01")])
def test_one_annotators_two_minds_without_an_order_come_to_nothing(stamps: tuple[str | None, str | None]) -> None:
    verdict = settle([answer("red", timestamp=stamps[0]), answer("blue", timestamp=stamps[1])])
    assert verdict.label is None
    assert len(verdict.counted) == 2
    assert verdict.problem == "ann answered twice, differently, undated"


def test_answers_without_a_name_are_taken_as_one_annotators() -> None:
    verdict = settle([answer("red", None), answer("blue", None)])
    assert verdict.problem == "the same annotator answered twice, differently, undated"


@pytest.mark.parametrize(
    ("labels", "agreed"),
    [
        ("rrb", "r"),
        ("rr", "r"),
        ("rbr", "r"),
        ("rrbb", None),
        ("rb", None),
        ("rrbg", None),
        ("rrrbg", "r"),
        ("rgb", None),
    ],
)
def test_of_several_annotators_a_strict_majority_counts(labels: str, agreed: str | None) -> None:
    verdict = settle([answer(label, f"ann {number}") for number, label in enumerate(labels)])
    assert verdict.label == agreed
    assert len(verdict.counted) == len(labels)
    assert bool(verdict.problem) == (agreed is None)


def test_votes_without_a_majority_are_told() -> None:
    verdict = settle([answer("red", "a"), answer("blue", "b"), answer("blue", "c"), answer("red", "d")])
    assert verdict.problem == "no majority (blue 2, red 2)"


def test_an_annotator_who_repeats_has_one_vote() -> None:
    verdict = settle([answer("red", "a"), answer("red", "a"), answer("red", "a"), answer("blue", "b")])
    assert verdict.label is None
    assert verdict.repeated == 2


@given(
    st.lists(st.tuples(st.sampled_from("rgb"), st.sampled_from("abcdef")), min_size=1, unique_by=lambda a: a[1]),
    st.data(),
)
@settings(max_examples=25, deadline=None)
def test_the_order_of_annotators_does_not_matter(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    answers = [answer(label, who) for label, who in pairs]
    assert settle(data.draw(st.permutations(answers))).label == settle(answers).label


NAMES = ["s0", "s1", "s2", "s3"]
Events = list[tuple[str, str, bool]]
events = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(["red", "green", "blue"]), st.booleans()), max_size=25
)
first_labels = st.lists(st.sampled_from(["red", "green", "blue"]), min_size=4, max_size=4)


def told(first: list[str], happened: Events) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, str], set[str]]:
    """Labels, a ledger of decisions and votes, and, kept by hand, the labels now and who was decided on."""
    labels = LABELS.make({"sample_id": NAMES, "label": first})
    now, decided, rows = dict(zip(NAMES, first, strict=True)), set[str](), []
    for number, (name, label, is_decision) in enumerate(happened, 1):
        row = {"event": number, "round": 1, "sample_id": name, "label_before": now[name], "label_after": label}
        rows.append(row | {"kind": "decision" if is_decision else "vote", "cost": 1.0})
        if is_decision:
            now[name] = label
            decided.add(name)
    schema = LEDGER.empty().schema
    shared = {"source_file": "a.csv", "source_sha256": "a" * 64}
    ledger = pl.DataFrame([dict.fromkeys(schema) | shared | row for row in rows], schema=schema)
    return labels, LEDGER.check(ledger, "ledger"), now, decided


@given(first_labels, events)
@settings(max_examples=25, deadline=None)
def test_any_sequence_of_decisions_folds_into_the_last_of_each_sample(first: list[str], happened: Events) -> None:
    labels, ledger, now, decided = told(first, happened)
    folded = fold(labels, ledger)
    assert folded["sample_id"].to_list() == NAMES
    assert folded["label"].to_list() == [now[name] for name in NAMES]
    assert folded["relabelled"].to_list() == [name in decided for name in NAMES]
    assert folded.schema == labels.schema


@given(first_labels, events)
@settings(max_examples=25, deadline=None)
def test_any_sequence_of_decisions_folds_back(first: list[str], happened: Events) -> None:
    labels, ledger, _, _ = told(first, happened)
    assert before_all(fold(labels, ledger), ledger).equals(labels)


@given(first_labels, events, st.integers(0, 25))
@settings(max_examples=25, deadline=None)
def test_folding_in_two_parts_is_folding_at_once(first: list[str], happened: Events, cut: int) -> None:
    labels, ledger, _, _ = told(first, happened)
    assert fold(fold(labels, ledger[:cut]), ledger[cut:]).equals(fold(labels, ledger))


def test_events_of_samples_that_are_not_there_change_nothing() -> None:
    labels, ledger, _, _ = told(["red"] * 4, [("s0", "blue", True)])
    assert fold(labels[1:], ledger).equals(labels[1:])
