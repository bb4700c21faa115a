"""However an answers' file is spoilt: one clear line, or labels that the whole file gives too; never anything else.

The criterion: every sample whose label changes is one of the queue, and its class, like that of every answer that goes
into the ledger, is one that the file gave this very sample before it was spoilt. Samples and classes have long names
that no change made here turns into one another, so an answer can get lost and never become another.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

from alrctl import answers
from schemas.errors import AlrctlError
from stages.methods.class_reading import Meaning

EACH = 29  # files of a format for each way of breaking them; more for the ways that stand twice in the list
LONGEST = 1000  # characters of a message


HERE = Path(__file__).parent
fuzzing = SimpleNamespace(**runpy.run_path(str(HERE / "fuzzing.py")))
spoiling = SimpleNamespace(**runpy.run_path(str(HERE / "spoiling.py")))


def check_message(error: AlrctlError, about: str) -> None:
    text = str(error)
    assert text and "\n" not in text and "\r" not in text, f"{about}: {text[:300]!r}"
    assert "Traceback" not in text and len(text) <= LONGEST, f"{about}: {len(text)} characters: {text[:300]!r}"


def check_answers(answered: list[tuple[str, str | None]], about: str) -> None:
    for name, label in answered:
        assert label is None or label in fuzzing.GIVEN[name], f"{about}: '{name}' was answered '{label}'"


def check_labels(outputs: Any, before: dict[str, str], about: str) -> None:
    for name, label in outputs.labels.select("sample_id", "label").iter_rows():
        if label != before[name]:
            assert name in fuzzing.ASKED and label in fuzzing.GIVEN[name], f"{about}: '{name}' became '{label}'"
    voted = outputs.ledger.filter(pl.col("answer").is_not_null())
    for name, label in voted.select("sample_id", "answer").iter_rows():
        assert name in fuzzing.ASKED and label in fuzzing.GIVEN[name], f"{about}: '{name}' was answered '{label}'"


class Fuzz:
    """Takes broken files in; the stage itself looks at every third of the readings that it has not seen yet."""

    seen: ClassVar[set[Any]] = set()

    def __init__(self, make_desk: Any, folder: Path) -> None:
        self.desk = make_desk(ids=fuzzing.ASKED, classes=fuzzing.CLASSES)
        self.path = folder / "answers"
        self.before = dict.fromkeys(fuzzing.IDS, fuzzing.CLASSES[0])
        self.ended = {"refused": 0, "taken": 0}

    def take(self, content: bytes, about: str) -> None:
        self.path.write_bytes(content)
        try:
            kind, found = answers.read(answers.open_bundle(self.path), "auto", Meaning(), fuzzing.CLASSES)
            taken = self.desk.meant(kind, found, "answers", more=fuzzing.IDS[10:])
            check_answers(taken.labels, about)
            key = (found.word, *found.answers.select("sample_id", "label", "annotator", "timestamp", "problem").rows())
            is_new = key not in self.seen
            self.seen.add(key)
            if is_new and len(self.seen) % 3 == 0:
                check_labels(self.desk.relabel(self.path, more=fuzzing.IDS[10:]), self.before, about)
        except AlrctlError as error:
            check_message(error, about)
            self.ended["refused"] += 1
        else:
            self.ended["taken"] += 1


@pytest.fixture
def fuzz(make_desk: Any, tmp_path: Path) -> Fuzz:
    return Fuzz(make_desk, tmp_path)


@pytest.mark.parametrize("kind", fuzzing.FORMATS)
def test_a_whole_file_changes_all_that_was_asked(kind: str, fuzz: Fuzz) -> None:
    fuzz.path.write_bytes(fuzzing.spoil(kind, lambda data, rng: data, np.random.default_rng(0)))
    outputs = fuzz.desk.relabel(fuzz.path, more=fuzzing.IDS[10:])
    labels = dict(outputs.labels.select("sample_id", "label").iter_rows())
    wanted = {name: fuzzing.CHOSEN[name][0] for name in fuzzing.ASKED if fuzzing.CHOSEN[name]}
    assert labels == fuzz.before | wanted


EDITS = [
    pytest.param(kind, edit, id=f"{kind}-{edit.__name__}")
    for kind in fuzzing.FORMATS
    for edit in dict.fromkeys(spoiling.BYTES)
    if kind != "imagenet-folders" or edit not in (spoiling.recode, spoiling.replace_all)  # a zip holds no text
]


@pytest.mark.parametrize(("kind", "edit"), EDITS)
def test_no_spoilt_byte_makes_a_wrong_label(kind: str, edit: Any, fuzz: Fuzz) -> None:
    rng = np.random.default_rng(list(fuzzing.FORMATS).index(kind))
    for number in range(EACH * spoiling.BYTES.count(edit)):
        fuzz.take(fuzzing.spoil(kind, edit, rng), f"{kind}, {edit.__name__}, {number}")
    assert sum(fuzz.ended.values()) == EACH * spoiling.BYTES.count(edit)


@pytest.mark.parametrize("kind", ["label-studio-json", "label-studio-json-min", "labelbox", "coco", "cvat"])
def test_no_change_of_structure_makes_a_wrong_label(kind: str, fuzz: Fuzz) -> None:
    rng = np.random.default_rng(3)
    edit = spoiling.edit_xml if kind == "cvat" else spoiling.edit_json
    for number in range(110):
        fuzz.take(fuzzing.spoil(kind, edit, rng), f"{kind}, structure, {number}")
    assert fuzz.ended["refused"] > 5 and fuzz.ended["taken"] > 5
