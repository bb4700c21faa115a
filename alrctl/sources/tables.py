"""What the readers share whose images are listed in a table: columns, one-hot labels, and images that are not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from alrctl.sources.collection import Collection, Row, Table, images_below, of_files
from schemas.errors import DataError, listing, plural, shown

FIRST_ROW = 2
"""The number a spreadsheet gives the first row below the header."""


@dataclass(frozen=True)
class Part:
    """The images that one table lists.

    Attributes:
        table: that lists them.
        rows: (N,) of the collection.
        paths: (N,) where each image is or should be; None where none of that name was found.
        named: (N,) as the table names them.
        places: (N,) the table's row that names each, from 0.
        also: other tables that were read.
    """

    table: Table
    rows: list[Row]
    paths: list[Path | None]
    named: list[str]
    places: list[int]
    also: tuple[Path, ...] = ()


def joined(parts: Sequence[Part], origin: Path, classes: tuple[str, ...] | None = None) -> Collection:
    """Build one collection of the images of several tables, those that are not there among them.

    Raises:
        DataError: no row.
    """
    paths = [path for part in parts for path in part.paths]
    found = of_files([row for part in parts for row in part.rows], [path or origin for path in paths], origin, classes)
    return replace(
        found,
        records=found.records.with_columns(
            table=pl.Series([place for place, part in enumerate(parts) for _ in part.rows], dtype=pl.Int64),
            named=pl.Series([name for part in parts for name in part.named], dtype=pl.String),
            row=pl.Series([place + FIRST_ROW for part in parts for place in part.places], dtype=pl.Int64),
            there=pl.Series([path is not None and _is_there(path) for path in paths], dtype=pl.Boolean),
        ),
        extra_files=tuple(path for part in parts for path in (part.table.path, *part.also)),
        tables=tuple(part.table for part in parts),
    )


def _is_there(path: Path) -> bool:
    """Say whether a file is there; what no file can be called is not."""
    try:
        return path.exists()
    except OSError:
        return False


def find_table(source: Path, name: str, holds: Callable[[Path], bool] = Path.is_file) -> Path | None:
    """Return the file `name` in a folder, else in a folder directly below it."""
    if not source.is_dir():
        return None
    return next((path for path in [source / name, *sorted(source.glob(f"*/{name}"))] if holds(path)), None)


def check_columns(table: pl.DataFrame, path: Path, needed: Iterable[str]) -> None:
    """Refuse a table that lacks a column.

    Raises:
        DataError: naming all that it lacks.
    """
    missing = [name for name in needed if name not in table.columns]
    if missing:
        found = listing([f"'{name}'" for name in table.columns], 12)
        raise DataError(f"{path}: column {listing(missing)} missing (found: {found})")


def full_column(table: pl.DataFrame, path: Path, column: str) -> list[str]:
    """Return a column's texts.

    Raises:
        DataError: a cell is empty.
    """
    values = table[column].to_list()
    empty = [row for row, value in enumerate(values) if value is None or not value.strip()]
    if empty:
        raise DataError(f"{path}: column '{column}' has {len(empty)} empty cells (first: row {empty[0] + FIRST_ROW})")
    return [str(value) for value in values]


def one_hot(table: pl.DataFrame, path: Path, columns: Sequence[str]) -> list[str]:
    """Return the name of the one column that each row marks with a 1.

    Raises:
        DataError: a row marks none, or several.
    """
    numbers = [table[name].alias("mark").cast(pl.Float64, strict=False).fill_null(0).to_numpy() for name in columns]
    marks = np.stack(numbers, axis=1)  # column by column: polars takes a name like '^a$' for a pattern
    wrong = np.flatnonzero((marks.sum(axis=1) != 1) | ((marks == 1).sum(axis=1) != 1)).tolist()
    if wrong:
        raise DataError(f"{path}: {len(wrong)} rows do not mark exactly one class (first: row {wrong[0] + FIRST_ROW})")
    return [columns[place] for place in marks.argmax(axis=1)]


def by_stem(folder: Path) -> dict[str, Path]:
    """Return the images anywhere below a folder by their name without the suffix; an absent folder holds none.

    Raises:
        DataError: two images differ in the suffix or the folder alone.
    """
    found: dict[str, Path] = {}
    for name in images_below(folder):
        path = folder / name
        if path.stem in found:
            first = found[path.stem].relative_to(folder)
            raise DataError(f"{folder}: image '{path.stem}' is there twice ({first} and {name}); remove one")
        found[path.stem] = path
    return found


def leave_out_absent(found: Collection, skip: bool) -> Collection:
    """Refuse a collection of which images are not there; told to skip them, leave them out, and say and count that.

    Done after the choice of classes: images of a class that is not taken need not be there.

    Raises:
        DataError: some are not there and `skip` is off, or none that a table lists is.
    """
    if not found.tables:
        return found
    told = []
    for place, table in enumerate(found.tables):
        listed = found.records.filter(table=place)
        absent = listed.filter(~pl.col("there"))
        if absent.is_empty():
            continue
        text = _absent(absent, listed.height, table)
        if not skip or absent.height == listed.height:
            raise DataError(f"{text}; {table.mend}" + ("" if skip else ", or leave them out with --skip-broken"))
        told.append(f"{text}; left out")
    there = found.only(np.flatnonzero(found.records["there"].to_numpy()).tolist())
    records = there.records.drop("table", "named", "row", "there")
    return replace(there, records=records, warnings=(*found.warnings, *told), missing=len(found.records) - len(records))


def _absent(absent: pl.DataFrame, total: int, table: Table) -> str:
    first = absent.row(0, named=True)
    verb = "is" if absent.height == 1 else "are"
    return (
        f"{table.path}: column '{table.column}' names {plural(absent.height, 'image')} of {total:,} that {verb} not "
        f"there (first: row {first['row']}, '{shown(first['named'])}')"
    )
