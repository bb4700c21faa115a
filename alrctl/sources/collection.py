"""What every reader of a data set returns."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from alrctl.files import sha256
from alrctl.naming import IMAGE_SUFFIXES
from schemas.errors import DataError

Row = tuple[str, str, str | None, str | None, str]
"""sample_id, label, split (None if not given), group (None if unknown), source."""

_COLUMNS = {"sample_id": pl.String, "label": pl.String, "split": pl.String, "group_id": pl.String, "source": pl.String}


@dataclass(frozen=True)
class Table:
    """A table that lists images: its place, the column that names them, and what to do where some are not there."""

    path: Path
    column: str
    mend: str


@dataclass(frozen=True)
class Collection:
    """The records of a source.

    Attributes:
        records: sample_id, label, split (null if not given), group_id (null if unknown), source; a row a sample. Of
            images that a table lists also `table` (its place in `tables`), `named` (as there), `row` (as a spreadsheet
            counts) and `there` (whether the image is).
        classes: names in order.
        image: gives the image of a row, as a path to decode or as an array (H, W[, C]).
        digest: gives the sha256 of a row's content.
        extra_files: other files that were read, for the record.
        notes: what was guessed, left aside or found to differ, in words.
        warnings: what a person must know.
        tables: that list images.
        missing: images that a table lists, that are not there, and that were left out.
        ordered: whether the layout itself says that the classes are grades of one scale.
        are_files: whether images are given as paths, so that other processes can read them.
        merged: of each class that was renamed or merged, how many samples it has of which class of the source.
    """

    records: pl.DataFrame
    classes: tuple[str, ...]
    image: Callable[[int], str | NDArray[np.generic]]
    digest: Callable[[int], str]
    extra_files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    missing: int = 0
    ordered: bool = False
    are_files: bool = False
    merged: tuple[tuple[str, dict[str, int]], ...] = ()

    def only(self, rows: Sequence[int]) -> Collection:
        """Return the collection of some rows, in that order."""
        return replace(
            self,
            records=self.records[list(rows)],
            image=lambda row: self.image(rows[row]),
            digest=lambda row: self.digest(rows[row]),
        )


def of_files(
    rows: Sequence[Row], paths: Sequence[Path | str], origin: Path, classes: tuple[str, ...] | None = None
) -> Collection:
    """Build a collection of image files, a path a row; classes are those that occur, sorted, unless given in order.

    Raises:
        DataError: no row.
    """
    records, names = _prepare(rows, origin, classes)
    places = [str(path) for path in paths]  # which are quicker sent to other processes
    return Collection(records, names, lambda row: places[row], lambda row: sha256(places[row]), are_files=True)


def of_arrays(
    rows: Sequence[Row],
    image: Callable[[int], NDArray[np.generic]],
    origin: Path,
    classes: tuple[str, ...] | None = None,
) -> Collection:
    """Build a collection of arrays; `image` takes the row's place in `rows`.

    Raises:
        DataError: no row.
    """
    records, names = _prepare(rows, origin, classes)

    def digest(index: int) -> str:
        return hashlib.sha256(np.ascontiguousarray(image(index)).tobytes()).hexdigest()

    return Collection(records, names, image, digest)


def _prepare(
    rows: Sequence[Row], origin: Path, classes: tuple[str, ...] | None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    if not rows:
        raise DataError(f"{origin}: holds no labelled image")
    return pl.DataFrame(rows, schema=_COLUMNS, orient="row"), classes or sorted_classes({row[1] for row in rows})


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


def is_image(name: str) -> bool:
    """Say whether a file is named like an image; names that begin with a dot are the system's own."""
    _, dot, suffix = name.rpartition(".")
    return f"{dot}{suffix}".lower() in IMAGE_SUFFIXES and not name.startswith(".")


def images_below(folder: Path) -> list[str]:
    """Return the images anywhere below a folder, by their paths from it with `/`, sorted folder by folder.

    Links to folders are not followed; a folder that is not there, or may not be looked into, holds none.
    """
    found = []
    for top, _, names in os.walk(folder):
        inside = Path(top).relative_to(folder).parts
        found += [(*inside, name) for name in names if is_image(name)]
    return ["/".join(parts) for parts in sorted(found)]


def folders_in(path: Path) -> list[Path]:
    """Return the folders directly in a folder, sorted, without the system's own."""
    return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
