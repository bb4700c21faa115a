"""Label Studio's exports: CSV, JSON and JSON-MIN.

A row, or an entry of `annotations`, is an annotation: the same task twice is two annotators, or a correction. Skipped
annotations are dropped, tasks that nobody annotated say nothing; both are counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from alrctl import csv_files
from alrctl.answers.bundle import Bundle, said
from alrctl.answers.found import Found, Row, number_or_none, one_of, table, text_or_none
from alrctl.naming import CHOICE, COMMENT
from schemas.errors import DataError, UsageError, listing, shown

OWN = ("annotation_id", "annotator", "created_at", "updated_at", "lead_time")  # columns of every export
_SAMPLE = "sample_id"


def is_csv(header: Sequence[str]) -> bool:
    """Say whether a CSV's columns are those of an export."""
    return set(OWN) <= set(header)


def is_json(content: Any) -> bool:
    """Say whether this is a JSON export: tasks with their annotations."""
    return _is_list_of(content, lambda task: isinstance(task.get("annotations"), list) and "data" in task)


def is_json_min(content: Any) -> bool:
    """Say whether this is a JSON-MIN export: flat tasks."""
    return _is_list_of(content, lambda task: "annotation_id" in task and "annotations" not in task)


def _is_list_of(content: Any, test: Any) -> bool:
    return isinstance(content, list) and bool(content) and all(isinstance(one, dict) and test(one) for one in content)


def read_csv(bundle: Bundle, name: str, columns: Mapping[str, str]) -> Found:
    """Read the CSV export (or its TSV).

    Raises:
        DataError: no table, or no column with the samples or the labels.
        UsageError: a column named by `--map` is not there.
    """
    text, encoding = bundle.text(name)
    frame, places = csv_files.parse_csv(text, bundle.where(name))
    if "annotation_id" not in frame.columns:
        raise DataError(f"{bundle.where(name)}: is not of the format 'label-studio-csv'")
    found = _flat(list(frame.iter_rows(named=True)), places, "row", bundle.where(name), columns)
    return replace(found, warnings=(*said(encoding, bundle.where(name)), *found.warnings))


def read_json_min(content: Sequence[Row], where: str, columns: Mapping[str, str]) -> Found:
    """Read the JSON-MIN export.

    Raises:
        DataError: no key with the samples or the labels.
        UsageError: a key named by `--map` is not there.
    """
    return _flat(content, range(1, len(content) + 1), "task", where, columns)


def _flat(rows: Sequence[Row], places: Sequence[int], word: str, where: str, columns: Mapping[str, str]) -> Found:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    if all(row.get("annotation_id") in (None, "") for row in rows):
        return Found(table([], where), word, facts={"never_annotated": len(rows)})  # nor has it the columns of answers
    sample, label = _key(_SAMPLE, keys, columns, where), _key("label", keys, columns, where)
    comment = _optional_key("comment", keys, columns)
    answers, facts = [], {"skipped": 0, "never_annotated": 0}
    for place, row in zip(places, rows, strict=True):
        if row.get("annotation_id") in (None, ""):
            if row.get(label) not in (None, ""):
                raise DataError(
                    f"{where}: '{label}' is a key of the tasks themselves too; export as JSON or CSV instead"
                )
            facts["never_annotated"] += 1
            continue
        answers.append(
            {
                "sample_id": _sample(row.get(sample), sample, word, place, where),
                **one_of(_chosen(row.get(label), where), f"{where}: {word} {place}"),
                "annotator": _person(row.get("annotator")),
                "seconds": _seconds(row.get("lead_time")),
                "timestamp": row.get("updated_at") or row.get("created_at"),
                "comment": None if comment is None else _words(row.get(comment)),
                "place": place,
            }
        )
    return Found(table(answers, where), word, facts=facts)


def _key(ours: str, keys: Sequence[str], columns: Mapping[str, str], where: str) -> str:
    found = _optional_key(ours, keys, columns)
    if found is None:
        listed = listing([f"'{key}'" for key in keys if key not in OWN], 12)
        raise DataError(
            f"{where}: nothing is called '{ours}' (found: {listed}); --map THEIRS={ours} says what it is called"
        )
    return found


def _optional_key(ours: str, keys: Sequence[str], columns: Mapping[str, str]) -> str | None:
    """Return the key that holds `ours`: as the user maps it, else of that name."""
    mapped = [theirs for theirs, name in columns.items() if name == ours]
    if mapped and mapped[0] not in keys:
        raise UsageError(f"--map: nothing in the file is called '{mapped[0]}' (found: {listing(keys, 12)})")
    return mapped[0] if mapped else ours if ours in keys else None


