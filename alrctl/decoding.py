"""A whole collection read, and decoded into its pack: in parallel, each image to its place, gone on with after a kill.

While it is decoded, the pack lies in the stage's hidden folder, and beside it `decoded.jsonl`: a line for each part of
the images that is in the pack and safely on the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from alrctl import files, workers
from alrctl.image_pack import PACK, header, place_of_pixels
from alrctl.images import NoRoomError, decode
from schemas.errors import DataError, plural, shown

if TYPE_CHECKING:  # processes that decode wait for nothing else
    from alrctl.sources.collection import Collection
    from stages.ingest import Fit, IngestConfig
    from stages.report import Report

Given = Path | NDArray[np.generic]
Stamp = tuple[int, int]
"""Bytes of a file, and when it was last written (ns since 1970)."""

_JOURNAL = "decoded.jsonl"
_AT_MOST = 256  # images of a part
_LOOKED_AT = 512  # images of a part that is not decoded
_BYTES = 1 << 24  # of the files of a part
_PIXELS = 1 << 25  # bytes of a part's images decoded
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


@dataclass(frozen=True)
class Contents:
    """What tells the images of a collection from others.

    Attributes:
        digests: (N,) sha256 of each.
        stamps: (N,) of each file; empty where they are none.
    """

    digests: list[str]
    stamps: list[Stamp]


def look_through(found: Collection, pool: Executor, report: Report) -> Contents:
    """Read every image of a collection, without decoding it.

    Raises:
        DataError: a file cannot be read.
    """
    count = found.records.height
    parts = [range(first, min(first + _LOOKED_AT, count)) for first in range(0, count, _LOOKED_AT)]
    if found.are_files:
        looked = workers.results(pool, _look, ((rows, [found.image(row) for row in rows]) for rows in parts))
    else:
        looked = workers.results(pool, lambda rows: (rows, [found.digest(row) for row in rows], []), parts)
    digests, stamps, done = [""] * count, [(0, 0)] * (count if found.are_files else 0), 0
    for rows, told, written in looked:
        digests[rows.start : rows.stop] = told
        if found.are_files:
            stamps[rows.start : rows.stop] = written
        done += len(rows)
        report.progress(done, count, "reading", "images")
    return Contents(digests, stamps)


def _look(part: tuple[range, Sequence[Given]]) -> tuple[range, list[str], list[Stamp]]:
    rows, paths = part[0], [path for path in part[1] if isinstance(path, Path)]
    stamps = [_stamp(path) for path in paths]  # before they are read
    return rows, [files.sha256(path) for path in paths], stamps


@dataclass(frozen=True)
class _Part:
    """Images that one worker decodes in one go, and where they go."""

    first: int
    images: Sequence[Given]
    stamps: Sequence[Stamp]
    pack: Path
    place: int
    size: int
    fit: Fit


@dataclass
class _Done:
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


def write_pack(
    path: Path,
    state: Path,
    images: Sequence[Given],
    stamps: Sequence[Stamp],
    config: IngestConfig,
    pool: Executor,
    report: Report,
) -> PackFacts:
    """Decode all images into one safetensors file, (N, size, size, 3) uint8.

    Args:
        path: of the pack.
        state: folder that is kept when the program is killed, and gone on from.
        images: files or arrays.
        stamps: of each file when it was looked at first; empty for arrays.
        config: size, fit, and whether broken images are left out.
        pool: decodes.
        report: is told how far it is, and what is left out.

    Raises:
        DataError: an image cannot be read and `skip_broken` is off, or none can; or a file was changed meanwhile.
        LostError: a process that decodes was ended; what is decoded is kept.
    """
    try:
        pack = _Unfinished(state, len(images), config.image_size)
        try:
            _decode_rest(pack, images, stamps, config, pool, report)
        finally:
            pack.write_down()
        changed = [name for done in pack.parts() for name in done.changed]
        if changed:
            raise DataError(f"{plural(len(changed), 'image')} changed while taken in (first: {shown(changed[0], 300)})")
        broken = [text for done in pack.parts() for text in done.broken]
        _refuse_broken(broken, len(images) - len(broken), config.skip_broken, report)
        return pack.finish(path)
    except workers.LostError:
        raise
    except Exception:  # a full disk among them: the room is given back
        shutil.rmtree(state, ignore_errors=True)
        raise


def _decode_rest(
    pack: _Unfinished,
    images: Sequence[Given],
    stamps: Sequence[Stamp],
    config: IngestConfig,
    pool: Executor,
    report: Report,
) -> None:
    def part(first: int, last: int) -> _Part:
        size, fit = config.image_size, config.fit
        return _Part(first, images[first:last], stamps[first:last], pack.pack, pack.place, size, fit)

    cuts = _cut(pack.missing(), [size for size, _ in stamps], max(1, _PIXELS // (3 * config.image_size**2)))
    for done in workers.results(pool, _decode_part, (part(*rows) for rows in cuts)):
        for row in done.left:
            _add(done, row, _decode_part(part(row, row + 1)))
        pack.keep(done)
        report.progress(pack.done, len(images), "decoding", "images")


def _cut(gaps: Sequence[tuple[int, int]], sizes: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Give the first row of each part, and the one after its last."""
    for start, end in gaps:
        first, held = start, 0
        for row in range(start, end):
            held += sizes[row] if sizes else 0
            if row + 1 == end or row + 1 - first >= min(most, _AT_MOST) or held >= _BYTES:
                yield first, row + 1
                first, held = row + 1, 0


