"""A CSV or parquet table with a path and a label column, or a column a class (one-hot)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import polars as pl

from alrctl.csv_files import read_csv
from alrctl.naming import split_name
from alrctl.sources.collection import Collection, Row, Table, sorted_classes
from alrctl.sources.tables import FIRST_ROW, Part, full_column, joined, one_hot
from alrctl.table_files import as_text, read_parquet
from schemas.errors import DataError, listing, nearest
from stages.ingest import IngestConfig

_GUESSES = {
    "path": ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "img"),
    "label": ("label", "class", "target", "dx", "diagnosis", "category", "y"),
    "split": ("split", "subset", "partition", "set"),
    "group": ("group_id", "group", "patient_id", "patient", "lesion_id", "subject_id"),
    "id": ("sample_id", "id"),
}


def recognises(source: Path) -> bool:
    """Say whether `source` is named like a table."""
    return source.is_file() and source.suffix.lower() in {".csv", ".tsv", ".txt", ".parquet"}


def read(source: Path, config: IngestConfig) -> Collection:
    """Read the table; columns are those named, else guessed by their usual names, and the guess is said.

    Raises:
        DataError: a column is missing, a cell is empty, or a split has an unknown name.
    """
    table = _read_table(source)
    path_column = _column(table, source, config.path_column, "path", needed=True)
    split_column = _column(table, source, config.split_column, "split")
    group_column = _column(table, source, config.group_column, "group")
    id_column = _column(table, source, config.id_column, "id")
    used = [name for name in (path_column, split_column, group_column, id_column) if name]
    labels, classes, label_column = _labels(table, source, config, used)
    root = Path(config.root) if config.root else source.parent
    paths_text = full_column(table, source, path_column or "")
    splits = _splits(table, source, split_column)
    groups = table[group_column].to_list() if group_column else [None] * table.height
    names = full_column(table, source, id_column) if id_column else paths_text
    rows: list[Row] = list(zip(names, labels, splits, groups, paths_text, strict=True))
    guessed = {
        "path": path_column,
        "label": label_column,
        "split": split_column,
        "group": group_column,
        "id": id_column,
    }
    note = ", ".join(f"{role} = '{name}'" for role, name in guessed.items() if name)
    told = Table(
        source, path_column or "", f"finish the download (paths start from {root}; --root names another folder)"
    )
    part = Part(told, rows, [root / text for text in paths_text], paths_text, list(range(table.height)))
    return replace(joined([part], source, classes), notes=(f"columns: {note}",))


def _read_table(source: Path) -> pl.DataFrame:
    if source.suffix.lower() != ".parquet":
        return read_csv(source)
    table = read_parquet(source)
    if table.is_empty():
        raise DataError(f"{source}: has no rows")
    texts = []
    for column in table:
        with suppress(DataError):  # embeddings, bytes: nothing that is asked for here
            texts.append(as_text(column, source))
    return pl.DataFrame(texts)


def _column(table: pl.DataFrame, source: Path, given: str | None, role: str, needed: bool = False) -> str | None:
    if given is not None:
        if given not in table.columns:
            raise DataError(f"{source}: has no column '{given}'{nearest(given, table.columns)}")
        return given
    by_fold = {name.lower(): name for name in table.columns}
    found = next((by_fold[guess] for guess in _GUESSES[role] if guess in by_fold), None)
    if found is None and needed:
        columns = listing([f"'{name}'" for name in table.columns], 12)
        raise DataError(f"{source}: the {role} column is missing (found: {columns}); name it with --{role}-column")
    return found


def _labels(
    table: pl.DataFrame, source: Path, config: IngestConfig, used: list[str]
) -> tuple[list[str], tuple[str, ...], str | None]:
    others = [name for name in table.columns if name not in used]
    column = _column(table, source, config.label_column, "label")
    if column is not None:
        labels = full_column(table, source, column)
        return labels, sorted_classes(set(labels)), column
    one_hot_columns = [name for name in others if set(table[name].to_list()) <= {"0", "1", "0.0", "1.0", None}]
    if len(one_hot_columns) < 2:
        columns = listing([f"'{name}'" for name in table.columns], 12)
        raise DataError(f"{source}: the label column is missing (found: {columns}); name it with --label-column")
    labels = one_hot(table, source, one_hot_columns)
    return labels, tuple(name for name in one_hot_columns if name in set(labels)), None


def _splits(table: pl.DataFrame, source: Path, column: str | None) -> list[str | None]:
    if column is None:
        return [None] * table.height
    texts = full_column(table, source, column)
    unknown = [(row, text) for row, text in enumerate(texts) if split_name(text) is None]
    if unknown:
        row, text = unknown[0]
        raise DataError(
            f"{source}: column '{column}' has {len(unknown)} values that are no split "
            f"(first: row {row + FIRST_ROW}, '{text}'); wanted: train, val or test"
        )
    return [split_name(text) for text in texts]
