"""Matrices with a row and a column a class, as people write them: confusions, costs, transition matrices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from alrctl import csv_files
from schemas.classes import Classes
from schemas.errors import DataError, plural

GIVEN = "given "
"""Before a class's name, the column of a transition matrix as this program writes it."""

ALL = "(all)"
"""The name of the row of all classes, the last one of such a file."""

TRANSITION = "transition.csv"

_ASTRAY = 0.01  # a row of shares rounded to two digits still sums to 1 within it


def read_matrix(path: Path, classes: Classes) -> NDArray[np.float64]:
    """Read a CSV with the classes as columns, and as rows in its first column, in any order; return it (K, K).

    Raises:
        DataError: other classes, or a cell that is no finite number.
    """
    matrix = _square(path, _named(csv_files.read_csv(path)), classes)
    if not np.isfinite(matrix).all():
        raise DataError(f"{path}: holds a cell that is empty or no finite number")
    return matrix


@dataclass(frozen=True)
class Transition:
    """A transition matrix from a file.

    Attributes:
        matrix: (K, K) rows true, columns given, each row sums to 1; nan where the file says nothing of a class.
        of_counts: whether the file held counts.
    """

    matrix: NDArray[np.float64]
    of_counts: bool


def read_transition(path: Path, classes: Classes) -> Transition:
    """Read a transition matrix: a CSV as `read_matrix` takes it, or as `corrupt` and `noisy-ids` write theirs.

    Whole numbers of which a row sums to more than 1 can be no shares, and are taken as counts. The row of a class may
    be empty (of counts: all 0).

    Raises:
        DataError: other classes, a cell that is no share or count, or rows that do not sum to 1.
    """
    table = csv_files.read_csv(path)
    named = _without_rates(table, classes) or _named(table)
    matrix = _square(path, named, classes)
    empty = np.asarray(np.isnan(matrix).all(axis=1))
    told = matrix[~empty]
    if not np.isfinite(told).all():
        raise DataError(f"{path}: holds a cell that is empty or no finite number, in a row that has others")
    if not len(told) or (told < 0).any():
        raise DataError(f"{path}: {'all rows are empty' if not len(told) else 'holds a number below 0'}")
    sums = matrix.sum(axis=1)
    of_counts = bool((told == np.round(told)).all() and (sums[~empty] > 1).any())
    if of_counts:
        matrix[sums == 0] = np.nan
    else:
        _check_sums(path, sums, empty, classes)
    return Transition(matrix / matrix.sum(axis=1, keepdims=True), of_counts)


def _check_sums(path: Path, sums: NDArray[np.float64], empty: NDArray[np.bool_], classes: Classes) -> None:
    bad = np.flatnonzero(~empty & ~(np.abs(sums - 1) <= _ASTRAY + 1e-9))
    if len(bad):
        first = f"'{classes.names[bad[0]]}', which sums to {sums[bad[0]]:.4g}"
        found = plural(len(bad), "row")
        raise DataError(f"{path}: {found} with a sum that is not 1, give or take {_ASTRAY} (first: {first})")


@dataclass(frozen=True)
class _Named:
    """The cells of a matrix: the name of each row, and each column by its name."""

    rows: list[str]
    columns: dict[str, pl.Series]


def _named(table: pl.DataFrame) -> _Named:
    rows = ["" if row is None else str(row) for row in table[table.columns[0]].to_list()]
    return _Named(rows, {name: table[name] for name in table.columns[1:]})


def _without_rates(table: pl.DataFrame, classes: Classes) -> _Named | None:
    """Return the classes' rows and columns alone of a table that this program wrote; None of any other."""
    own = {f"{GIVEN}{name}".strip(): name for name in classes.names}
    if not own.keys() <= set(table.columns[1:]):
        return None
    has_all = table.height == len(classes) + 1 and table[table.columns[0]][-1] == ALL
    kept = table[: len(classes)] if has_all else table
    return _Named(_named(kept).rows, {name: kept[column] for column, name in own.items()})


def _square(path: Path, named: _Named, classes: Classes) -> NDArray[np.float64]:
    """Return the matrix, (K, K), rows and columns as the classes stand, nan for an empty cell.

    Raises:
        DataError: other classes, or a cell that is no number.
    """
    for told, kind in ((named.columns, "columns"), (named.rows, "rows")):
        if sorted(told) != sorted(classes.names):
            raise DataError(f"{path}: {kind} must be the classes, each once: {', '.join(classes.names)}")
    order = [named.rows.index(name) for name in classes.names]
    try:
        columns = [named.columns[name].cast(pl.Float64).to_numpy() for name in classes.names]
    except pl.exceptions.InvalidOperationError as error:
        raise DataError(f"{path}: holds a cell that is no number") from error
    return np.asarray(np.stack(columns, axis=1)[order], dtype=np.float64)
