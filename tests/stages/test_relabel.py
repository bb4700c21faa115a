"""Relabel: only samples of the queue change, every answer is charged once, and the ledger only grows."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from schemas.answers import READ_ANSWERS
from schemas.classes import Classes
from schemas.errors import DataError, MismatchError, NothingToDoError, UsageError
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.queue import QUEUE
from stages.relabel import RelabelConfig, RelabelInputs, RelabelOutputs, run
from stages.report import Report, SilentReport

NAMES = ["s0", "s1", "s2", "s3", "s4", "s5"]
FIRST = LABELS.make({"sample_id": NAMES, "label": ["red"] * 6})
Row = dict[str, Any]


def answers(*rows: tuple[str, str | None] | Row) -> pl.DataFrame:
    """Answers as (sample, label) by `ann`, or by column, at places 2, 3, ..."""
    table = [
        row if isinstance(row, dict) else {"sample_id": row[0], "label": row[1], "annotator": "ann"} for row in rows
    ]
    columns = {name: [row.get(name) for row in table] for name in READ_ANSWERS.schema.column_names()}
    columns["place"] = list(range(2, len(table) + 2))
    return READ_ANSWERS.check(pl.DataFrame(columns, schema=READ_ANSWERS.empty().schema), "a.csv")


def several(name: str, *labels: str) -> list[Row]:
    return [{"sample_id": name, "label": label, "annotator": f"ann{n}"} for n, label in enumerate(labels)]


def queue(*names: str, cost: float = 1.0, unit: str = "labels") -> pl.DataFrame:
    """A queue of these samples."""
    columns = {"rank": range(1, len(names) + 1), "sample_id": names, "cost": [cost] * len(names), "unit": unit}
    return QUEUE.make(columns | {"given_label": ["red"] * len(names), "suggested_label": ["blue"] * len(names)})


def relabel(
    given: pl.DataFrame,
    report: Report | None = None,
    asked: pl.DataFrame | None = None,
    before: RelabelOutputs | None = None,
    sha: str = "a",
    labels: pl.DataFrame = FIRST,
    **config: Any,
) -> RelabelOutputs:
    """Take answers in, after an earlier relabelling where one is named."""
    inputs = RelabelInputs(
        labels=labels if before is None else before.labels,
        ledger=LEDGER.empty() if before is None else before.ledger,
        answers=given,
        queue=asked,
        classes=Classes(names=("red", "green", "blue")),
        source_file=f"{sha}.csv",
        source_sha256=sha * 64,
        version="1.2",
    )
    return run(RelabelConfig(**config), inputs, report or SilentReport())


def labels_of(found: RelabelOutputs) -> dict[str, str]:
    return dict(found.labels.select("sample_id", "label").iter_rows())


def test_an_answer_becomes_an_event_and_a_decision_that_sets_the_label() -> None:
    told = {"annotator": "ann", "confidence": 0.75, "seconds": 2.5, "comment": "sure", "timestamp": "2026-01-01"}
    found = relabel(answers({"sample_id": "s1", "label": "blue"} | told), asked=queue("s1", cost=2.0, unit="minutes"))
    assert labels_of(found) == dict.fromkeys(NAMES, "red") | {"s1": "blue"}
    assert found.labels["relabelled"].to_list() == [False, True, False, False, False, False]
    vote = dict.fromkeys(LEDGER.schema.column_names()) | {
        "event": 1,
        "round": 1,
        "kind": "vote",
        "sample_id": "s1",
        "answer": "blue",
        "label_before": "red",
        "label_after": "red",
        "relabelled_before": False,
        "annotator": "ann",
        "answered_at": "2026-01-01",
        "seconds": 2.5,
        "confidence": 0.75,
        "comment": "sure",
        "charged": True,
        "cost": 2.0,
        "unit": "minutes",
        "source_file": "a.csv",
        "source_sha256": "a" * 64,
        "version": "1.2",
    }
    nothing = dict.fromkeys(("answer", "answered_at", "seconds", "confidence", "comment"))
    free = {"charged": False, "cost": 0.0, "unit": "labels"}
    decision = vote | nothing | free | {"event": 2, "kind": "decision", "label_after": "blue"}
    links = dict.fromkeys(("previous", "hash"))
    assert [row | links for row in found.ledger.to_dicts()] == [vote, decision]
    assert found.conflicts.is_empty()
    assert found.queue.is_empty()


def test_an_answer_that_confirms_is_an_event_and_is_charged_too() -> None:
    found = relabel(answers(("s0", "red"), ("s1", "blue")))
    assert found.labels["relabelled"].to_list()[:3] == [True, True, False]
    told = {name: found.facts[name] for name in ("relabelled", "changed", "confirmed", "cost", "changes", "round")}
    assert told == {
        "relabelled": 2,
        "changed": 1,
        "confirmed": 1,
        "cost": 2.0,
        "changes": [["red", "blue", 1]],
        "round": 1,
    }


def test_answers_outside_the_queue_change_nothing_cost_nothing_and_are_told(report: Report, heard: list[str]) -> None:
    found = relabel(answers(("s0", "blue"), ("s3", "green"), ("s4", "green")), report, asked=queue("s0", "s1"))
    assert labels_of(found) == dict.fromkeys(NAMES, "red") | {"s0": "blue"}
    assert set(found.ledger["sample_id"]) == {"s0"}
    assert (found.facts["answers"], found.facts["outside_queue"], found.facts["cost"]) == (3, 2, 1.0)
    assert found.facts["outside_queue_samples"] == ["s3", "s4"]
    assert heard == ["2 answers are not in the queue; left out: s3, s4"]


def test_without_a_queue_the_answers_own_ids_are_the_queue() -> None:
    found = relabel(answers(("s0", "blue"), ("s5", "green")))
    assert (labels_of(found)["s0"], labels_of(found)["s5"]) == ("blue", "green")


def test_one_wrong_sample_or_class_refuses_the_whole_file_even_outside_the_queue() -> None:
    with pytest.raises(MismatchError, match="first: row 3, 'qqq'"):
        relabel(answers(("s0", "blue"), ("qqq", "red")), asked=queue("s0"))
    with pytest.raises(DataError, match="first: row 3, 'gren'; did you mean 'green'"):
        relabel(answers(("s0", "blue"), ("s1", "gren")), asked=queue("s0"))


def test_a_queue_of_another_data_set_is_refused() -> None:
    with pytest.raises(MismatchError) as caught:
        relabel(answers(("s0", "blue")), asked=queue("s0", "t1"))
    assert str(caught.value) == (
        "the queue holds 1 sample that the labels do not (first: 't1'); do they belong to the same data set?"
    )


def test_the_option_names_the_annotator_and_maps_words() -> None:
    found = relabel(answers({"sample_id": "s0", "label": "bleu"}), annotator="me", map=("bleu=blue",))
    assert (labels_of(found)["s0"], found.ledger["annotator"][0]) == ("blue", "me")


def test_two_minds_of_one_annotator_are_charged_and_decide_nothing(report: Report, heard: list[str]) -> None:
    found = relabel(answers(("s0", "blue"), ("s0", "green"), ("s1", "blue")), report, asked=queue("s1", "s0", cost=2.0))
    assert labels_of(found) == dict.fromkeys(NAMES, "red") | {"s1": "blue"}
    assert found.ledger["kind"].to_list() == ["vote", "unclear", "decision"]
    told = "ann: answered twice, differently, undated (blue, green)"
    assert found.conflicts.rows() == [("s0", None, "ann", told)]
    assert found.queue.select("rank", "sample_id", "reason", "cost").rows() == [(1, "s0", told, 2.0)]
    assert heard[-1] == "1 sample needs a decision: see conflicts.parquet and queue.csv"
    facts = found.facts
    assert (facts["in_conflict"], facts["unclear"], facts["repeated"], facts["cost"]) == (1, 1, 1, 4.0)


def test_a_majority_decides_and_every_vote_is_an_event_and_charged() -> None:
    found = relabel(answers(*several("s0", "blue", "red", "blue")), asked=queue("s0", cost=1.5))
    assert labels_of(found)["s0"] == "blue"
    assert found.ledger["kind"].to_list() == ["vote", "vote", "vote", "decision"]
    assert found.ledger["annotator"].to_list() == ["ann0", "ann1", "ann2", "ann0; ann2"]
    assert found.ledger["cost"].to_list() == [1.5, 1.5, 1.5, 0.0]
    assert (found.facts["relabelled"], found.facts["cost"], found.facts["agreement"][0][:3]) == (
        1,
        4.5,
        ["ann0", "ann1", 1],
    )


def test_a_tie_that_comes_in_later_gives_the_first_label_back() -> None:
    foreign = LABELS.make({"sample_id": NAMES, "label": ["red"] * 6, "relabelled": [True, False] * 3})
    first = relabel(answers(("s0", "blue"), ("s1", "blue")), labels=foreign)
    tie = relabel(
        answers(*[{"sample_id": s, "label": "green", "annotator": "bob"} for s in ("s0", "s1")]), before=first
    )
    assert tie.labels.equals(foreign)
    assert tie.ledger["kind"].to_list()[4:] == ["vote", "vote", "reversal", "reversal"]
    assert tie.conflicts["annotator"].to_list() == ["ann", "bob"] * 2
    assert (tie.facts["reversed"], tie.facts["relabelled"], tie.facts["changed"]) == (2, 0, 2)
    third = relabel(answers({"sample_id": "s0", "label": "blue", "annotator": "cid"}), before=tie)
    assert labels_of(third)["s0"] == "blue"
    assert set(third.conflicts["sample_id"]) == {"s1"}


def test_an_adjudicator_settles_a_tie_and_no_vote_unsettles_it() -> None:
    tie = relabel(answers(*several("s0", "blue", "green")))
    settled = relabel(answers(("s0", "red")), before=tie, asked=tie.queue, adjudicate=True)
    assert (labels_of(settled)["s0"], settled.labels["relabelled"][0]) == ("red", True)
    assert settled.conflicts.is_empty()
    later = relabel(answers({"sample_id": "s0", "label": "blue", "annotator": "eve"}), before=settled)
    assert labels_of(later)["s0"] == "red"


def test_a_sample_waits_for_as_many_annotators_as_are_asked_for() -> None:
    first = relabel(answers(*several("s0", "blue")), min_annotators=2)
    assert (labels_of(first)["s0"], first.facts["waiting"], first.facts["in_conflict"]) == ("red", 1, 0)
    second = relabel(answers(*several("s0", "blue", "blue")), before=first, min_annotators=2)
    assert (labels_of(second)["s0"], second.facts["already_imported"], second.facts["waiting"]) == ("blue", 1, 0)


def test_other_options_decide_nothing_anew_of_samples_outside_the_queue() -> None:
    first = relabel(answers(*several("s0", "blue")), min_annotators=2)
    second = relabel(answers(("s1", "blue")), before=first, asked=queue("s1"))
    assert (labels_of(second)["s0"], labels_of(second)["s1"]) == ("red", "blue")
    assert second.conflicts["problem"].to_list() == ["undecided under the options it came in with"]


def test_the_rarer_class_is_the_one_with_fewer_samples_now() -> None:
    labels = LABELS.make({"sample_id": NAMES, "label": ["red", "blue", "blue", "blue", "green", "green"]})
    tie = answers(*several("s0", "blue", "green"))
    assert labels_of(relabel(tie, labels=labels, ties="rarer-class"))["s0"] == "green"
    assert labels_of(relabel(tie, labels=labels))["s0"] == "red"


SETTLED = {
    "plain": answers(("s0", "blue"), ("s1", "red")),
    "majority": answers(*several("s0", "blue", "red", "blue")),
    "tie": answers(*several("s0", "blue", "green")),
    "two minds": answers(("s0", "blue"), ("s0", "green")),
    "unsure": answers({"sample_id": "s0", "unsure": True, "annotator": "ann"}),
    "nobody": answers({"sample_id": "s0", "label": "BLUE"}),
    "dated": answers(
        *[{"sample_id": "s0", "label": c, "timestamp": f"2026-0{n}-01"} for n, c in enumerate(("red", "blue"), 1)]
    ),
}


@pytest.mark.parametrize("sha", ["a", "b"])
@pytest.mark.parametrize("case", SETTLED)
def test_the_same_answers_again_from_the_same_file_or_another_are_nothing_to_do(case: str, sha: str) -> None:
    first = relabel(SETTLED[case])
    with pytest.raises(NothingToDoError, match=rf"^{sha}\.csv: no answer to take in \(.*\d already imported\)$"):
        relabel(SETTLED[case], before=first, sha=sha)


def test_a_file_that_names_nobody_is_not_taken_in_again_under_another_name() -> None:
    nobody = answers({"sample_id": "s0", "label": "blue"})
    first = relabel(nobody, annotator="ann")
    with pytest.raises(NothingToDoError, match="1 already imported"):
        relabel(nobody, before=first, annotator="bob")
    assert relabel(nobody, before=first, sha="b", annotator="bob").facts["cost_so_far"] == 2.0


def test_the_rest_of_a_file_is_taken_in_where_some_of_it_was(report: Report, heard: list[str]) -> None:
    both = answers(("s0", "blue"), ("s1", "green"))
    second = relabel(both, report, asked=queue("s0", "s1"), before=relabel(both, asked=queue("s0")))
    assert (second.facts["cost"], second.facts["cost_so_far"], second.facts["round"]) == (1.0, 2.0, 2)
    assert second.ledger["round"].to_list() == [1, 1, 2, 2]
    assert labels_of(second)["s1"] == "green"
    assert heard == ["1 answer was taken in before; not counted again: s0"]


def test_an_answer_older_than_the_annotators_last_is_left_out(report: Report, heard: list[str]) -> None:
    def dated(label: str, month: int) -> Row:
        return {"sample_id": "s0", "label": label, "annotator": "ann", "timestamp": f"2026-0{month}-01"}

    first = relabel(answers(dated("blue", 2)))
    second = relabel(answers(dated("green", 1), ("s1", "green")), report, before=first, sha="b")
    assert (labels_of(second)["s0"], second.facts["outdated"], second.facts["cost"]) == ("blue", 1, 1.0)
    assert heard == ["1 answer is older than one taken in before; left out: s0"]
    assert labels_of(relabel(answers(dated("green", 3)), before=second, sha="c"))["s0"] == "green"


def test_nothing_to_take_in_is_told_with_the_reasons() -> None:
    with pytest.raises(NothingToDoError) as caught:
        relabel(answers(("s0", None), ("s1", None), ("s2", "blue")), asked=queue("s0"))
    assert str(caught.value) == "a.csv: no answer to take in (2 not answered, 1 outside queue)"
    with pytest.raises(NothingToDoError) as caught:
        relabel(answers())
    assert str(caught.value) == "a.csv: no answer to take in (it is empty)"


def test_the_budget_goes_by_rank_over_all_rounds_and_the_rest_comes_in_with_a_larger_one() -> None:
    given_answers = answers(("s0", "blue"), ("s1", "blue"), ("s2", "blue"))
    asked = queue("s2", "s0", "s1")
    first = relabel(given_answers, asked=asked, budget=2)
    assert [name for name, label in labels_of(first).items() if label == "blue"] == ["s0", "s2"]
    assert (first.facts["over_budget"], first.facts["over_budget_samples"], first.facts["cost"]) == (1, ["s1"], 2.0)
    with pytest.raises(NothingToDoError, match=r"the budget is spent \(2 of 2 labels\)"):
        relabel(given_answers, asked=asked, before=first, budget=2)
    second = relabel(given_answers, asked=asked, before=first, budget=3)
    assert (labels_of(second)["s1"], second.facts["cost_so_far"]) == ("blue", 3.0)


def test_money_needs_what_an_hour_costs_and_the_time_of_every_answer() -> None:
    timed = {"sample_id": "s0", "label": "blue", "seconds": 36.0}
    with pytest.raises(UsageError):
        relabel(answers(timed), budget=1, unit="money")
    with pytest.raises(DataError, match="1 answer without the seconds taken \\(first: row 3\\)"):
        relabel(answers(timed, ("s1", "blue")), budget=1, unit="money", rate_per_hour=50)
    assert relabel(answers(timed), budget=0.5, unit="money", rate_per_hour=50).facts["spent"][0][-1] == 0.5


def test_labels_that_the_ledger_beside_them_does_not_lead_to_are_refused() -> None:
    first = relabel(answers(("s0", "blue"), ("s1", "green")))
    for row, told in ((1, "says of 1 sample \\(first: 's1'\\)"), (5, "a label that no event names was changed")):
        spoilt = first.labels.with_row_index().with_columns(
            label=pl.when(pl.col("index") == row).then(pl.lit("blue")).otherwise("label")
        )
        other = RelabelOutputs(spoilt.drop("index"), first.ledger, first.conflicts, first.queue, first.facts)
        with pytest.raises(MismatchError, match=told):
            relabel(answers(("s2", "blue")), before=other, sha="b")


def test_many_samples_are_counted_and_few_are_named(report: Report, heard: list[str]) -> None:
    given_answers = answers(*((f"t{number}", None) for number in range(1, 30)), ("s0", "blue"))
    found = relabel(given_answers, report)
    assert found.facts["not_answered"] == 29
    assert len(found.facts["not_answered_samples"]) == 20
    assert heard[0] == "29 answers have no label; left as they are: t1, t2, t3, t4, t5 and 24 more"
