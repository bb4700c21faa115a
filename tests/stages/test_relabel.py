"""Relabel: only samples of the queue change, every answer is charged, and the ledger only grows."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.answers import ANSWERS
from schemas.conflicts import CONFLICTS
from schemas.errors import DataError, MismatchError, NothingToDoError
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.queue import QUEUE
from stages.relabel import RelabelConfig, RelabelInputs, RelabelOutputs, run
from stages.report import Report, SilentReport

CLASSES = ("red", "green", "blue")
NAMES = ["s0", "s1", "s2", "s3", "s4", "s5"]
FIRST = LABELS.make({"sample_id": NAMES, "label": ["red"] * 6})


def answers(*rows: tuple[str, str | None] | dict[str, Any]) -> pl.DataFrame:
    """Answers as (sample, label) by `ann`, or by column."""
    table = [
        row if isinstance(row, dict) else {"sample_id": row[0], "label": row[1], "annotator": "ann"} for row in rows
    ]
    return ANSWERS.check(pl.DataFrame([dict.fromkeys(ANSWERS.schema.column_names()) | row for row in table]), "a.csv")


def queue(*names: str, cost: float = 1.0) -> pl.DataFrame:
    """A queue of these samples."""
    columns = {"rank": range(1, len(names) + 1), "sample_id": names, "cost": [cost] * len(names)}
    return QUEUE.make(columns | {"given_label": ["red"] * len(names), "suggested_label": ["blue"] * len(names)})


def relabel(
    given: pl.DataFrame,
    report: Report | None = None,
    asked: pl.DataFrame | None = None,
    before: RelabelOutputs | None = None,
    sha: str = "a",
    annotator: str | None = None,
    labels: pl.DataFrame = FIRST,
) -> RelabelOutputs:
    """Take answers in, after an earlier relabelling where one is named."""
    inputs = RelabelInputs(
        labels=labels if before is None else before.labels,
        ledger=LEDGER.empty() if before is None else before.ledger,
        answers=given,
        queue=asked,
        classes=CLASSES,
        source_file=f"{sha}.csv",
        source_sha256=sha * 64,
        first_row=2,
    )
    return run(RelabelConfig(annotator=annotator), inputs, report or SilentReport())


def labels_of(found: RelabelOutputs) -> dict[str, str]:
    return dict(found.labels.select("sample_id", "label").iter_rows())


def test_an_answer_becomes_the_label_and_an_event() -> None:
    told = {"annotator": "ann", "confidence": 0.75, "seconds": 2.5, "comment": "sure", "timestamp": "2026-01-01"}
    found = relabel(answers({"sample_id": "s1", "label": "blue"} | told), asked=queue("s1", cost=2.0))
    assert labels_of(found) == dict.fromkeys(NAMES, "red") | {"s1": "blue"}
    assert found.labels["relabelled"].to_list() == [False, True, False, False, False, False]
    assert found.ledger.to_dicts() == [
        {
            "event": 1,
            "round": 1,
            "kind": "decision",
            "sample_id": "s1",
            "label_before": "red",
            "label_after": "blue",
            "annotator": "ann",
            "answered_at": "2026-01-01",
            "seconds": 2.5,
            "confidence": 0.75,
            "comment": "sure",
            "cost": 2.0,
            "source_file": "a.csv",
            "source_sha256": "a" * 64,
        }
    ]
    assert found.conflicts.is_empty()


def test_an_answer_that_confirms_is_an_event_and_is_charged_too() -> None:
    found = relabel(answers(("s0", "red"), ("s1", "blue")))
    assert found.labels["relabelled"].to_list()[:2] == [True, True]
    counts = {name: found.facts[name] for name in ("relabelled", "changed", "confirmed", "cost", "changes")}
    assert counts == {"relabelled": 2, "changed": 1, "confirmed": 1, "cost": 2.0, "changes": [["red", "blue", 1]]}


def test_a_sample_that_is_not_answered_stays_as_it_is_and_is_told(report: Report, heard: list[str]) -> None:
    found = relabel(answers(("s0", None), ("s1", "blue")), report)
    assert labels_of(found)["s0"] == "red"
    assert not found.labels["relabelled"][0]
    assert (found.facts["not_answered"], found.facts["not_answered_samples"]) == (1, ["s0"])
    assert heard == ["1 answer have no label; left as they are: s0"]
    assert found.facts["cost"] == 1.0


def test_answers_outside_the_queue_change_nothing_cost_nothing_and_are_told(report: Report, heard: list[str]) -> None:
    found = relabel(answers(("s0", "blue"), ("s3", "green"), ("s4", "green")), report, asked=queue("s0", "s1"))
    assert labels_of(found) == dict.fromkeys(NAMES, "red") | {"s0": "blue"}
    assert found.ledger["sample_id"].to_list() == ["s0"]
    assert (found.facts["outside_queue"], found.facts["cost"]) == (2, 1.0)
    assert heard == ["2 answers are not in the queue; left out: s3, s4"]


def test_without_a_queue_the_answers_own_ids_are_the_queue() -> None:
    found = relabel(answers(("s0", "blue"), ("s5", "green")))
    assert (labels_of(found)["s0"], labels_of(found)["s5"]) == ("blue", "green")


def test_an_answer_for_an_unknown_sample_is_refused_with_its_row() -> None:
    with pytest.raises(MismatchError) as caught:
        relabel(answers(("s0", "blue"), ("s9", "blue"), ("s10", "red")))
    assert str(caught.value) == "a.csv: 2 answers for samples that do not exist (first: row 3, 's9')"


def test_a_queue_of_another_data_set_is_refused() -> None:
    with pytest.raises(MismatchError) as caught:
        relabel(answers(("s0", "blue")), asked=queue("s0", "t1"))
    assert str(caught.value) == (
        "the queue holds 1 sample that the labels do not (first: 't1'); do they belong to the same data set?"
    )


def test_an_unknown_class_is_refused_with_row_and_nearest_name() -> None:
    with pytest.raises(DataError) as caught:
        relabel(answers(("s0", "blue"), ("s1", None), ("s2", "gren")))
    assert str(caught.value) == (
        "a.csv: column 'label' has 1 value that is no class of this data set "
        "(first: row 4, 'gren'; did you mean 'green'?)"
    )


@pytest.mark.parametrize(("text", "meant"), [("Blue", "blue"), ("GREEN", "green"), ("2", "blue"), ("0", "red")])
def test_other_capitals_and_indices_are_read_as_classes(text: str, meant: str) -> None:
    found = relabel(answers(("s1", text)))
    assert labels_of(found)["s1"] == meant
    assert found.ledger["label_after"].to_list() == [meant]


def test_a_repeated_answer_counts_and_costs_once() -> None:
    found = relabel(answers(("s0", "blue"), ("s0", "blue"), ("s0", "Blue")))
    assert (found.facts["repeated"], found.facts["cost"], found.ledger.height) == (2, 1.0, 1)


def test_of_a_repeated_annotators_answers_the_latest_counts() -> None:
    given_answers = answers(
        {"sample_id": "s0", "label": "blue", "annotator": "ann", "timestamp": "2026-02-01"},
        {"sample_id": "s0", "label": "green", "annotator": "ann", "timestamp": "2026-01-01"},
    )
    found = relabel(given_answers)
    assert labels_of(found)["s0"] == "blue"
    assert (found.facts["repeated"], found.facts["cost"]) == (1, 1.0)


def test_one_annotators_two_minds_undated_are_a_conflict_and_change_nothing(report: Report, heard: list[str]) -> None:
    found = relabel(answers(("s0", "blue"), ("s0", "green"), ("s1", "blue")), report)
    assert labels_of(found) == dict.fromkeys(NAMES, "red") | {"s1": "blue"}
    assert found.conflicts["sample_id"].to_list() == ["s0", "s0"]
    assert found.conflicts["label"].to_list() == ["blue", "green"]
    assert set(found.conflicts["problem"]) == {"ann answered twice, differently, undated"}
    assert heard == ["1 sample need a decision: see conflicts.parquet"]
    assert found.facts["in_conflict"] == 1


def several(name: str, *labels: str) -> list[dict[str, Any]]:
    return [{"sample_id": name, "label": label, "annotator": f"ann{n}"} for n, label in enumerate(labels)]


def test_a_majority_decides_and_every_vote_is_an_event_and_charged() -> None:
    found = relabel(answers(*several("s0", "blue", "red", "blue")), asked=queue("s0", cost=1.5))
    assert labels_of(found)["s0"] == "blue"
    assert found.ledger["kind"].to_list() == ["vote", "vote", "vote", "decision"]
    assert found.ledger["annotator"].to_list() == ["ann0", "ann1", "ann2", "ann0; ann1; ann2"]
    assert found.ledger["cost"].to_list() == [1.5, 1.5, 1.5, 0.0]
    assert (found.facts["relabelled"], found.facts["cost"]) == (1, 4.5)


def test_a_tie_goes_to_the_conflicts_and_is_charged_all_the_same() -> None:
    found = relabel(answers(*several("s0", "blue", "green")))
    assert labels_of(found) == dict.fromkeys(NAMES, "red")
    assert not found.labels["relabelled"].any()
    assert found.ledger["kind"].to_list() == ["vote", "vote"]
    assert found.conflicts["problem"].to_list() == ["no majority (blue 1, green 1)"] * 2
    assert (found.facts["relabelled"], found.facts["in_conflict"], found.facts["cost"]) == (0, 1, 2.0)


def test_the_annotator_is_taken_from_the_option_only_where_the_file_does_not_say() -> None:
    given_answers = answers(
        {"sample_id": "s0", "label": "blue"}, {"sample_id": "s1", "label": "blue", "annotator": "other"}
    )
    found = relabel(given_answers, annotator="me")
    assert found.ledger["annotator"].to_list() == ["me", "other"]


SETTLED = {
    "plain": answers(("s0", "blue"), ("s1", "red")),
    "majority": answers(*several("s0", "blue", "red", "blue")),
    "tie": answers(*several("s0", "blue", "green")),
    "repeated": answers(("s0", "blue"), ("s0", "blue")),
    "two minds, undated": answers(("s0", "blue"), ("s0", "green")),
    "without annotator": answers({"sample_id": "s0", "label": "blue"}),
    "other capitals": answers(("s0", "BLUE")),
    "two minds, dated": answers(
        {"sample_id": "s0", "label": "blue", "annotator": "ann", "timestamp": "2026-01-01"},
        {"sample_id": "s0", "label": "green", "annotator": "ann", "timestamp": "2026-02-01"},
    ),
}


@pytest.mark.parametrize("case", SETTLED)
def test_the_same_file_taken_in_twice_changes_and_charges_nothing_more(case: str) -> None:
    first = relabel(SETTLED[case])
    with pytest.raises(NothingToDoError, match=r"^a\.csv: no answer to take in \(\d already imported\)$"):
        relabel(SETTLED[case], before=first)


def test_the_rest_of_a_file_is_taken_in_where_some_of_it_was(report: Report, heard: list[str]) -> None:
    both = answers(("s0", "blue"), ("s1", "green"))
    first = relabel(both, asked=queue("s0"))
    second = relabel(both, report, asked=queue("s0", "s1"), before=first)
    assert second.facts["already_imported"] == 1
    assert (second.facts["cost"], second.facts["cost_so_far"]) == (1.0, 2.0)
    assert labels_of(second)["s1"] == "green"
    assert heard == ["1 answer were taken in before from the same file; not counted again: s0"]


def test_the_same_answers_from_another_file_are_new_answers() -> None:
    first = relabel(answers(("s0", "blue")))
    second = relabel(answers(("s0", "blue")), before=first, sha="b")
    assert (second.facts["confirmed"], second.facts["cost_so_far"]) == (1, 2.0)


def test_nothing_to_take_in_is_told_with_the_reasons() -> None:
    with pytest.raises(NothingToDoError) as caught:
        relabel(answers(("s0", None), ("s1", None), ("s2", "blue")), asked=queue("s0"))
    assert str(caught.value) == "a.csv: no answer to take in (2 not answered, 1 outside queue)"
    with pytest.raises(NothingToDoError) as caught:
        relabel(ANSWERS.empty())
    assert str(caught.value) == "a.csv: no answer to take in (it is empty)"


def test_rounds_and_events_are_counted_on_and_the_label_before_is_the_last_one() -> None:
    first = relabel(answers(("s0", "blue"), ("s1", "green")))
    second = relabel(answers(("s0", "green")), before=first, sha="b")
    assert second.ledger["event"].to_list() == [1, 2, 3]
    assert second.ledger["round"].to_list() == [1, 1, 2]
    assert second.ledger["label_before"].to_list() == ["red", "red", "blue"]
    assert second.facts["round"] == 2
    assert labels_of(second)["s0"] == "green"


def test_labels_that_the_ledger_beside_them_does_not_lead_to_are_refused() -> None:
    first = relabel(answers(("s0", "blue"), ("s1", "green")))
    other = first.labels.with_columns(
        label=pl.when(pl.col("sample_id") == "s1").then(pl.lit("red")).otherwise(pl.col("label"))
    )
    with pytest.raises(MismatchError) as caught:
        relabel(
            answers(("s2", "blue")), before=RelabelOutputs(other, first.ledger, first.conflicts, first.facts), sha="b"
        )
    assert str(caught.value) == (
        "the labels are not what the ledger beside them says of 1 sample (first: 's1'); "
        "was one of the two files replaced?"
    )


def test_labels_that_a_foreign_table_calls_relabelled_stay_so() -> None:
    foreign = LABELS.make({"sample_id": NAMES, "label": ["red"] * 6, "relabelled": [True] * 3 + [False] * 3})
    found = relabel(answers(("s0", "blue"), ("s4", "blue")), labels=foreign)
    assert found.labels["relabelled"].to_list() == [True, True, True, False, True, False]


def test_many_samples_are_counted_and_few_are_named(report: Report, heard: list[str]) -> None:
    names = [f"t{number}" for number in range(30)]
    many = LABELS.make({"sample_id": names, "label": ["red"] * 30})
    given_answers = answers(*((name, None) for name in names[1:]), ("t0", "blue"))
    found = relabel(given_answers, report, labels=many)
    assert found.facts["not_answered"] == 29
    assert len(found.facts["not_answered_samples"]) == 20
    assert heard[0].startswith("29 answers have no label; left as they are: t1, t2, t3, t4, t5 and ")


one_answer = st.fixed_dictionaries(
    {
        "sample_id": st.sampled_from(NAMES),
        "label": st.none() | st.sampled_from(["red", "green", "blue", "BLUE", "1"]),
        "annotator": st.none() | st.sampled_from(["ann", "bob", "cid"]),
        "timestamp": st.none() | st.sampled_from(["2026-01-01", "2026-02-01", "2026-03-01"]),
    }
)
rounds = st.lists(
    st.tuples(st.lists(one_answer, min_size=1, max_size=8), st.sets(st.sampled_from(NAMES), min_size=1)),
    min_size=1,
    max_size=4,
)


@given(rounds)
@settings(max_examples=20, deadline=None)
def test_whatever_comes_the_ledger_only_grows_and_only_the_queue_changes(
    happened: list[tuple[list[dict[str, Any]], set[str]]],
) -> None:
    before: RelabelOutputs | None = None
    for number, (given_answers, asked) in enumerate(happened):
        sources = queue(*sorted(asked), cost=0.5)
        try:
            after = relabel(answers(*given_answers), asked=sources, before=before, sha="abcd"[number])
        except NothingToDoError:
            continue
        old_labels = FIRST if before is None else before.labels
        old_ledger = LEDGER.empty() if before is None else before.ledger
        new = after.ledger[old_ledger.height :]
        assert after.ledger[: old_ledger.height].equals(old_ledger)
        assert after.ledger["event"].to_list() == list(range(1, after.ledger.height + 1))
        answered = {row["sample_id"] for row in given_answers if row["label"] is not None}
        assert set(new["sample_id"]) <= asked & answered
        changed = [
            name
            for name, one, other in zip(NAMES, old_labels["label"], after.labels["label"], strict=True)
            if one != other
        ]
        assert set(changed) <= set(new.filter(kind="decision")["sample_id"])
        assert after.facts["changed"] == len(changed)
        assert set(after.conflicts["sample_id"]).isdisjoint(new.filter(kind="decision")["sample_id"])
        assert after.facts["cost"] == new["cost"].sum() <= 0.5 * len(given_answers)
        assert after.facts["cost_so_far"] == after.ledger["cost"].sum()
        assert CONFLICTS.check(after.conflicts, "conflicts").equals(after.conflicts)
        assert LABELS.check(after.labels, "labels").equals(after.labels)
        before = after
