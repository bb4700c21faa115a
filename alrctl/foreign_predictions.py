"""Predictions of another program: a table with a column a class, with a list `posterior`, or with the classes said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import softmax

from alrctl import table_files
from alrctl.dataset import DataSet
from schemas.classes import unknown_class_message
from schemas.errors import DataError, MismatchError, listing, plural
from stages.methods.predictions import Floats, Ints, Predictions

_SAID = "predicted_label"
_ROW = "__row"
_ASTRAY = 1e-3


def read_predictions(path: Path, data: DataSet, rows: NDArray[np.int64], label: Ints, logits: bool) -> Predictions:
    """Read predictions of the samples of `rows`; others of the data set are left out.

    Args:
        path: CSV or parquet with `sample_id`, and either all classes as columns, `posterior`, or `predicted_label`.
        data: the data set.
        rows: (N,) of the samples judged.
        label: (N,) their references.
        logits: whether the numbers are logits.

    Raises:
        DataError: not readable, or no predictions.
        MismatchError: samples or classes of another data set, or samples without a prediction.
    """
    table = table_files.read_any(path)
    if "sample_id" not in table.columns:
        raise DataError(f"{path}: column 'sample_id' missing (found: {listing(table.columns)})")
    table = table.with_columns(table_files.as_text(table["sample_id"], path)).with_row_index(
        _ROW, offset=_first_row(path)
    )
    if table["sample_id"].n_unique() < table.height:
        twice = table.filter(pl.col("sample_id").is_duplicated())
        first = f"first: row {twice[_ROW][0]}, '{twice['sample_id'][0]}'"
        raise DataError(f"{path}: {plural(twice.height, 'row')} with a sample_id that stands twice ({first})")
    aligned = data.aligned(table, path, rows)
    posterior = _posterior(aligned, path, data.classes.names, logits)
    if posterior is not None:
        return Predictions(label, posterior)
    if _SAID not in table.columns:
        raise DataError(
            f"{path}: holds no predictions: a column for each class ({listing(data.classes.names)}), a column "
            f"'posterior' of lists, or a column '{_SAID}' is needed (found: {listing(table.columns[1:])})"
        )
    return Predictions(label, None, _said(aligned, path, data.classes.names), len(data.classes))


def _said(table: pl.DataFrame, path: Path, names: tuple[str, ...]) -> Ints:
    """Return the index of each class said, (N,)."""
    told = table_files.as_text(table[_SAID], path).fill_null("")
    found = told.replace_strict(names, range(len(names)), default=None, return_dtype=pl.Int64)
    bad = found.is_null()
    if bad.any():
        unknown = list(zip(table[_ROW].filter(bad), told.filter(bad), strict=True))
        raise DataError(unknown_class_message(str(path), _SAID, unknown, names, 0))
    return found.to_numpy()


def _first_row(path: Path) -> int:
    return 2 if table_files.is_text(path) else 1


def _posterior(table: pl.DataFrame, path: Path, names: tuple[str, ...], logits: bool) -> Floats | None:
    """Return the posteriors, (N, K); None where the table has none."""
    if "posterior" in table.columns and (_SAID not in table.columns or table["posterior"].is_not_null().any()):
        found = _lists(table["posterior"], path, len(names))
    else:
        there = {column.strip().casefold(): column for column in table.columns}
        there |= {column: column for column in table.columns}  # classes may differ in case alone
        columns = [there.get(name, there.get(name.casefold())) for name in names]
        if None in columns:
            absent = [name for name, column in zip(names, columns, strict=True) if column is None]
            if len(absent) < len(names):
                raise MismatchError(f"{path}: has columns for some classes and none for {listing(absent)}")
            return None
        found = _numbers(table[names_ := [str(column) for column in columns]], path, names_)
    if not logits:
        return _as_distributions(found, table["sample_id"], path)
    bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(bad):
        first = f"first: '{table['sample_id'][int(bad[0])]}'"
        raise DataError(f"{path}: {plural(len(bad), 'row')} with an empty cell or no finite number ({first})")
    return np.asarray(softmax(found, axis=1))


def _lists(column: pl.Series, path: Path, classes: int) -> Floats:
    if not isinstance(column.dtype, pl.List | pl.Array):
        raise DataError(f"{path}: column 'posterior' holds no lists; give a column a class instead")
    if not column.dtype.inner.is_numeric():
        raise DataError(f"{path}: column 'posterior' holds lists of something else than numbers")
    length = column.cast(pl.List(pl.Float64)).list.len()
    if not (length.fill_null(0) == classes).all():  # a list that is not there would move those after it
        other = length.filter(length.is_null() | (length != classes))[0]
        raise MismatchError(f"{path}: column 'posterior' has lists of {other}; the data set has {classes} classes")
    return column.explode().cast(pl.Float64).fill_null(float("nan")).to_numpy().reshape(-1, classes)


def _numbers(table: pl.DataFrame, path: Path, names: list[str]) -> Floats:
    columns = []
    for name in names:
        column = table[name]
        if column.dtype.is_nested() or column.dtype == pl.Binary:
            raise DataError(f"{path}: column '{name}' holds {column.dtype}, and no numbers")
        if column.dtype == pl.String:
            column = column.str.replace(",", ".", literal=True)
        found = column.cast(pl.Float64, strict=False)
        bad = (found.is_null() & column.is_not_null()).arg_true()
        if len(bad):
            raise DataError(f"{path}: column '{name}' holds '{column[int(bad[0])]}', which is no number")
        columns.append(found.fill_null(float("nan")).to_numpy())
    return np.stack(columns, axis=1).astype(np.float64)


def _as_distributions(found: Floats, ids: pl.Series, path: Path) -> Floats:
    total = found.sum(axis=1)
    bad = ~np.isfinite(found).all(axis=1) | (found < 0).any(axis=1) | (np.abs(total - 1) > _ASTRAY)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        told = "has an empty cell" if not np.isfinite(total[first]) else f"sums to {total[first]:.3g}"
        if (found[first] < 0).any():
            told = f"holds {found[first].min():.3g}"
        raise DataError(
            f"{path}: {plural(int(bad.sum()), 'row')} with numbers that are no probabilities "
            f"(first: '{ids[first]}', which {told}); --logits takes what a softmax is still to be taken of"
        )
    return np.asarray(found / total[:, None])
