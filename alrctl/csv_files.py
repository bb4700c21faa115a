"""CSVs as spreadsheets write and open them."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import polars as pl

from alrctl.files import explained_read
from schemas.errors import DataError, plural, shown

_LONGEST_CELL = 1 << 24  # characters: labelling tools export an image within a cell
_MOST_COLUMNS = 1 << 16  # four times what a spreadsheet has; each more takes a millisecond
_QUOTED = re.compile(r"'+[=+\-@\t\r]")
_LINE_END = re.compile(r"[\r\n]")
_ENOUGH = 1 << 20
"""Characters of a CSV that its separator is told by."""
_IN_QUOTES = re.compile(r'"(?:[^"]|"")*"')
_SEPARATOR = re.compile(r"sep=(.)(?:\r\n|\r|\n)")  # spreadsheets' own first line


def read_csv(path: Path) -> pl.DataFrame:
    """Read a CSV as spreadsheets write them, all columns as text, empty cells as null.

    UTF-8 with or without a byte order mark; comma, semicolon or tab; LF or CRLF. A cell that `write_csv` quoted with
    an apostrophe is given back as it was.

    Raises:
        DataError: no header, no row, rows of unequal length, or not UTF-8.
    """
    with explained_read(path, "UTF-8 text"):
        text = path.read_text(encoding="utf-8-sig")
    return parse_csv(text, str(path))[0]


def parse_csv(text: str, source: str) -> tuple[pl.DataFrame, list[int]]:
    """Return a CSV's cells as `read_csv` does, and the number that a spreadsheet gives each row.

    Raises:
        DataError: no header, no row, or rows of unequal length.
    """
    csv.field_size_limit(_LONGEST_CELL)
    told = _SEPARATOR.match(text)
    body = text[told.end() :] if told else text
    stream = io.StringIO(body, newline="")
    try:
        reader = csv.reader(stream, delimiter=told[1] if told else _delimiter(body), strict=True)
        rows = [(number, row) for number, row in enumerate(reader, 2 if told else 1) if any(row)]
    except csv.Error as error:
        raise DataError(f"{source}: is no readable CSV ({error})") from error
    if not rows:
        raise DataError(f"{source}: is empty; a header line with column names is needed")
    header = [name.strip() for name in rows.pop(0)[1]]
    width = max(_filled(row) for row in (header, *(row for _, row in rows)))
    if width < len(header):  # spreadsheets write columns that somebody only clicked into
        header, rows = header[:width], [(number, row[:width]) for number, row in rows]
    if len(header) > _MOST_COLUMNS:
        raise DataError(f"{source}: has {len(header):,} columns; {_MOST_COLUMNS:,} are the most that are read")
    if len(set(header)) < len(header):
        twice = Counter(header).most_common(1)[0][0]
        raise DataError(f"{source}: column '{shown(twice)}' stands twice in the header")
    if not rows:
        raise DataError(f"{source}: has a header and no rows")
    ragged = [number for number, row in rows if len(row) != len(header)]
    if ragged:
        found = plural(len(ragged), "row")
        raise DataError(f"{source}: {found} not as long as the header of {len(header)} (first: row {ragged[0]})")
    columns = {name: [_cell(row[index]) for _, row in rows] for index, name in enumerate(header)}
    return pl.DataFrame(columns, schema={name: pl.String for name in header}), [number for number, _ in rows]


def _filled(row: Sequence[str]) -> int:
    """Return the length of a row without the empty cells at its end."""
    return next((place for place in range(len(row), 0, -1) if row[place - 1]), 0)


def csv_header(text: str) -> list[str]:
    """Return the column names of a CSV, as far as its first line tells them."""
    csv.field_size_limit(_LONGEST_CELL)
    body = text[told.end() :] if (told := _SEPARATOR.match(text)) else text
    try:
        return [name.strip() for name in next(csv.reader([_first_of(body)], delimiter=_delimiter(body)), [])]
    except csv.Error:
        return []


def _delimiter(text: str) -> str:
    """Return the separator that stands most often in the first line, of those that part the next one alike."""
    likely = sorted(",;\t", key=_IN_QUOTES.sub("", _first_of(text)).count, reverse=True)
    return next((one for one in likely if _parts_alike(text[:_ENOUGH], one)), likely[0])


def _parts_alike(text: str, delimiter: str) -> bool:
    """Say whether header and first row have as many cells as each other, and more than one."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = list(islice((row for row in reader if any(row)), 2))
    except csv.Error:
        return False
    return len(rows) > 1 and len(rows[0]) == len(rows[1]) > 1


def _first_of(text: str) -> str:
    """Return the first line that is not empty; lines end as spreadsheets end them: LF, CRLF or CR."""
    start = text.lstrip("\r\n")
    return start[: found.start()] if (found := _LINE_END.search(start)) else start


def _cell(text: str) -> str | None:
    text = text.strip()
    return text[1:] if _QUOTED.match(text) else text or None


def write_csv(frame: pl.DataFrame, path: Path) -> None:
    """Write a CSV that is safe to open in a spreadsheet: a text that begins like a formula is quoted as text."""
    safe = frame.with_columns(pl.col(pl.String).str.replace(r"^('*[=+\-@\t\r])", "'${1}"))
    safe.write_csv(path, include_bom=True)  # without the mark, spreadsheets take UTF-8 for something else
