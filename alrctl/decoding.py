"""A whole collection read, and decoded into its pack: in parallel, each image to its place."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alrctl import files, workers
from alrctl.files import Stamp
from alrctl.images import Decoded, NoRoomError, decode
from alrctl.unfinished_pack import PackFacts, PartDone, UnfinishedPack
from schemas.errors import DataError, plural, shown

if TYPE_CHECKING:  # processes that decode wait for nothing else
    from alrctl.sources.collection import Collection
    from stages.ingest import Fit, IngestConfig
    from stages.report import Report

Given = Path | str | NDArray[np.generic]

_AT_MOST = 512  # images of a part
_LOOKED_AT = 1024  # images of a part that is not decoded
_BYTES = 1 << 24  # of the files of a part
_PIXELS = 1 << 25  # bytes of a part's images decoded


@dataclass(frozen=True)
class Contents:
    """What tells the images of a collection from others.

    Attributes:
        digests: (N,) sha256 of each; of a file that cannot be read, one that no other has.
        stamps: (N,) of each file; empty where they are none.
    """

    digests: list[str]
    stamps: list[Stamp]


def look_through(found: Collection, skip_broken: bool, pool: Executor, report: Report) -> Contents:
    """Read every image of a collection, without decoding it.

    Args:
        found: the collection.
        skip_broken: go on where a file cannot be read; it is told, and left out, when it is to be decoded.
        pool: reads.
        report: is told how far it is.

    Raises:
        DataError: a file cannot be read, and `skip_broken` is off.
    """
    count = found.records.height
    parts = [range(first, min(first + _LOOKED_AT, count)) for first in range(0, count, _LOOKED_AT)]
    if found.are_files:
        given = ((rows, [found.image(row) for row in rows], skip_broken) for rows in parts)
        looked = workers.results(pool, _look, given)
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


def _look(part: tuple[range, Sequence[Given], bool]) -> tuple[range, list[str], list[Stamp]]:
    rows, paths, skip_broken = part
    places = [(row, path) for row, path in zip(rows, paths, strict=True) if not isinstance(path, np.ndarray)]
    found = [_looked_at(path, row, skip_broken) for row, path in places]
    return rows, [digest for digest, _ in found], [stamp for _, stamp in found]


def _looked_at(path: Path | str, row: int, skip_broken: bool) -> tuple[str, Stamp]:
    try:
        return files.stamped_sha256(path)
    except DataError as error:
        if not skip_broken:
            raise DataError(f"{error}; --skip-broken leaves it out") from error
        return hashlib.sha256(f"unreadable: {row}".encode()).hexdigest(), _stamp(path)


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
        pack = UnfinishedPack(state, len(images), config.image_size)
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
    pack: UnfinishedPack,
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


def _add(done: PartDone, row: int, alone: PartDone) -> None:
    done.sizes[row - done.first] = alone.sizes[0]
    done.rules = dict(Counter(done.rules) + Counter(alone.rules))
    done.broken += alone.broken
    done.changed += alone.changed


def _decode_part(part: _Part) -> PartDone:
    """Decode some images, and write them to their place in the pack."""
    done, rules = PartDone(part.first), Counter[str]()
    pixels = np.zeros((len(part.images), part.size, part.size, 3), np.uint8)
    for place in range(len(part.images)):
        found = _decoded(part, place, done)
        done.sizes.append((found.width, found.height) if found else None)
        if found:
            pixels[place] = found.pixels
            if found.rule:
                rules[found.rule] += 1
    with part.pack.open("r+b") as stream:
        stream.seek(part.place + part.first * pixels[0].nbytes)
        stream.write(pixels.data)
    done.rules = dict(rules)
    return done


def _decoded(part: _Part, place: int, done: PartDone) -> Decoded | None:
    """Decode one image of a part; where that cannot be, note why."""
    image = part.images[place]
    found, problem = None, ""
    try:
        found = decode(image, part.size, part.fit)
    except NoRoomError:
        done.left.append(part.first + place)
        return None
    except DataError as error:
        problem = str(error)
    if not isinstance(image, np.ndarray) and part.stamps[place] != (found.stamp if found else _stamp(image)):
        done.changed.append(str(image))
        return None
    if problem:
        done.broken.append(problem)
    return found


def _stamp(path: Path | str) -> Stamp:
    """Return a file's stamp; that of nothing where it is not there."""
    try:
        return files.stamp(os.stat(path))
    except OSError:
        return (0, 0)


def _refuse_broken(broken: list[str], readable: int, skip: bool, report: Report) -> None:
    if not broken:
        return
    told = f"{plural(len(broken), 'image')} cannot be read (first: {shown(broken[0], 300)})"
    if not skip or not readable:
        raise DataError(f"{told}; --skip-broken leaves them out")
    report.warn(f"{told}; left out")
