"""What the tests of answers share: files written by other tools, what stands in them, and a way to read them."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from alrctl import answers, naming
from alrctl.answers.found import Found
from schemas.classes import Classes
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.queue import QUEUE
from stages.methods import answer_reading
from stages.methods.answer_reading import Reading, Told
from stages.methods.class_reading import read_map
from stages.methods.sample_names import Names
from stages.relabel import Format, RelabelConfig, RelabelInputs, RelabelOutputs, run
from stages.report import SilentReport

FIXTURES = Path(__file__).parents[2] / "data" / "answers"
TRUTH = json.loads((FIXTURES / "truth.json").read_text(encoding="utf-8"))
CLASSES: tuple[str, ...] = tuple(TRUTH["classes"])
IDS: tuple[str, ...] = tuple(TRUTH["queue"])


@dataclass
class Warned(SilentReport):
    """Keeps the warnings."""

    said: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        self.said.append(text)


@dataclass(frozen=True)
class Taken:
    """A file's answers: as read, and as meant."""

    format: Format
    found: Found
    answers: list[dict[str, Any]]
    facts: Mapping[str, Any]
    warnings: tuple[str, ...]

    @property
    def labels(self) -> list[tuple[str, str | None]]:
        """Sample and class of each answer; None where it names no class."""
        return [(answer["sample_id"], answer["answer"]) for answer in self.answers]


def queue_of(ids: Sequence[str], classes: Sequence[str] = CLASSES) -> pl.DataFrame:
    """A queue of these samples, all given the first class."""
    same = [classes[0]] * len(ids)
    columns = {"rank": range(1, len(ids) + 1), "sample_id": ids, "given_label": same, "suggested_label": same}
    return QUEUE.make(columns)


@dataclass(frozen=True)
class Desk:
    """Eight samples in a queue (or others), and whatever is answered about them."""

    ids: tuple[str, ...] = IDS
    classes: tuple[str, ...] = CLASSES
    sources: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def queue(self) -> pl.DataFrame:
        """All of them, in order."""
        return queue_of(self.ids, self.classes)

    @cached_property
    def names(self) -> Names:
        """What the samples are called, as the command finds it."""
        archived = dict(zip(naming.archive_stems(self.queue), self.ids, strict=True))
        return Names(archived=archived, sources=self.sources, ranks=dict(enumerate(self.ids, 1)))

    def take(self, path: Path, wanted: Format = "auto", map: tuple[str, ...] = ()) -> Taken:
        """Read a file, and what its answers mean."""
        kind, found = answers.read(answers.open_bundle(path), wanted, read_map(map, self.classes), self.classes)
        return self.meant(kind, found, path.name, map)

    def meant(
        self, kind: Format, found: Found, source: str, map: tuple[str, ...] = (), more: Sequence[str] = ()
    ) -> Taken:
        """Say what answers mean."""
        told = Told(Warned())
        reading = Reading(
            source=source,
            word=found.word,
            known=pl.Series([*self.ids, *more], dtype=pl.String),
            names=self.names,
            by_image=found.by_image,
            classes=self.classes,
            words=read_map(map, self.classes).classes,
            indices=found.indices,
            annotator=None,
            kind="vote",
        )
        rows = answer_reading.read(found.answers, reading, told)
        return Taken(kind, found, rows, {**found.facts, **told.facts}, (*found.warnings, *told.report.said))

    def relabel(self, path: Path, config: RelabelConfig | None = None, more: Sequence[str] = ("other",)) -> Any:
        """Read a file and take its answers in, as the command does; `more` are samples that are not in the queue."""
        config = config or RelabelConfig(annotator="ann")
        meaning = read_map(config.map, self.classes)
        bundle = answers.open_bundle(path)
        _, found = answers.read(bundle, config.format, meaning, self.classes)
        inputs = RelabelInputs(
            labels=_labels((*self.ids, *more), self.classes[0]),
            ledger=LEDGER.empty(),
            answers=found.answers,
            queue=self.queue,
            classes=Classes(names=self.classes),
            source_file=path.name,
            source_sha256=bundle.sha256,
            version="1",
            word=found.word,
            by_image=found.by_image,
            indices=found.indices,
            names=self.names,
        )
        outputs: RelabelOutputs = run(config, inputs, Warned())
        return outputs


@cache
def _labels(names: tuple[str, ...], label: str) -> pl.DataFrame:
    return LABELS.make({"sample_id": names, "label": [label] * len(names)})


@pytest.fixture
def desk() -> Desk:
    """The desk of the fixtures: eight samples, four classes."""
    return Desk()


@pytest.fixture
def make_desk() -> Callable[..., Desk]:
    """Make a desk with other samples or classes."""
    return Desk


@pytest.fixture(scope="session")
def truth() -> dict[str, Any]:
    """What stands in each file."""
    return dict(TRUTH["files"])


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write content under a name: text, bytes, JSON, or a list of objects as NDJSON for names that end so."""

    def put(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_bytes(name, content))
        return path

    return put


def _bytes(name: str, content: Any) -> bytes:
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode()
    if name.endswith(".ndjson"):
        return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in content).encode()
    return json.dumps(content, ensure_ascii=False).encode()


@pytest.fixture
def place(tmp_path: Path) -> Callable[[str], Path]:
    """Find a fixture; of a listing of a folder, make the folder, with empty files."""

    def find(name: str) -> Path:
        path = FIXTURES / name
        if not name.endswith(".listing.txt"):
            return path
        folder = tmp_path / os.path.basename(name).removesuffix(".listing.txt")
        for line in path.read_text(encoding="utf-8").splitlines():
            (folder / line).parent.mkdir(parents=True, exist_ok=True)
            (folder / line).touch()
        return folder

    return find


@pytest.fixture
def pack(tmp_path: Path) -> Callable[[str, Iterable[tuple[str, bytes]]], Path]:
    """Write a zip of names and contents."""

    def zipped(name: str, entries: Iterable[tuple[str, bytes]]) -> Path:
        with zipfile.ZipFile(tmp_path / name, "w") as packed:
            for entry, content in entries:
                packed.writestr(entry, content)
        return tmp_path / name

    return zipped
