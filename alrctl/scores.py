"""Reading some columns of a table of scores, held to what no column shows by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from alrctl import table_files
from schemas.classes import Classes
from schemas.errors import DataError, MismatchError, plural
from schemas.posteriors import sums_to_one
from schemas.scores import SCORES


def read_scores(path: Path, names: Sequence[str], classes: Classes | None, classes_path: Path | None) -> pl.DataFrame:
    """Read columns of scores, of which `sample_id` and `given_label` must be two.

    Args:
        path: of the table.
        names: of the columns.
        classes: of the data set; None where unknown.
        classes_path: where they stand, for messages.

    Raises:
        DataError: not readable, against the contract, ids stand twice, a label is no class, or posteriors are no
            distributions.
        MismatchError: posteriors are of another number of classes.
    """
    table = table_files.read_columns(path, SCORES, names)
    _check_unique(table, path)
    if classes is not None and not set(table["given_label"].unique()) <= set(classes.names):
        classes.indices(table["given_label"].to_list(), str(path), "given_label")  # says which is none, and where
    for column in (name for name in ("posterior", "true_posterior") if name in names):
        _check_posteriors(table, column, path, classes, classes_path)
    return table


def _check_unique(table: pl.DataFrame, path: Path) -> None:
    ids = table["sample_id"]
    if ids.is_sorted():  # quick at any size
        repeated = bool((ids == ids.shift()).any())
    else:
        repeated = ids.n_unique() < len(ids)
    if repeated:
        twice = table.with_row_index("row", offset=1).filter(pl.col("sample_id").is_duplicated())
        first = f"(first: row {twice['row'][0]}, '{twice['sample_id'][0]}')"
        raise DataError(f"{path}: column 'sample_id' has {twice.height:,} rows repeated (it must be unique) {first}")


def _check_posteriors(
    table: pl.DataFrame, column: str, path: Path, classes: Classes | None, classes_path: Path | None
) -> None:
    """Hold each list to the classes' number and to the sum of 1, where there is one."""
    rows = table.select(column, row=pl.int_range(1, pl.len() + 1)).drop_nulls(column)
    if rows.is_empty():
        return
    length = rows[column].list.len()
    wanted = len(classes) if classes is not None else length[0]
    other = (length != wanted).arg_true()
    if len(other):
        first = f"(first: row {rows['row'][int(other[0])]}, with {length[int(other[0])]})"
        of = f"of the {wanted} classes of {classes_path}" if classes is not None else f"as long as the first, {wanted}"
        mend = "; give the data set that was scored with --data" if classes is not None else ""
        raise MismatchError(f"{path}: column '{column}' has {plural(len(other), 'list')} not {of} {first}{mend}")
    astray = rows.filter(~sums_to_one(column))["row"]
    if len(astray):
        what = "list that does" if len(astray) == 1 else "lists that do"
        raise DataError(f"{path}: column '{column}' has {len(astray):,} {what} not sum to 1 (first: row {astray[0]})")
