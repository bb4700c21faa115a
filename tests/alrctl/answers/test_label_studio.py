"""Label Studio: an annotation is an answer; a draft, a prediction and a skipped one are none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.errors import AlrctlError, DataError, UsageError

TIME = "2026-01-02T03:04:05Z"


def region(name: str, *choices: str, kind: str = "choices") -> dict[str, Any]:
    key = {"choices": "choices", "textarea": "text"}.get(kind, kind)
    return {"from_name": name, "to_name": "image", "type": kind, "value": {key: list(choices)}}


def said(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    about = {"completed_by": 1, "was_cancelled": False, "created_at": TIME, "updated_at": TIME, "lead_time": 2.5}
    return {"id": 1, "result": list(results), **about, **more}


def task(sample: Any, *annotations: Any, **data: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"sample_id": sample, **data}, "annotations": list(annotations)}


def refused(desk: Any, path: Any, **more: Any) -> str:
    with pytest.raises(AlrctlError) as told:
        desk.take(path, **more)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_the_latest_of_one_annotator_counts_whatever_comes_first(desk: Any, write: Any) -> None:
    old, new = said(region("label", "naevus"), updated_at="2026-01-01T00:00:00Z"), said(region("label", "melanoma"))
    for both in ((old, new), (new, old)):
        ledger = desk.relabel(write("a.json", [task("007", *both)])).ledger
        assert ledger.filter(kind="vote")["answer"].to_list() == ["melanoma"]


def test_two_annotators_are_two_answers(desk: Any, write: Any) -> None:
    two = [
        said(region("label", "naevus")),
        said(region("label", "melanoma"), completed_by={"id": 2, "email": "b@example.org"}),
    ]
    outputs = desk.relabel(write("a.json", [task("007", *two)]))
    votes = outputs.ledger.filter(kind="vote").select("answer", "annotator").rows()
    assert votes == [("naevus", "1"), ("melanoma", "b@example.org")]
    assert outputs.conflicts["sample_id"].to_list() == ["007", "007"]


def test_cancelled_ones_are_dropped_and_counted(desk: Any, write: Any) -> None:
    cancelled = said(region("label", "naevus"), was_cancelled=True)
    taken = desk.take(write("a.json", [task("007", cancelled), task("1e5", said(region("label", "naevus")))]))
    assert taken.labels == [("1e5", "naevus")] and taken.found.facts["skipped"] == 1


def test_drafts_and_predictions_are_no_answers(desk: Any, write: Any) -> None:
    one = task("007") | {
        "drafts": [said(region("label", "melanoma"))],
        "predictions": [said(region("label", "naevus"))],
    }
    taken = desk.take(write("a.json", [one, task("1e5", said(region("label", "naevus"), prediction=said()))]))
    assert taken.labels == [("1e5", "naevus")] and taken.found.facts["never_annotated"] == 1


def test_one_of_several_controls_must_be_named_unless_one_is_called_label(desk: Any, write: Any) -> None:
    path = write("a.json", [task("007", said(region("tissue", "naevus"), region("sure", "yes")))])
    assert "several controls hold choices (tissue, sure); --map THEIRS=label says which" in refused(desk, path)
    assert desk.take(path, map=("tissue=label",)).labels == [("007", "naevus")]
    both = write("b.json", [task("007", said(region("sure", "yes"), region("label", "naevus")))])
    assert desk.take(both).labels == [("007", "naevus")]
    with pytest.raises(UsageError, match="--map: no control is called 'tisue'"):
        desk.take(path, map=("tisue=label",))


def test_a_key_of_the_data_that_holds_the_sample_can_be_named(desk: Any, write: Any) -> None:
    one = {"id": 1, "data": {"image_name": "007"}, "annotations": [said(region("label", "naevus"))]}
    path = write("a.json", [one])
    assert "nothing is called 'sample_id' (found: 'image_name'); --map THEIRS=sample_id" in refused(desk, path)
    assert desk.take(path, map=("image_name=sample_id",)).labels == [("007", "naevus")]


@pytest.mark.parametrize("sample", [7, None, "", ["007"], {"a": 1}, True])
def test_a_task_whose_sample_is_no_text_is_refused(sample: Any, desk: Any, write: Any) -> None:
    told = refused(desk, write("a.json", [task(sample, said(region("label", "naevus")))]))
    assert told.endswith("a.json: task 1 has no text in 'sample_id'")


@pytest.mark.parametrize("person", [None, True, [], {}, {"email": None}, {"email": "", "first_name": "Zoë"}, 1.5, "  "])
def test_who_cannot_be_named_is_nobody(person: Any, desk: Any, write: Any) -> None:
    taken = desk.take(write("a.json", [task("007", said(region("label", "naevus"), completed_by=person))]))
    assert [row["annotator"] for row in taken.answers] == [None]


@pytest.mark.parametrize("choices", [[1], [None], ["naevus", 2], [{}]])
def test_a_choice_that_is_no_text_is_refused(choices: list[Any], desk: Any, write: Any) -> None:
    result = region("label") | {"value": {"choices": choices}}
    assert "task 1: a choice is no text" in refused(desk, write("a.json", [task("007", said(result))]))


@pytest.mark.parametrize("value", [None, [], {}, {"choices": []}, {"choices": [""]}, {"other": ["naevus"]}])
def test_no_choice_is_no_answer(value: Any, desk: Any, write: Any) -> None:
    taken = desk.take(write("a.json", [task("007", said(region("label") | {"value": value}))]))
    assert taken.labels == [] and taken.facts["not_answered"] == 1


@pytest.mark.parametrize("broken", [{"result": 5}, {"result": [5]}, {"result": {"a": 1}}, 5, None, []])
def test_annotations_of_another_form_are_refused(broken: Any, desk: Any, write: Any) -> None:
    annotation = said(region("label", "naevus")) | broken if isinstance(broken, dict) else broken
    told = refused(desk, write("a.json", [task("007", annotation)]))
    assert "has no list of results" in told or "has an annotation that is none" in told


def flat(**more: Any) -> dict[str, Any]:
    about = {"annotation_id": 1, "annotator": 3, "created_at": TIME, "updated_at": TIME, "lead_time": 1}
    return {"sample_id": "007", "label": "naevus", "id": 1, **about, **more}


def csv_of(*rows: dict[str, Any]) -> str:
    lines = [rows[0].keys(), *(row.values() for row in rows)]
    return "".join(",".join('"' + str(cell).replace('"', '""') + '"' for cell in line) + "\n" for line in lines)


def test_several_choices_are_a_conflict_in_every_form(desk: Any, write: Any) -> None:
    several = {"choices": ["naevus", "melanoma"]}
    files = [
        write("a.csv", csv_of(flat(label=json.dumps(several)))),
        write("b.json", [flat(label=several)]),
        write("c.json", [flat(label=several["choices"])]),
        write("d.json", [task("007", said(region("label", *several["choices"])))]),
    ]
    for path in files:
        (row,) = desk.take(path).answers
        assert (row["kind"], row["answer"]) == ("unclear", None), path
        assert row["problem"] == "several classes chosen (naevus, melanoma)", path


def test_the_same_choice_twice_is_one(desk: Any, write: Any) -> None:
    taken = desk.take(write("d.json", [task("007", said(region("label", "naevus", "naevus")))]))
    assert taken.labels == [("007", "naevus")]


def test_a_list_of_choices_that_is_no_json_is_refused(desk: Any, write: Any) -> None:
    path = write("a.csv", csv_of(flat(label='{"choices": ["naevus"')))
    assert "a list of choices is no JSON" in refused(desk, path)


def test_a_class_that_looks_like_json_is_a_class(make_desk: Any, write: Any) -> None:
    desk = make_desk(classes=("{a}", "[b]"))
    assert desk.take(write("a.csv", csv_of(flat(label="{a}")))).labels == [("007", "{a}")]


def test_a_number_for_a_class_is_no_index_in_an_export(desk: Any, write: Any) -> None:
    assert "is no class" in refused(desk, write("a.csv", csv_of(flat(label="1"))))


def test_a_data_key_renamed_by_the_tool_is_not_the_answer(desk: Any, write: Any) -> None:
    path = write("a.csv", csv_of(flat(_data_label="melanoma")))
    assert desk.take(path).labels == [("007", "naevus")]


def test_an_answer_where_nobody_annotated_is_a_key_of_the_task(desk: Any, write: Any) -> None:
    path = write("a.json", [flat(), flat(sample_id="1e5", annotation_id=None, label="melanoma")])
    assert "'label' is a key of the tasks themselves too; export as JSON or CSV" in refused(desk, path)


def test_rows_nobody_annotated_are_counted(desk: Any, write: Any) -> None:
    empty = dict.fromkeys(flat(), "") | {"sample_id": "1e5", "id": 2}
    taken = desk.take(write("a.csv", csv_of(flat(), empty)))
    assert taken.labels == [("007", "naevus")] and taken.found.facts["never_annotated"] == 1


def test_several_texts_of_a_comment_are_lines_in_every_form(desk: Any, write: Any) -> None:
    texts = ["one", 'two "quoted"']
    files = [
        write("a.csv", csv_of(flat(comment=json.dumps({"text": texts})))),
        write("b.json", [flat(comment={"text": texts})]),
        write("c.json", [task("007", said(region("label", "naevus"), region("comment", *texts, kind="textarea")))]),
    ]
    for path in files:
        assert [row["comment"] for row in desk.take(path).answers] == ['one\ntwo "quoted"'], path


def test_a_comment_that_only_looks_like_json_is_kept_as_it_is(desk: Any, write: Any) -> None:
    taken = desk.take(write("a.csv", csv_of(flat(comment='{"text": broken'))))
    assert [row["comment"] for row in taken.answers] == ['{"text": broken']


def test_a_time_is_that_of_the_last_change_else_of_the_first(desk: Any, write: Any) -> None:
    rows = [flat(updated_at="2026-02-02T00:00:00Z"), flat(sample_id="1e5", updated_at=None)]
    times = [row["answered_at"] for row in desk.take(write("a.json", rows)).answers]
    assert times == ["2026-02-02T00:00:00.000000Z", "2026-01-02T03:04:05.000000Z"]


def test_lists_within_a_list_are_what_the_tools_own_converter_writes(desk: Any, write: Any) -> None:
    tasks = [task("007", said(region("label", "naevus"))), task("1e5", said(region("label", "melanoma")))]
    taken = desk.take(write("a.json", [tasks[:1], tasks[1:]]))
    assert taken.labels == [("007", "naevus"), ("1e5", "melanoma")]


def test_an_empty_list_is_no_answer_at_all(desk: Any, write: Any) -> None:
    assert refused(desk, write("a.json", [])).endswith("no answer to take in (it is an empty list)")


def test_tasks_as_they_were_handed_out_are_no_answers(desk: Any, write: Any) -> None:
    with pytest.raises(DataError, match="is JSON of no known form"):
        desk.take(write("tasks.json", [{"data": {"sample_id": "007"}, "predictions": []}]))


def test_letters_that_may_have_been_read_wrongly_are_told(desk: Any, write: Any) -> None:
    text = csv_of(flat(comment="später"))
    told = desk.take(write("a.csv", text.encode("cp1252")))
    assert told.format == "label-studio-csv" and "read as Windows-1252" in told.found.warnings[0]
    assert not desk.take(write("b.csv", text)).found.warnings