def _add(done: _Done, row: int, alone: _Done) -> None:
    done.sizes[row - done.first] = alone.sizes[0]
    done.rules = dict(Counter(done.rules) + Counter(alone.rules))
    done.broken += alone.broken
    done.changed += alone.changed


def _decode_part(part: _Part) -> _Done:
    """Decode some images, and write them to their place in the pack."""
    done, rules = _Done(part.first), Counter[str]()
    pixels = np.zeros((len(part.images), part.size, part.size, 3), np.uint8)
    for place, image in enumerate(part.images):
        if isinstance(image, Path) and _stamp(image) != part.stamps[place]:
            done.changed.append(str(image))
            done.sizes.append(None)
            continue
        try:
            found = decode(image, part.size, part.fit)
        except NoRoomError:
            done.left.append(part.first + place)
            done.sizes.append(None)
        except DataError as error:
            done.broken.append(str(error))
            done.sizes.append(None)
        else:
            pixels[place] = found.pixels
            done.sizes.append((found.width, found.height))
            rules.update([found.rule] if found.rule else [])
    with part.pack.open("r+b") as stream:
        stream.seek(part.place + part.first * pixels[0].nbytes)
        stream.write(pixels.data)
    done.rules = dict(rules)
    return done


def _stamp(path: Path) -> Stamp:
    """Return what tells that a file was not written to since; nothing of one that is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0)
    return found.st_size, found.st_mtime_ns


class _Unfinished:
    """A pack that is being written, and the account of what is in it."""

    def __init__(self, state: Path, count: int, size: int) -> None:
        self.pack, self._journal = state / PACK, state / _JOURNAL
        self.place = place_of_pixels(count, size)
        self.done = 0
        self._count, self._size = count, size
        self._new: list[_Done] = []
        self._written = time.monotonic()
        state.mkdir(parents=True, exist_ok=True)
        self._parts = self._read()
        self.done = sum(len(done.sizes) for done in self._parts)
        if not self._parts:
            self._journal.unlink(missing_ok=True)
            with self.pack.open("wb") as stream:
                stream.truncate(self.place + count * size * size * 3)

    def _read(self) -> list[_Done]:
        """Return the parts that a killed run wrote; a line that it broke off is none."""
        whole = self.place + self._count * self._size * self._size * 3
        if not (self._journal.is_file() and self.pack.is_file() and self.pack.stat().st_size == whole):
            return []
        whole_lines, _, broken_off = self._journal.read_text().rpartition("\n")
        try:
            kept = [_Done(**json.loads(line)) for line in whole_lines.splitlines()]
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

    def parts(self) -> list[_Done]:
        """Return what came of all parts so far, in the order of their rows."""
        return sorted((*self._parts, *self._new), key=lambda done: done.first)

    def keep(self, done: _Done) -> None:
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
            stream.writelines(json.dumps(asdict(done)) + "\n" for done in self._new)
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


def _refuse_broken(broken: list[str], readable: int, skip: bool, report: Report) -> None:
    if not broken:
        return
    told = f"{plural(len(broken), 'image')} cannot be read (first: {shown(broken[0], 300)})"
    if not skip or not readable:
        raise DataError(f"{told}; --skip-broken leaves them out")
    report.warn(f"{told}; left out")