def _sample(value: Any, key: str, word: str, place: int, where: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise DataError(f"{where}: {word} {place} has no text in '{key}'")


def _chosen(value: Any, where: str) -> list[Any]:
    """Return the choices of a flat export: one is a plain text, several are JSON with `choices`."""
    if isinstance(value, str) and value.startswith("{") and '"choices"' in value:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: a list of choices is no JSON ({error})") from error
    if isinstance(value, dict):
        value = value.get("choices", [])
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _person(value: Any) -> str | None:
    """Return who annotated: an e-mail address, or the number of a user."""
    if isinstance(value, dict):
        value = value.get("email") or value.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text_or_none(value)


def _seconds(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return number_or_none(value)


def _words(value: Any) -> str | None:
    """Return a comment: a text, or several, in a flat export as JSON with `text`."""
    if isinstance(value, str) and value.startswith("{") and '"text"' in value:
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, dict):
        value = value.get("text")
    if isinstance(value, list):
        value = "\n".join(text for text in value if isinstance(text, str))
    return text_or_none(value)


def read_json(content: Sequence[Row], where: str, columns: Mapping[str, str]) -> Found:
    """Read the JSON export.

    Raises:
        DataError: tasks or annotations of another form, or several controls of which none is the label's.
        UsageError: a key or control named by `--map` is not there.
    """
    keys = list(dict.fromkeys(key for task in content if isinstance(task["data"], dict) for key in task["data"]))
    sample = _key(_SAMPLE, keys, {k: v for k, v in columns.items() if v == _SAMPLE}, where)
    label = _control(content, "choices", CHOICE, "label", columns, where)
    comment = _control(content, "textarea", COMMENT, "comment", columns, where)
    answers: list[Row] = []
    facts = {"skipped": 0, "never_annotated": 0}
    for place, task in enumerate(content, 1):
        if not isinstance(task["data"], dict):
            raise DataError(f"{where}: task {place} has no data")
        facts["never_annotated"] += not task["annotations"]
        for annotation in task["annotations"]:
            if not isinstance(annotation, dict):
                raise DataError(f"{where}: task {place} has an annotation that is none")
            if annotation.get("was_cancelled"):
                facts["skipped"] += 1
                continue
            name = _sample(task["data"].get(sample), sample, "task", place, where)
            answers.append(_annotation(annotation, label, comment, where, place) | {"sample_id": name, "place": place})
    return Found(table(answers, where), "task", facts=facts)


def _annotation(annotation: Row, label: str | None, comment: str | None, where: str, place: int) -> Row:
    """Return one annotation as an answer."""
    results = list(_results(annotation, where))
    chosen = [name for one in results if str(one.get("from_name")) == label for name in _listed(one, "choices")]
    said = [text for one in results if str(one.get("from_name")) == comment for text in _listed(one, "text")]
    return {
        **one_of(chosen, f"{where}: task {place}"),
        "annotator": _person(annotation.get("completed_by")),
        "seconds": _seconds(annotation.get("lead_time")),
        "timestamp": annotation.get("updated_at") or annotation.get("created_at"),
        "comment": _words(said),
    }


def _results(annotation: Row, where: str) -> Iterator[Row]:
    found = annotation.get("result") or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise DataError(f"{where}: annotation {shown(str(annotation.get('id')))} has no list of results")
    yield from found


def _listed(result: Row, key: str) -> list[Any]:
    value = result.get("value")
    found = value.get(key, []) if isinstance(value, dict) else []
    return found if isinstance(found, list) else [found]


def _control(
    content: Sequence[Row], kind: str, usual: str, ours: str, columns: Mapping[str, str], where: str
) -> str | None:
    """Return the name of the control that holds the label or the comment."""
    names = list(
        dict.fromkeys(
            str(result.get("from_name"))
            for task in content
            for annotation in task["annotations"]
            if isinstance(annotation, dict)
            for result in _results(annotation, where)
            if result.get("type") == kind
        )
    )
    mapped = [theirs for theirs, name in columns.items() if name == ours]
    if mapped:
        if names and mapped[0] not in names:
            raise UsageError(f"--map: no control is called '{mapped[0]}' (found: {listing(map(str, names), 12)})")
        return mapped[0]
    if usual in names or not names:
        return usual
    if len(names) == 1:
        return str(names[0])
    if ours == "label":
        found = listing(map(str, names), 12)
        raise DataError(f"{where}: several controls hold choices ({found}); --map THEIRS=label says which is the label")
    return None
