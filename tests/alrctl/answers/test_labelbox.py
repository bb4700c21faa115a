"""Labelbox, and how a format is told and forced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import AlrctlError, UsageError

DATA = Path(__file__).parents[2] / "data" / "answers"
ONE_OF_EACH = {
    "csv": "csv/google_sheets.csv",
    "label-studio-csv": "label_studio/one.all.csv",
    "label-studio-json": "label_studio/one.all.json",
    "label-studio-json-min": "label_studio/one.all.min.json",
    "cvat": "cvat/task_ids.xml",
    "imagenet": "imagenet_txt/ids",
    "labelbox": "labelbox/checklist.ndjson",
    "coco": "coco/coco_labels/annotations/labels_default.json",
}


def refused(desk: Any, path: Any, *more: Any, **named: Any) -> str:
    with pytest.raises(AlrctlError) as told:
        desk.take(path, *more, **named)
    assert "\n" not in str(told.value) and len(str(told.value)) < 1000
    return str(told.value)


def radio(name: str | None, question: str = "Diagnosis", **nested: Any) -> dict[str, Any]:
    return {"name": question, "radio_answer": {"name": name, "value": "v", **nested}}


def label(*classifications: Any, skipped: Any = False, **more: Any) -> dict[str, Any]:
    about = {"created_by": "ann@example.org", "created_at": "2026-01-01T00:00:00.000+00:00", **more}
    performance = {"skipped": skipped, "seconds_to_create": 3}
    answers = {"classifications": list(classifications)}
    return {"label_details": about, "performance_details": performance, "annotations": answers}


def row(name: str, *labels: Any, **projects: Any) -> dict[str, Any]:
    return {"data_row": {"id": "c1", "global_key": name}, "projects": {"p": {"labels": list(labels)}, **projects}}


def test_skipped_ones_are_dropped_whatever_they_say(desk: Any, write: Any) -> None:
    path = write("a.ndjson", [row("007", label(radio("naevus"), skipped=True)), row("1e5", label(radio("melanoma")))])
    taken = desk.take(path)
    assert taken.labels == [("1e5", "melanoma")] and taken.found.facts == {"skipped": 1, "never_annotated": 0}


def test_labels_of_all_projects_count(desk: Any, write: Any) -> None:
    second = {"labels": [label(radio("melanoma"), created_by="ben@example.org")]}
    taken = desk.take(write("a.ndjson", [row("007", label(radio("naevus")), q=second)]))
    assert [(one["answer"], one["annotator"]) for one in taken.answers] == [
        ("naevus", "ann@example.org"),
        ("melanoma", "ben@example.org"),
    ]


def test_one_of_several_questions_must_be_named_unless_one_is_called_label(desk: Any, write: Any) -> None:
    path = write("a.ndjson", [row("007", label(radio("naevus"), radio("yes", "Sure")))])
    assert "several questions are answered (Diagnosis, Sure); --map THEIRS=label says which" in refused(desk, path)
    assert desk.take(path, map=("Diagnosis=label",)).labels == [("007", "naevus")]
    other = write("b.ndjson", [row("007", label(radio("yes", "Sure"), radio("naevus", "label")))])
    assert desk.take(other).labels == [("007", "naevus")]
    with pytest.raises(UsageError, match="--map: no question is called 'Diagnose'"):
        desk.take(path, map=("Diagnose=label",))


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        *[(kind, "annotator") for kind in ONE_OF_EACH if kind.startswith("label")],
        ("label-studio-csv", "timestamp"),
        ("label-studio-json", "confidence"),
        ("label-studio-json-min", "seconds"),
        ("labelbox", "sample_id"),
    ],
)
def test_a_name_of_what_the_format_has_in_one_place_alone_is_not_passed_over(kind: str, ours: str, desk: Any) -> None:
    told = refused(desk, DATA / ONE_OF_EACH[kind], map=(f"who={ours}",))
    assert told.startswith(f"--map who={ours}: in the format '{kind}', --map can name ")
    assert told.endswith("label, comment alone")


@pytest.mark.parametrize("kind", [kind for kind in ONE_OF_EACH if kind.startswith("label-studio")])
def test_what_is_always_called_so_may_be_named_all_the_same(kind: str, desk: Any) -> None:
    pairs = ("annotator=annotator", "completed_by=annotator", "lead_time=seconds", "updated_at=timestamp")
    plain = desk.take(DATA / ONE_OF_EACH[kind])
    for pair in pairs:
        assert desk.take(DATA / ONE_OF_EACH[kind], map=(pair,)).answers == plain.answers
    assert "--map can name" in refused(desk, DATA / ONE_OF_EACH[kind], map=("lead_time=annotator",))


@pytest.mark.parametrize("kind", ["cvat", "imagenet", "coco"])
def test_a_format_without_columns_takes_no_names_of_them(kind: str, desk: Any) -> None:
    told = refused(desk, DATA / ONE_OF_EACH[kind], map=("x=label",))
    assert told == f"--map x=label: a file of the format '{kind}' has no columns or keys to be named"


def test_nested_questions_do_not_count(desk: Any, write: Any) -> None:
    path = write("a.ndjson", [row("007", label(radio("naevus", classifications=[radio("melanoma", "Sure")])))])
    assert desk.take(path).labels == [("007", "naevus")]


def test_a_checklist_with_several_ticks_is_a_conflict(desk: Any, write: Any) -> None:
    ticks = {"name": "Diagnosis", "checklist_answers": [{"name": "naevus"}, {"name": "melanoma"}]}
    (one,) = desk.take(write("a.ndjson", [row("007", label(ticks))])).answers
    assert (one["answer"], one["problem"]) == (None, "several classes chosen (naevus, melanoma)")


def test_a_row_goes_by_its_global_key_then_its_external_id_then_its_own(make_desk: Any, write: Any) -> None:
    keys = [
        {"id": "c1", "external_id": "1e5", "global_key": "007"},
        {"id": "c2", "external_id": "1e5", "global_key": None},
        {"id": "lesion_6", "external_id": " "},
    ]
    rows = [{**row("", label(radio("naevus"))), "data_row": key} for key in keys]
    assert [name for name, _ in make_desk().take(write("a.ndjson", rows)).labels] == ["007", "1e5", "lesion_6"]
    told = refused(make_desk(), write("b.ndjson", [{**rows[0], "data_row": {"id": 5}}]))
    assert told.endswith("row 1 has neither global_key nor external_id nor id")


@pytest.mark.parametrize("name", ["comment", "Comment", "COMMENT"])
def test_a_comment_is_the_text_of_that_question(name: str, desk: Any, write: Any) -> None:
    text = {"name": name, "text_answer": {"content": " näher ansehen\n"}}
    taken = desk.take(write("a.ndjson", [row("007", label(radio("naevus"), text))]))
    assert [one["comment"] for one in taken.answers] == ["näher ansehen"]


def test_a_comment_may_go_by_another_name(desk: Any, write: Any) -> None:
    text = {"name": "Notiz", "text_answer": {"content": "x"}}
    taken = desk.take(write("a.ndjson", [row("007", label(radio("naevus"), text))]), map=("Notiz=comment",))
    assert [one["comment"] for one in taken.answers] == ["x"]


def test_time_and_seconds_are_those_of_the_label(desk: Any, write: Any) -> None:
    late = label(radio("naevus"), updated_at="2026-01-01T02:30:00.000+01:00")
    (one,) = desk.take(write("a.ndjson", [row("007", late)])).answers
    assert (one["answered_at"], one["seconds"]) == ("2026-01-01T01:30:00.000000Z", 3.0)


def test_one_object_alone_and_a_list_are_read_as_lines_are(desk: Any, write: Any) -> None:
    one = row("007", label(radio("naevus")))
    for name, content in (("a.json", one), ("b.json", [one]), ("c.ndjson", [one])):
        assert desk.take(write(name, content)).labels == [("007", "naevus")], name
    crlf = b"\r\n".join(json.dumps(row(name, label(radio("naevus")))).encode() for name in ("007", "1e5"))
    assert len(desk.take(write("d.ndjson", b"\r\n" + crlf + b"\r\n\r\n")).labels) == 2


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (row("007", label(5)), "a label's classifications are no list"),
        (row("007", 5), "row 1 has a project without a list of labels"),
        (row("007", p={"labels": None}), "row 1 has a project without a list of labels"),
        (row("007", p=[]), "row 1 has a project without a list of labels"),
        (row("007", label(radio(None, value=None))), "row 1: an answer has no name"),
        (row("007", label(radio("nevus"))), "(first: row 1, 'nevus'; did you mean 'naevus'?)"),
    ],
)
def test_what_is_no_export_is_refused_with_the_reason(broken: Any, told: str, desk: Any, write: Any) -> None:
    assert told in refused(desk, write("a.ndjson", [broken]))


def test_a_line_that_is_no_json_is_named(desk: Any, write: Any) -> None:
    good = json.dumps(row("007", label(radio("naevus"))))
    assert "is no readable JSON (line 3: " in refused(desk, write("a.ndjson", f"{good}\n\n{good[:-5]}\n"))


@pytest.mark.parametrize("forced", ONE_OF_EACH)
@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_a_format_forced_on_another_files_content_is_refused_in_one_line(kind: str, forced: str, desk: Any) -> None:
    path = DATA / ONE_OF_EACH[kind]
    if kind == forced:
        assert desk.take(path, forced).answers == desk.take(path).answers
    elif (kind, forced) == ("label-studio-csv", "csv"):
        assert desk.take(path, forced).labels == desk.take(path).labels  # it has the columns of both
    else:
        told = refused(desk, path, forced)
        assert path.name in told or str(path) in told


def test_json_of_another_form_is_called_by_the_forced_formats_name(desk: Any) -> None:
    path = DATA / ONE_OF_EACH["coco"]
    assert refused(desk, path, "labelbox") == f"{path}: is not of the format 'labelbox'"
