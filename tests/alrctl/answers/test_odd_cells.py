"""Cells and files that no sane tool writes: one clear line, soon, or the answer without the odd part."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from schemas.errors import AlrctlError

FLAT = {"annotation_id": 1, "annotator": "ann", "created_at": None, "updated_at": None, "sample_id": "007"}
ONE = '[{"annotation_id": 1, "sample_id": "007", "label": "naevus", "lead_time": "?"}]'
BIG = 4_000_000
SOON = 20.0  # seconds, on a busy machine; what is wrong here takes minutes or for ever


def told(desk: Any, path: Any, **more: Any) -> str:
    with pytest.raises(AlrctlError) as refused:
        desk.take(path, **more)
    text = str(refused.value)
    assert "\n" not in text and "Traceback" not in text and len(text) < 1000, text[:300]
    return text


@pytest.mark.parametrize("seconds", ["nan", "NaN", "inf", "-inf", "-1", "1e999", "9" * 400, "abc", "1,2,3"])
def test_seconds_that_are_none_are_refused_in_a_csv(seconds: str, desk: Any, write: Any) -> None:
    path = write("a.csv", f'sample_id,label,seconds\n007,naevus,"{seconds}"\n')
    assert "column 'seconds'" in told(desk, path)


@pytest.mark.parametrize("seconds", ["-1", "1e999", "9" * 400, '"nan"', '"-inf"', "true", "[]", "null", '"x"'])
def test_seconds_that_are_none_are_left_out_of_an_export(seconds: str, desk: Any, write: Any) -> None:
    text = ONE.replace('"?"', seconds)
    taken = desk.take(write("a.json", text))
    assert [(row["sample_id"], row["answer"], row["seconds"]) for row in taken.answers] == [("007", "naevus", None)]


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_json_with_numbers_that_json_does_not_have_is_refused(word: str, desk: Any, write: Any) -> None:
    path = write("a.json", ONE.replace('"?"', word))
    assert "is no readable JSON" in told(desk, path)


@pytest.mark.parametrize("key", ["sample_id", "label", "annotator", "comment", "an unused key"])
def test_half_a_letter_is_refused(key: str, desk: Any, write: Any) -> None:
    text = '[{"annotation_id": 1, "sample_id": "007", "label": "naevus", "KEY": "x\\ud800"}]'.replace("KEY", key)
    assert "holds half a letter" in told(desk, write("a.json", text))


def test_both_halves_of_a_letter_are_a_letter(make_desk: Any, write: Any) -> None:
    text = '[{"annotation_id": 1, "sample_id": "\\ud83d\\ude00", "label": "naevus", "annotator": "a"}]'
    assert make_desk(ids=("😀",)).take(write("a.json", text)).labels == [("😀", "naevus")]


@pytest.mark.parametrize("letter", ["\u2028", "\u2029", "\x85", "\u00a0"])
def test_what_unicode_counts_as_a_line_end_stands_in_a_line_of_ndjson(letter: str, desk: Any, write: Any) -> None:
    text = {"name": "comment", "text_answer": {"content": f"one{letter}two"}}
    radio = {"name": "Diagnosis", "radio_answer": {"name": "naevus"}}
    label = {"annotations": {"classifications": [radio, text]}}
    rows = [
        {"data_row": {"id": "a", "global_key": name}, "projects": {"p": {"labels": [label]}}} for name in ("007", "1e5")
    ]
    taken = desk.take(write("a.ndjson", rows))
    assert [(row["sample_id"], row["comment"]) for row in taken.answers] == [
        ("007", f"one{letter}two"),
        ("1e5", f"one{letter}two"),
    ]


@pytest.mark.parametrize("letter", ["\u2028", "\x0c", "\x1c", "\x85"])
def test_no_odd_letter_in_a_class_list_moves_the_classes_after_it(letter: str, desk: Any, pack: Any) -> None:
    lists = [("train.txt", b"007.png 2\n"), ("synsets.txt", f"odd{letter}one\nnaevus\nmelanoma\n".encode())]
    assert desk.take(pack("a.zip", lists)).labels == [("007", "melanoma")]


@pytest.mark.parametrize("digits", [3, 400, 5000])
def test_an_index_of_many_digits_is_beyond_the_classes(digits: int, desk: Any, pack: Any) -> None:
    lists = [("train.txt", b"007.png " + b"9" * digits), ("synsets.txt", b"naevus\nmelanoma\n")]
    assert "synsets.txt has 2 classes, counted from 0" in told(desk, pack("a.zip", lists))


@pytest.mark.parametrize("label", ["9" * 400, "-1", "1.5", "4", "1e0", "٣", "²"])
def test_a_number_that_is_no_index_is_no_class(label: str, desk: Any, write: Any) -> None:
    assert "is no class" in told(desk, write("a.csv", f"sample_id,label\n007,{label}\n"))


@pytest.mark.parametrize(
    "content",
    [
        b"sample_id,label\n007,nae\0vus\n",
        b"\0",
        b"[\0]",
        b"<annotations>\0</annotations>",
        b"sample_id,label\n\0007,naevus\n",
    ],
)
def test_null_characters_are_refused(content: bytes, desk: Any, write: Any) -> None:
    told(desk, write("a.csv", content))


@pytest.mark.parametrize("name", ["line one\nline two", "a\rb", "a\x1b[31mb", "x" * 5000, "a\u2028b", "a\u202eb"])
def test_a_name_that_would_spoil_a_message_is_written_otherwise(name: str, desk: Any, write: Any) -> None:
    for key in ("sample_id", "label"):
        text = told(desk, write("a.json", [FLAT | {"label": "naevus"} | {key: name}]))
        assert text.isprintable() and len(text) < 400
    header = told(desk, write("b.csv", f'"{name}",label\n1,2\n'))
    assert header.isprintable() and len(header) < 600


def test_choices_without_end_are_refused(desk: Any, write: Any) -> None:
    endless = '{"choices":' * 100_000
    assert "a list of choices is no JSON" in told(desk, write("a.json", [FLAT | {"label": endless}]))


@pytest.mark.parametrize("key", ["label", "comment"])
def test_half_a_letter_within_a_cell_is_no_text(key: str, desk: Any, write: Any) -> None:
    cell = {"label": r'{"choices": ["a\ud800b"]}', "comment": r'{"text": "a\ud800b"}'}[key]
    path = write("a.json", [FLAT | {"label": "naevus"} | {key: cell}])
    assert f"'{key}' of answer 1 is 'a\\ud800b', which is of the wrong kind" in told(desk, path)


Hostile = Callable[[], bytes]
HOSTILE: dict[str, Hostile] = {
    "brackets": lambda: b"[" * BIG,
    "braces": lambda: b'{"a":' * (BIG // 5),
    "brackets in lines": lambda: b"[\n" * (BIG // 2),
    "elements": lambda: b"<annotations>" + b"<a>" * 300_000,
    "closed elements": lambda: b"<annotations>" + b"<a>" * 200_000 + b"</a>" * 200_000 + b"<image/></annotations>",
    "quotes": lambda: b"sample_id,label\n" + b'"' * BIG,
    "commas": lambda: b"sample_id,label\n" + b"," * BIG,
    "empty columns": lambda: b"sample_id,label" + b"," * 100_000 + b"\n007,other" + b"," * 100_000 + b"\n",
    "columns": lambda: b"sample_id,label," + b",".join(b"c%d" % n for n in range(20_000)) + b"\n",
    "a long id": lambda: b"sample_id,label\n" + b"x" * BIG + b",naevus\n",
    "a long class": lambda: b"sample_id,label\n007," + b"x" * BIG + b"\n",
    "a cell beyond all": lambda: b"sample_id,label\n007," + b"x" * 17_000_000 + b"\n",
    "a header beyond all": lambda: b"x" * 17_000_000,
    "a long number": lambda: b"[" + b"9" * 1_000_000 + b"]",
    "a long key": lambda: b'[{"' + b"k" * BIG + b'": 1}]',
    "lines": lambda: b"\n" * BIG,
    "returns": lambda: b"\r" * BIG,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_soon(name: str, desk: Any, write: Any) -> None:
    path = write("answers", HOSTILE[name]())
    start = time.perf_counter()
    told(desk, path)
    assert time.perf_counter() - start < SOON


@pytest.mark.parametrize("line", [b"1 " * 500_000 + b"x", b"007.png" + b" 0" * 500_000])
def test_a_line_of_many_numbers_is_read_soon(line: bytes, desk: Any, pack: Any) -> None:
    start = time.perf_counter()
    taken = desk.take(pack("a.zip", [("train.txt", line), ("synsets.txt", b"naevus\n")]))
    assert taken.labels == ([("007", "naevus")] if line.startswith(b"007") else [])
    assert time.perf_counter() - start < SOON


def test_a_very_long_comment_is_taken(desk: Any, write: Any) -> None:
    taken = desk.take(write("a.csv", "sample_id,label,comment\n007,naevus," + "x" * BIG + "\n"))
    assert len(taken.answers[0]["comment"]) == BIG
