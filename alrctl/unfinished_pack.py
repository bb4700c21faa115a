"""A pack that is being decoded, and the account of what is in it: gone on with after a kill.

The pack lies in the stage's hidden folder, and beside it `decoded.jsonl`: a line for each part of the images that is
in the pack and safely on the disk.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from alrctl.image_pack import PACK, header, place_of_pixels

_JOURNAL = "decoded.jsonl"
_SECONDS = 5.0  # between two writings of the journal, each of which waits for the disk


@dataclass(frozen=True)
class PackFacts:
    """What decoding found.

    Attributes:
        good: (N,) whether each image could be read.
        sizes: width and height of each good image.
        rules: how many images of each unusual mode were turned into RGB.
    """

    good: list[bool]
    sizes: list[tuple[int, int]]
    rules: dict[str, int]


@dataclass
class PartDone:
    """What came of a part.

    Attributes:
        first: row of its first image.
        sizes: width and height of each image; None where it could not be read.
        rules: how many images of each unusual mode were turned into RGB.
        broken: why images could not be read.
        changed: files that were written to since they were looked at.
        left: rows too large to be decoded beside others; they are still to be done.
    """

    first: int
    sizes: list[tuple[int, int] | None] = field(default_factory=list)
    rules: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    left: list[int] = field(default_factory=list)


class UnfinishedPack:
    """A pack that is being written, and the account of what is in it."""

    def __init__(self, state: Path, count: int, size: int) -> None:
        self.pack, self._journal = state / PACK, state / _JOURNAL
        self.place = place_of_pixels(count, size)
        self.done = 0
        self._count, self._size = count, size
        self._new: list[PartDone] = []
        self._written = time.monotonic()
        state.mkdir(parents=True, exist_ok=True)
        self._parts = self._read()
        self.done = sum(len(done.sizes) for done in self._parts)
        if not self._parts:
            self._journal.unlink(missing_ok=True)
            with self.pack.open("wb") as stream:
                stream.truncate(self.place + count * size * size * 3)

    def _read(self) -> list[PartDone]:
        """Return the parts that a killed run wrote; a line that it broke off is none."""
        whole = self.place + self._count * self._size * self._size * 3
        if not (self._journal.is_file() and self.pack.is_file() and self.pack.stat().st_size == whole):
            return []
        try:
            whole_lines, _, broken_off = self._journal.read_text().rpartition("\n")
            kept = [PartDone(**json.loads(line)) for line in whole_lines.splitlines()]
        except (ValueError, TypeError):  # a power cut spoilt it
            return []
        if broken_off:
            self._journal.write_text(f"{whole_lines}\n" if kept else "")
        return kept

    def missing(self) -> list[tuple[int, int]]:
        """Return the rows to be decoded still, as the first of each gap and the one after its last."""
        gaps, before = [], 0
        for done in self.parts():
            gaps.append((before, done.first))
            before = done.first + len(done.sizes)
        return [(start, end) for start, end in [*gaps, (before, self._count)] if end > start]

    def parts(self) -> list[PartDone]:
        """Return what came of all parts so far, in the order of their rows."""
        return sorted((*self._parts, *self._new), key=lambda done: done.first)

    def keep(self, done: PartDone) -> None:
        """Take a part that is in the pack."""
        self._new.append(done)
        self.done += len(done.sizes)
        if time.monotonic() - self._written > _SECONDS:
            self.write_down()

    def write_down(self) -> None:
        """Note what is in the pack, once it is on the disk."""
        with self.pack.open("rb") as stream:
            os.fsync(stream.fileno())
        with self._journal.open("a") as stream:
            stream.writelines(json.dumps(vars(done)) + "\n" for done in self._new)
            stream.flush()
            os.fsync(stream.fileno())
        self._parts += self._new
        self._new = []
        self._written = time.monotonic()

    def finish(self, path: Path) -> PackFacts:
        """Close the gaps that broken images left, and put the pack in its place."""
        self._journal.unlink()
        parts = self.parts()
        sizes = [size for done in parts for size in done.sizes]
        good = [size is not None for size in sizes]
        with self.pack.open("r+b") as stream:
            if not all(good):
                self._close_up(stream, good)
            stream.seek(0)
            stream.write(header(sum(good), self._size, self.place))
        self.pack.rename(path)
        rules = sum((Counter(done.rules) for done in parts), Counter[str]())
        return PackFacts(good, [(size[0], size[1]) for size in sizes if size is not None], dict(rules))

    def _close_up(self, stream: BinaryIO, good: Sequence[bool]) -> None:
        image = self._size * self._size * 3
        for to, row in enumerate(row for row, is_good in enumerate(good) if is_good):
            if to < row:
                stream.seek(self.place + row * image)
                pixels = stream.read(image)
                stream.seek(self.place + to * image)
                stream.write(pixels)
        stream.truncate(self.place + sum(good) * image)
