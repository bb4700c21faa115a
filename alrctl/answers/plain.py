"""Plain CSV or parquet: sample_id, label and, if there, annotator, confidence, unsure, seconds, comment, timestamp."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence

import polars as pl

from alrctl import csv_files, files, parquet_pages
from alrctl.answers.bundle import Bundle, said
from alrctl.answers.found import Found, moment
from alrctl.table_files import as_text
from schemas.answers import ANSWERS, READ_ANSWERS
from schemas.errors import DataError, UsageError, listing, nearest

_DECIMAL_COMMA = re.compile(r"\d+,\d+")
_NUMBERS = ("seconds", "confidence")


def read(bundle: Bundle, name: str, columns: Mapping[str, str], classes: Sequence[str]) -> Found:
    """Read a table of answers.

    Raises:
        DataError: no table, or against the contract.
        UsageError: a column named by `--map` is not there.
    """
    where = bundle.where(name)
    if bundle.read(name)[:4] == b"PAR1":
        content = bundle.read(name)
        with files.explained_read(bundle.path, "parquet"):
            parquet_pages.check_stream(io.BytesIO(content), where)
            written_as = pl.read_parquet_metadata(io.BytesIO(content)).get("alrctl.schema", ANSWERS.name)
            table = pl.read_parquet(io.BytesIO(content))
        if written_as != ANSWERS.name:
            raise DataError(f"{where}: holds the table '{written_as}', which is no expert's answers")
        places = list(range(1, table.height + 1))
        warnings: tuple[str, ...] = ()
    else:
        text, encoding = bundle.text(name)
        table, places = csv_files.parse_csv(text, where)
        _refuse_cut_off(table, text, where, places, classes)
        warnings = said(encoding, where)
    return of_table(table, places, where, columns, warnings)


def of_table(
    table: pl.DataFrame, places: Sequence[int], where: str, columns: Mapping[str, str], warnings: tuple[str, ...]
) -> Found:
    """Hold a table to the contract, whatever its columns are called."""
    named = table.rename(_renaming(table.columns, columns, where))
    for name in _NUMBERS:
        if name in named.columns and named[name].dtype == pl.String:
            named = named.with_columns(_points(named[name]))
    if "label" not in named.columns or "sample_id" not in named.columns:
        _explain_missing(named, where)
    checked = ANSWERS.check(named, where, first_row=places[0] if places else 2)
    times = pl.Series("timestamp", [moment(time) for time in checked["timestamp"]], dtype=pl.String)
    rank = pl.Series([None] * named.height, dtype=pl.String)
    if "rank" in named.columns:
        rank = as_text(named["rank"], where)
    whole = checked.with_columns(
        times, rank.alias("rank"), pl.Series("place", places, dtype=pl.Int64), pl.lit(None, pl.String).alias("problem")
    )
    return Found(READ_ANSWERS.check(whole, where), "row", indices=True, warnings=warnings)


def _renaming(found: Sequence[str], mapped: Mapping[str, str], where: str) -> dict[str, str]:
    """Return our names of the columns: as the user maps them, else as they are, whatever their capitals."""
    absent = [theirs for theirs in mapped if theirs not in found]
    if absent:
        raise UsageError(f"--map: {where} has no column '{absent[0]}'{nearest(absent[0], found)}")
    renaming = dict(mapped)
    ours = set(mapped.values())
    for theirs in found:
        plain = re.sub(r"[\s-]+", "_", theirs.strip().casefold())
        if theirs not in renaming and theirs in ours:
            renaming[theirs] = f"{theirs} (unused)"
        elif theirs not in renaming and plain in _KNOWN and plain not in found and plain not in ours:
            renaming[theirs] = plain
            ours.add(plain)
    return renaming


_KNOWN = (*ANSWERS.schema.column_names(), "rank")


def _points(series: pl.Series) -> pl.Series:
    """Return numbers with a decimal point where a spreadsheet wrote a comma."""
    return pl.Series(
        series.name,
        [text.replace(",", ".") if text is not None and _DECIMAL_COMMA.fullmatch(text) else text for text in series],
        dtype=pl.String,
    )


def _explain_missing(table: pl.DataFrame, where: str) -> None:
    missing = next(name for name in ("sample_id", "label") if name not in table.columns)
    found = listing([f"'{name}'" for name in table.columns], 12)
    guess = nearest(missing, table.columns).replace("did you mean", "is it")
    raise DataError(
        f"{where}: column '{missing}' missing (found: {found}){guess}; "
        f"--map THEIRS={missing} says what the file calls it"
    )


def _refuse_cut_off(table: pl.DataFrame, text: str, where: str, places: Sequence[int], classes: Sequence[str]) -> None:
    """Refuse a text that breaks off within its last cell, if that could be another class cut short."""
    last = table.columns[-1]
    value = table[last][-1]
    if text.endswith(("\n", "\r")) or value is None:
        return
    words = [*classes, *map(str, range(len(classes)))] if value.isdigit() else classes
    longer = [name for name in words if name != value and name.casefold().startswith(value.casefold())]
    if longer and value in words:
        raise DataError(
            f"{where}: ends without a line break after '{value}' (row {places[-1]}), which may be '{longer[0]}' cut "
            "off; add a line break if the file is whole"
        )
