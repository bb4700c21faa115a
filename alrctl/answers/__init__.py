"""Readers of annotators' answers, one module a format; a file's format is told by what it holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from alrctl import csv_files
from alrctl.answers import coco, cvat, imagenet, label_studio, labelbox, plain
from alrctl.answers.bundle import Bundle, beginning, open_bundle
from alrctl.answers.found import Found
from schemas.errors import DataError, NothingToDoError, UsageError, listing
from stages.methods.class_reading import FIELDS, Meaning
from stages.relabel import Format

_HALF_LETTER = re.compile(r"\\u[dD][89a-fA-F]")
KNOWN = (
    "a CSV with the columns sample_id and label, an export of Label Studio (CSV, JSON, JSON-MIN), CVAT for images "
    "(XML), ImageNet (folders or lists), Labelbox (NDJSON) or COCO (JSON with categories of whole images)"
)


_OF_A_TASK = ("sample_id", "label", "comment")
_NAMED: Mapping[Format, Sequence[str]] = {
    "csv": FIELDS,
    "label-studio-csv": _OF_A_TASK,
    "label-studio-json": _OF_A_TASK,
    "label-studio-json-min": _OF_A_TASK,
    "labelbox": ("label", "comment"),
}
"""The parts of an answer that a file of each format may call by names of its own; the other formats have none."""
_AS_THEY_ARE = {
    "annotator": "annotator",
    "completed_by": "annotator",
    "lead_time": "seconds",
    "updated_at": "timestamp",
}
"""What Label Studio always calls so: to name it changes nothing."""


def read(bundle: Bundle, wanted: Format, meaning: Meaning, classes: Sequence[str]) -> tuple[Format, Found]:
    """Read answers of any known format.

    Args:
        bundle: the file, folder or zip.
        wanted: the format, or `auto`.
        meaning: what the user says that names of columns and words mean.
        classes: names in order.

    Returns:
        The format, and the answers.

    Raises:
        DataError: not of the format, or of none.
        UsageError: a column named by `--map` is not there, or is one that the format has by one name alone.
    """
    kind = recognise(bundle) if wanted == "auto" else wanted
    columns, words = meaning.columns, {*classes, *meaning.classes}
    _check_named(kind, columns)
    if kind == "imagenet":
        if not bundle.is_folder or not (imagenet.lists(bundle) or bundle.images):
            raise DataError(f"{bundle.path}: is not of the format 'imagenet'")
        return kind, imagenet.read_lists(bundle) if imagenet.lists(bundle) else imagenet.read_folders(bundle, words)
    name = _document_of(bundle)
    if kind == "csv":
        return kind, plain.read(bundle, name, columns, classes)
    if kind == "label-studio-csv":
        return kind, label_studio.read_csv(bundle, name, columns)
    if kind == "cvat":
        return kind, cvat.read(bundle, name)
    return kind, _of_json(kind, _parsed(bundle, name), bundle.where(name), columns)


def _check_named(kind: Format, columns: Mapping[str, str]) -> None:
    """Refuse names of what a format calls by one name alone: they would be passed over."""
    named = _NAMED.get(kind, ())
    for theirs, ours in columns.items():
        if not named:
            raise UsageError(f"--map {theirs}={ours}: a file of the format '{kind}' has no columns or keys to be named")
        as_it_is = kind.startswith("label-studio") and _AS_THEY_ARE.get(theirs) == ours
        if ours not in named and not as_it_is:
            told = f"in the format '{kind}', --map can name {listing(named)} alone"
            raise UsageError(f"--map {theirs}={ours}: {told}")


def _of_json(kind: Format, content: Any, where: str, columns: Mapping[str, str]) -> Found:
    tests = {name: test for name, test, _ in _JSON}
    if not tests[kind](content):
        raise DataError(f"{where}: is not of the format '{kind}'")
    if kind == "coco":
        return coco.read(content, where)
    readers = {name: reader for name, _, reader in _JSON if reader is not None}
    return readers[kind](content, where, columns)


_JSON: tuple[tuple[Format, Callable[[Any], bool], Callable[[Any, str, Mapping[str, str]], Found] | None], ...] = (
    ("label-studio-json", label_studio.is_json, label_studio.read_json),
    ("label-studio-json-min", label_studio.is_json_min, label_studio.read_json_min),
    ("labelbox", labelbox.is_rows, labelbox.read),
    ("coco", coco.is_document, None),
)


def recognise(bundle: Bundle) -> Format:
    """Return the format of answers, by what they hold and not by what the file is called.

    Raises:
        DataError: of none that is known.
    """
    if bundle.is_folder and imagenet.lists(bundle):
        return "imagenet"
    if bundle.is_folder and not _documents(bundle):
        if bundle.images:
            return "imagenet"
        raise DataError(f"{bundle.path}: holds no answers; known are {KNOWN}")
    name = _document_of(bundle)
    start = bundle.read(name)[:4096]
    if start.startswith(b"PAR1"):
        return "csv"
    head = beginning(start).lstrip()
    if head.startswith("<"):
        return "cvat"
    if head.startswith(("[", "{")):
        return _of_content(_parsed(bundle, name), bundle.where(name))
    text = bundle.text(name)[0]
    header = csv_files.csv_header(text)
    return "label-studio-csv" if label_studio.is_csv(header) else "csv"


def _of_content(content: Any, where: str) -> Format:
    for kind, test, _ in _JSON:
        if test(content):
            return kind
    raise DataError(f"{where}: is JSON of no known form; known are {KNOWN}")


def _documents(bundle: Bundle) -> list[str]:
    """Return the files of a bundle that may hold answers in a known format."""
    names = bundle.ending_in(".xml", ".json", ".ndjson", ".jsonl", ".csv", ".tsv")
    return [name for name in names if not imagenet.HIDDEN.search(name)]


def _document_of(bundle: Bundle) -> str:
    """Return the one file with answers.

    Raises:
        DataError: there is none, or there are several.
    """
    if not bundle.is_folder:
        return bundle.names[0]
    found = _documents(bundle)
    if len(found) != 1:
        named = f" ({listing(found)})" if found else ""
        raise DataError(
            f"{bundle.path}: holds {len(found)} files that may be answers{named}; name the one that is meant"
        )
    return found[0]


def _parsed(bundle: Bundle, name: str) -> Any:
    """Return a JSON document, or the list of objects of NDJSON.

    Raises:
        DataError: neither.
    """
    text, where = bundle.text(name)[0], bundle.where(name)
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return _lines(text, where, error)
    if isinstance(found, dict) and "data_row" in found:
        return [found]
    if found == []:
        raise NothingToDoError(f"{where}: no answer to take in (it is an empty list)")
    _refuse_half_letters(found, text, where)
    nested = isinstance(found, list) and all(isinstance(one, list) for one in found)
    return [one for inner in found for one in inner] if nested else found  # as Label Studio's converter writes it


def _lines(text: str, where: str, error: Exception) -> list[Any]:
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    found = []
    for number, line in lines:
        try:
            found.append(json.loads(line, parse_constant=_refuse_constant))
        except (ValueError, RecursionError) as broken:
            told = f"line {number}: {broken}" if found else str(error)
            raise DataError(f"{where}: is no readable JSON ({told[:200]})") from broken
    _refuse_half_letters(found, text, where)
    return found


def _refuse_half_letters(content: Any, text: str, where: str) -> None:
    """Refuse what JSON can write and no text can hold: one half of a letter that is written as two."""
    if _HALF_LETTER.search(text):
        try:
            json.dumps(content, ensure_ascii=False).encode()
        except (UnicodeEncodeError, RecursionError) as error:
            raise DataError(f"{where}: holds half a letter (an unpaired \\ud800 to \\udfff)") from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


__all__ = ["Found", "open_bundle", "read", "recognise"]
