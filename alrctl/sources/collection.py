"""What every reader of a data set returns."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.errors import DataError, listing, nearest

_COLUMNS = {"sample_id": pl.String, "label": pl.String, "split": pl.String, "group_id": pl.String, "source": pl.String}


@dataclass(frozen=True)
class Collection:
    """The records of a source.

    Attributes:
        records: sample_id, label, split (null if not given), group_id (null if unknown), source; a row a sample.
        classes: names in order.
        image: gives the image of a row, as a path to decode or as an array (H, W[, C]).
        digest: gives the sha256 of a row's content.
        extra_files: other files that were read, for the record.
        notes: what was guessed, in words.
    """

    records: pl.DataFrame
    classes: tuple[str, ...]
    image: Callable[[int], Path | NDArray[np.generic]]
    digest: Callable[[int], str]
    extra_files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = field(default=())


def of_files(
    rows: Sequence[tuple[str, str, str | None, str | None, str]],
    paths: Sequence[Path],
    origin: Path,
    exclude: tuple[str, ...] = (),
    extra_files: tuple[Path, ...] = (),
    notes: tuple[str, ...] = (),
    classes: tuple[str, ...] | None = None,
) -> Collection:
    """Build a collection of image files from rows of (sample_id, label, split, group, source)."""
    records, kept, names = _prepare(rows, origin, exclude, classes)
    files = [paths[index] for index in kept]

    def digest(index: int) -> str:
        from alrctl.files import sha256

        return sha256(files[index])

    return Collection(records, names, lambda index: files[index], digest, extra_files, notes)


def of_arrays(
    rows: Sequence[tuple[str, str, str | None, str | None, str]],
    image: Callable[[int], NDArray[np.generic]],
    origin: Path,
    exclude: tuple[str, ...] = (),
    extra_files: tuple[Path, ...] = (),
    classes: tuple[str, ...] | None = None,
) -> Collection:
    """Build a collection of arrays; `image` takes the row's place in `rows`."""
    records, kept, names = _prepare(rows, origin, exclude, classes)

    def digest(index: int) -> str:
        return hashlib.sha256(np.ascontiguousarray(image(kept[index])).tobytes()).hexdigest()

    return Collection(records, names, lambda index: image(kept[index]), digest, extra_files)


def _prepare(
    rows: Sequence[tuple[str, str, str | None, str | None, str]],
    origin: Path,
    exclude: tuple[str, ...],
    classes: tuple[str, ...] | None,
) -> tuple[pl.DataFrame, list[int], tuple[str, ...]]:
    found = classes or sorted_classes({row[1] for row in rows})
    unknown = [name for name in exclude if name not in found]
    if unknown:
        raise DataError(f"{origin}: no class '{unknown[0]}' to exclude{nearest(unknown[0], found)}")
    names = tuple(name for name in found if name not in exclude)
    kept = [index for index, row in enumerate(rows) if row[1] in names]
    if not kept:
        raise DataError(f"{origin}: holds no labelled image")
    if len(names) < 2:
        raise DataError(f"{origin}: has one class ('{listing(names)}'); two are the least")
    records = pl.DataFrame([rows[index] for index in kept], schema=_COLUMNS, orient="row")
    twice = records.filter(pl.col("sample_id").is_duplicated())
    if twice.height:
        first = twice["sample_id"][0]
        raise DataError(
            f"{origin}: {twice.height} samples share an id with another (first: '{first}'); ids must be unique"
        )
    return records, kept, names


def sorted_classes(names: set[str]) -> tuple[str, ...]:
    """Return class names in order: by number where all are numbers, else by name."""

    def number(name: str) -> float:
        try:
            return float(name)
        except ValueError:
            return math.nan

    if all(math.isfinite(number(name)) for name in names):
        return tuple(sorted(names, key=lambda name: (number(name), name)))
    return tuple(sorted(names))
