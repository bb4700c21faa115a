"""Of a file's answers each is taken in once: not the same twice, not what the ledger holds, not what is outdated."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.methods.intake import Intake, Known, take_in

SHA, OTHER = "a" * 64, "b" * 64
Row = dict[str, Any]


def told(label: str | None, time: str | None = None, annotator: str | None = "ann", **more: Any) -> Row:
    """An answer of a file, or of the ledger."""
    row = {"sample_id": "s", "kind": "vote", "answer": label, "annotator": annotator, "named": annotator is not None}
    return row | {"answered_at": time, "problem": None, "source_sha256": OTHER} | more


def unsure(**more: Any) -> Row:
    return told(None, **({"kind": "unclear", "problem": "unsure"} | more))


def taken(answers: list[Row], standing: list[Row] | None = None, withdrawn: list[Row] | None = None) -> Intake:
    return take_in(answers, {"s": Known(standing or [], withdrawn or [])}, SHA)


def counts(found: Intake) -> tuple[int, int, int, int]:
    return len(found.new), len(found.repeated), len(found.known), len(found.outdated)


def test_an_answer_that_nobody_has_heard_of_is_new_and_charged() -> None:
    assert take_in([told("red")], {}, SHA).new == [told("red", charged=True)]


def test_answers_of_several_annotators_and_to_several_samples_are_all_new() -> None:
    answers = [told("red"), told("red", annotator="bob"), told("red", annotator=None), told("red", sample_id="t")]
    assert counts(take_in(answers, {}, SHA)) == (4, 0, 0, 0)


def test_the_same_answer_twice_in_a_file_counts_once() -> None:
    assert counts(taken([told("red"), told("red"), told("red")])) == (1, 2, 0, 0)


@given(st.permutations([told("red", "2026-01-01"), told("blue", "2026-03-01"), told("green", "2026-02-01")]))
@settings(max_examples=6, deadline=None)
def test_of_one_annotators_answers_in_a_file_the_latest_counts_wherever_it_stands(answers: list[Row]) -> None:
    found = taken(answers)
    assert counts(found) == (1, 2, 0, 0)
    assert (found.new[0]["answer"], found.new[0]["answered_at"]) == ("blue", "2026-03-01")
    assert {one["answer"] for one in found.repeated} == {"red", "green"}


@pytest.mark.parametrize("turned", [False, True])
def test_of_the_same_answer_at_two_times_the_later_time_counts(turned: bool) -> None:
    answers = [told("red", "2026-01-01"), told("red", "2026-02-01")]
    assert taken(answers[::-1] if turned else answers).new[0]["answered_at"] == "2026-02-01"


@given(st.permutations([told("red", "2026-01-01"), told("blue", "2026-02-01"), told("blue", "2026-02-01")]))
@settings(max_examples=6, deadline=None)
def test_the_latest_answer_counts_though_the_file_holds_it_twice(answers: list[Row]) -> None:
    found = taken(answers)
    assert (found.new[0]["answer"], counts(found)) == ("blue", (1, 2, 0, 0))


@pytest.mark.parametrize(
    "times",
    [
        (None, None),
        ("2026-01-01", None),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01", "2026-01-02T10:00:00Z"),
        ("monday", "sunday"),
    ],
)
def test_one_annotators_two_minds_without_an_order_are_one_unclear_answer(times: tuple[str | None, str | None]) -> None:
    found = taken([told("red", times[0]), told("blue", times[1])])
    assert counts(found) == (1, 1, 0, 0)
    one = found.new[0]
    assert (one["kind"], one["answer"], one["charged"]) == ("unclear", None, True)
    assert one["problem"] == "answered twice, differently, undated (blue, red)"


def test_a_class_and_then_unsure_are_two_minds_too() -> None:
    found = taken([told("red"), unsure()])
    assert found.new[0]["problem"] == "answered twice, differently, undated (red, unsure)"
    assert taken([told("red", "2026-01-01"), unsure(answered_at="2026-01-02")]).new[0]["problem"] == "unsure"


def test_two_minds_that_come_again_in_another_order_are_known() -> None:
    first = taken([told("red"), told("blue")])
    again = taken([told("blue"), told("red")], standing=[first.new[0]])
    assert counts(again) == (0, 1, 1, 0)


@pytest.mark.parametrize(
    ("now", "before", "known"),
    [
        ("2026-01-01", "2026-01-01", True),
        (None, "2026-01-01", True),
        ("2026-01-01", None, True),
        (None, None, True),
        ("2026-01-02", "2026-01-01", False),
    ],
)
def test_an_answer_is_known_by_annotator_class_and_time(now: str | None, before: str | None, known: bool) -> None:
    found = taken([told("red", now)], standing=[told("red", before)])
    assert counts(found) == ((0, 0, 1, 0) if known else (1, 0, 0, 0))


@pytest.mark.parametrize(
    "before",
    [
        told("blue"),
        told("red", annotator="bob"),
        told("red", annotator=None),
        unsure(),
        told("red", kind="adjudication"),
    ],
    ids=["class", "annotator", "nobody", "unclear", "adjudication"],
)
def test_an_answer_of_another_class_annotator_or_kind_is_not_known(before: Row) -> None:
    assert counts(taken([told("red")], standing=[before])) == (1, 0, 0, 0)


def test_an_unclear_answer_is_known_by_its_problem() -> None:
    assert counts(taken([unsure()], standing=[unsure()])) == (0, 0, 1, 0)
    assert counts(taken([unsure()], standing=[unsure(problem="several classes chosen")])) == (1, 0, 0, 0)


def test_a_file_that_names_nobody_is_known_by_its_digest_under_any_name() -> None:
    nameless = told("red", annotator="bob", named=False)
    assert counts(taken([nameless], standing=[told("red", source_sha256=SHA)])) == (0, 0, 1, 0)
    assert counts(taken([nameless], standing=[told("red")])) == (1, 0, 0, 0)
    assert counts(taken([nameless], standing=[told("blue", source_sha256=SHA)])) == (1, 0, 0, 0)
    named = told("red", annotator="bob")
    assert counts(taken([named], standing=[told("red", source_sha256=SHA)])) == (1, 0, 0, 0)


def test_an_answer_older_than_the_annotators_last_is_outdated() -> None:
    before = [told("blue", "2026-02-01"), told("green", "2026-03-01")]
    assert counts(taken([told("red", "2026-02-15")], standing=before)) == (0, 0, 0, 1)
    assert counts(taken([told("red", "2026-03-15")], standing=before)) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    "before",
    [told("blue", "2026-02-01", "bob"), told("blue", "2026-02-01T00:00:00Z"), told("blue"), told("blue", "2026-01-01")],
    ids=["of another annotator", "written otherwise", "undated", "of the same time"],
)
def test_an_answer_is_not_outdated_by_what_says_nothing_of_it(before: Row) -> None:
    assert counts(taken([told("red", "2026-01-01")], standing=[before])) == (1, 0, 0, 0)


def test_a_vote_is_not_outdated_by_an_adjudication_nor_an_adjudication_by_a_vote() -> None:
    final = told("blue", "2026-02-01", kind="adjudication")
    assert counts(taken([told("red", "2026-01-01")], standing=[final])) == (1, 0, 0, 0)
    assert counts(taken([final | {"answered_at": "2026-01-01"}], standing=[told("red", "2026-02-01")])) == (1, 0, 0, 0)


def test_an_answer_that_was_taken_back_is_taken_in_again_and_not_charged_again() -> None:
    found = taken([told("red")], withdrawn=[told("red")])
    assert counts(found) == (1, 0, 0, 0)
    assert not found.new[0]["charged"]
    assert taken([told("blue")], withdrawn=[told("red")]).new[0]["charged"]
    assert counts(taken([told("red", "2026-01-01")], withdrawn=[told("blue", "2026-02-01")])) == (1, 0, 0, 0)


def test_a_vote_made_an_adjudication_is_not_charged_again() -> None:
    found = taken([told("red", kind="adjudication")], standing=[told("red")])
    assert [(one["kind"], one["charged"]) for one in found.new] == [("adjudication", False)]


def test_taking_in_changes_no_answer_it_is_given() -> None:
    answers = [told("red"), told("blue")]
    take_in(answers, {}, SHA)
    assert answers == [told("red"), told("blue")]
