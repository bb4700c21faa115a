"""Whatever comes in, and in whatever order, labels and ledger belong together and nothing is paid for twice."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.answers import READ_ANSWERS
from schemas.classes import Classes
from schemas.conflicts import CONFLICTS
from schemas.errors import NothingToDoError, UsageError
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.queue import QUEUE
from stages import relabel, undo
from stages.methods import ledger as ledgers
from stages.relabel import RelabelConfig, RelabelInputs
from stages.report import SilentReport
from stages.undo import UndoConfig, UndoInputs

NAMES = ["s0", "s1", "s2"]
FIRST = LABELS.make({"sample_id": NAMES, "label": ["red", "green", "red"], "relabelled": [False, True, False]})
CLASSES = Classes(names=("red", "green", "blue"))
WHO = ["ann", "bob", "cid"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Now:
    """Labels, ledger, and the conflicts that were told last."""

    labels: pl.DataFrame
    ledger: pl.DataFrame
    conflicts: pl.DataFrame


START = Now(FIRST, LEDGER.empty(), CONFLICTS.empty())


@dataclass(frozen=True)
class File:
    """A file of answers and how it is taken in."""

    rows: list[Row]
    asked: frozenset[str]
    adjudicate: bool = False
    budget: float | None = None
    digest: str = "a"

    def taken_in(self, now: Now, **options: Any) -> Now:
        columns = {name: [row.get(name) for row in self.rows] for name in READ_ANSWERS.schema.column_names()}
        columns["place"] = list(range(len(self.rows)))
        names = sorted(self.asked, reverse=True)
        asked = {"rank": range(1, len(names) + 1), "sample_id": names, "cost": 0.5, "unit": "minutes"}
        inputs = RelabelInputs(
            labels=now.labels,
            ledger=now.ledger,
            answers=pl.DataFrame(columns, schema=READ_ANSWERS.empty().schema),
            queue=QUEUE.make(asked | {"given_label": "red", "suggested_label": "blue"}),
            classes=CLASSES,
            source_file="a.csv",
            source_sha256=self.digest * 64,
            version="1",
        )
        config = RelabelConfig(adjudicate=self.adjudicate, budget=self.budget, **options)
        found = relabel.run(config, inputs, SilentReport())
        return Now(found.labels, found.ledger, found.conflicts)


@dataclass(frozen=True)
class TakenBack:
    """The answers of one annotator taken back."""

    annotator: str

    def taken_in(self, now: Now) -> Now:
        inputs = UndoInputs(labels=now.labels, ledger=now.ledger, classes=CLASSES, version="1")
        found = undo.run(UndoConfig(annotator=self.annotator), inputs, SilentReport())
        return Now(found.labels, found.ledger, found.conflicts)


times = st.sampled_from([None, "2026-01-01", "2026-02-01", "2026-03-01", "2026-03-01T10:00:00Z"])
labels = st.sampled_from([None, "red", "green", "blue", "BLUE"])


def rows(who: st.SearchStrategy[str | None]) -> st.SearchStrategy[list[Row]]:
    row = {"sample_id": st.sampled_from(NAMES), "label": labels, "annotator": who, "timestamp": times}
    return st.lists(st.fixed_dictionaries(row | {"unsure": st.sampled_from([False] * 4 + [True])}), max_size=6)


files = st.builds(
    File,
    rows(st.none() | st.sampled_from(WHO)),
    st.frozensets(st.sampled_from(NAMES), min_size=1),
    adjudicate=st.sampled_from([False, False, True]),
    budget=st.sampled_from([None, None, 3.0]),
    digest=st.sampled_from("abc"),
)
steps = st.lists(st.one_of(files, files, files, st.builds(TakenBack, st.sampled_from(WHO))), min_size=1, max_size=5)


def states(happened: list[File | TakenBack]) -> list[Now]:
    """What is there before the first step and after each."""
    found = [START]
    for step in happened:
        try:
            found.append(step.taken_in(found[-1]))
        except (NothingToDoError, UsageError):
            found.append(found[-1])
    return found


@given(steps)
@settings(max_examples=8, deadline=None)
def test_labels_are_what_the_ledger_says_and_the_ledger_is_sound_and_only_grows(
    happened: list[File | TakenBack],
) -> None:
    found = states(happened)
    for step, before, after in zip(happened, found, found[1:], strict=False):
        assert ledgers.check(after.labels, after.ledger).equals(FIRST)
        assert ledgers.fold(FIRST, after.ledger).equals(after.labels)
        assert after.ledger[: before.ledger.height].equals(before.ledger)
        new = after.ledger[before.ledger.height :]
        if isinstance(step, File):
            answered = {row["sample_id"] for row in step.rows if row["label"] is not None or row["unsure"]}
            assert set(new["sample_id"]) <= step.asked & answered
        changed = (before.labels["label"] != after.labels["label"]).to_list()
        assert {name for name, is_ in zip(NAMES, changed, strict=True) if is_} <= set(new["sample_id"])
        assert CONFLICTS.check(after.conflicts, "conflicts").equals(after.conflicts)
        decided = {name for name, is_ in ledgers.decided(after.ledger).items() if is_}
        assert decided.isdisjoint(after.conflicts["sample_id"])


@given(steps)
@settings(max_examples=8, deadline=None)
def test_a_label_is_that_of_its_answers_that_stand_or_the_first(happened: list[File | TakenBack]) -> None:
    for now in states(happened):
        standing = ledgers.standing(now.ledger)
        first = dict(FIRST.select("sample_id", "label").iter_rows())
        for name, label, by_expert in now.labels.iter_rows():
            given_answers = standing.get(name, [])
            final = [one["answer"] for one in given_answers if one["kind"] == "adjudication"]
            named = {one["answer"] for one in given_answers} - {None}
            if final:
                assert label in {*final, first[name]}
                assert len(set(final)) > 1 or (label, by_expert) == (final[0], True)
            elif not named:
                assert (label, by_expert) == (first[name], name == "s1")
            else:
                assert label in named | {first[name]}


@given(steps)
@settings(max_examples=8, deadline=None)
def test_the_same_files_again_change_nothing_and_cost_nothing(happened: list[File | TakenBack]) -> None:
    steps = [replace(step, budget=None) for step in happened if isinstance(step, File)]
    now = states([*steps])[-1]
    for step in steps:
        with pytest.raises(NothingToDoError):
            step.taken_in(now)


@given(steps)
@settings(max_examples=8, deadline=None)
def test_an_answer_is_charged_once_however_often_it_is_taken_back_and_comes_again(
    happened: list[File | TakenBack],
) -> None:
    now = states(happened * 2)[-1]
    answers = ledgers.answers(now.ledger)
    charged = answers.filter("charged")
    assert (
        charged.select("sample_id", "annotator", "answer", "problem", "answered_at", "source_sha256").is_unique().all()
    )
    assert now.ledger["cost"].sum() == 0.5 * charged.height
    assert now.ledger.filter(~pl.col("charged"))["cost"].sum() == 0
    new_to_us = answers.unique(["sample_id", "annotator", "answer", "problem"], keep="first", maintain_order=True)
    assert new_to_us.filter(pl.col("annotator").is_not_null())["charged"].all()


@given(st.tuples(*[rows(st.just(who)) for who in WHO]), st.permutations(range(3)), st.integers(1, 2))
@settings(max_examples=8, deadline=None)
def test_it_does_not_matter_in_which_order_annotators_files_come_in(
    by_annotator: tuple[list[Row], ...], order: list[int], least: int
) -> None:
    found = []
    for places in (range(3), order):
        now = START
        for place in places:
            with suppress(NothingToDoError):
                file = File(by_annotator[place], frozenset(NAMES), digest="abc"[place])
                now = file.taken_in(now, min_annotators=least)
        found.append(now)
    assert found[0].labels.equals(found[1].labels)
    for name in ("sample_id", "label", "annotator"):
        assert sorted(map(str, found[0].conflicts[name])) == sorted(map(str, found[1].conflicts[name]))


def test_answers_taken_back_give_the_first_label_back_and_stay_paid_for() -> None:
    row = {"sample_id": "s1", "label": "blue", "annotator": "ann", "unsure": False}
    file = File([row], frozenset(NAMES))
    once, back, again = states([file, TakenBack("ann"), file])[1:]
    assert [now.labels["label"][1] for now in (once, back, again)] == ["blue", "green", "blue"]
    assert back.labels.equals(FIRST)
    assert [now.ledger["cost"].sum() for now in (once, back, again)] == [0.5, 0.5, 0.5]
    assert again.ledger["kind"].to_list() == ["vote", "decision", "withdrawal", "reversal", "vote", "decision"]
