"""Labelbox's export: NDJSON, an object a data row, with the labels of each project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alrctl.answers.found import Found, Row, number_or_none, one_of, table, text_or_none
from schemas.errors import DataError, UsageError, listing


def is_rows(content: Any) -> bool:
    """Say whether these are data rows of an export."""
    is_list = isinstance(content, list) and bool(content)
    return is_list and all(isinstance(one, dict) and "data_row" in one for one in content)


def read(content: Sequence[Row], where: str, columns: Mapping[str, str]) -> Found:
    """Read data rows.

    A sample goes by its global key, its external id, or the data row's own id, whichever is there first.

    Raises:
        DataError: a data row without id, or several questions of which none is called `label`.
        UsageError: a question named by `--map` is not there.
    """
    question = _question(content, columns, where)
    comment = next((theirs for theirs, ours in columns.items() if ours == "comment"), "comment")
    rows: list[Row] = []
    facts = {"skipped": 0, "never_annotated": 0}
    for place, data_row in enumerate(content, 1):
        name = _name(data_row, place, where)
        labels = list(_labels(data_row, place, where))
        facts["never_annotated"] += not labels
        for label in labels:
            if _part(label, "performance_details").get("skipped") is True:
                facts["skipped"] += 1
                continue
            rows.append(
                {"sample_id": name, "place": place, **_answer(label, question, comment, f"{where}: row {place}")}
            )
    return Found(table(rows, where), "row", by_image=True, facts=facts)


def _part(thing: Row, name: str) -> Row:
    found = thing.get(name)
    return found if isinstance(found, dict) else {}


def _name(data_row: Row, place: int, where: str) -> str:
    own = _part(data_row, "data_row")
    for key in ("global_key", "external_id", "id"):
        name = text_or_none(own.get(key))
        if name is not None:
            return name
    raise DataError(f"{where}: row {place} has neither global_key nor external_id nor id")


def _labels(data_row: Row, place: int, where: str) -> Iterator[Row]:
    for project in _part(data_row, "projects").values():
        labels = project.get("labels", []) if isinstance(project, dict) else None
        if not isinstance(labels, list) or not all(isinstance(label, dict) for label in labels):
            raise DataError(f"{where}: row {place} has a project without a list of labels")
        yield from labels


def _classifications(label: Row, where: str) -> list[Row]:
    found = _part(label, "annotations").get("classifications") or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise DataError(f"{where}: a label's classifications are no list")
    return found


def _question(content: Sequence[Row], columns: Mapping[str, str], where: str) -> str | None:
    """Return the name of the question whose answer is the class."""
    names = list(
        dict.fromkeys(
            str(one.get("name"))
            for place, data_row in enumerate(content, 1)
            for label in _labels(data_row, place, where)
            for one in _classifications(label, where)
            if "radio_answer" in one or "checklist_answers" in one
        )
    )
    mapped = [theirs for theirs, ours in columns.items() if ours == "label"]
    if mapped:
        if mapped[0] not in names:
            raise UsageError(f"--map: no question is called '{mapped[0]}' (found: {listing(names, 12)})")
        return mapped[0]
    if "label" in names:
        return "label"
    if len(names) > 1:
        found = listing(names, 12)
        raise DataError(
            f"{where}: several questions are answered ({found}); --map THEIRS=label says which is the label"
        )
    return names[0] if names else None


def _answer(label: Row, question: str | None, comment: str, where: str) -> Row:
    asked = [one for one in _classifications(label, where) if str(one.get("name")) == question]
    chosen: list[Any] = []
    for one in asked:
        listed = one.get("checklist_answers")
        several = listed if isinstance(listed, list) else [one.get("radio_answer")]
        chosen += [_class(answer, where) for answer in several if answer]
    said = [
        one.get("text_answer")
        for one in _classifications(label, where)
        if str(one.get("name")).casefold() == comment.casefold()
    ]
    details, performance = _part(label, "label_details"), _part(label, "performance_details")
    return {
        **one_of(chosen, where),
        "comment": next((text_or_none(one.get("content")) for one in said if isinstance(one, dict)), None),
        "annotator": text_or_none(details.get("created_by")),
        "timestamp": details.get("updated_at") or details.get("created_at"),
        "seconds": number_or_none(performance.get("seconds_to_create")),
    }


def _class(answer: Any, where: str) -> str:
    name = text_or_none(answer.get("name") or answer.get("value")) if isinstance(answer, dict) else None
    if name is None:
        raise DataError(f"{where}: an answer has no name")
    return name
