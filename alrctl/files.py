"""Reading and writing files: whole or not at all, and never anything that can run code."""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import json
import os
import re
import socket
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import yaml

from alrctl import parquet_pages, safe_yaml
from schemas.contract import Contract
from schemas.errors import AlrctlError, DataError, UsageError, plural, shown

_CHUNK = 1 << 20
_LONGEST_CELL = 1 << 24  # characters: labelling tools export an image within a cell
_MOST_COLUMNS = 1 << 16  # four times what a spreadsheet has; each more takes a millisecond
_LARGEST_YAML = 1 << 20  # bytes: some ten seconds of parsing
_ROW_GROUP = 1 << 18
_QUOTED = re.compile(r"'+[=+\-@\t\r]")
_LINE_END = re.compile(r"[\r\n]")
_ENOUGH = 1 << 20
"""Characters of a CSV that its separator is told by."""
_IN_QUOTES = re.compile(r'"(?:[^"]|"")*"')
_SEPARATOR = re.compile(r"sep=(.)(?:\r\n|\r|\n)")  # spreadsheets' own first line
_HOST = socket.gethostname()
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give a place beside `path` to write to; rename it to `path` when all went well, remove it when not.

    Raises:
        UsageError: the place cannot be written to.
    """
    beside = path.with_name(f".{path.name}.{_HOST}-{os.getpid()}.partial")
    try:
        with explained_write(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _clear_abandoned(path)
            yield beside
            os.replace(beside, path)
    finally:
        with suppress(OSError):
            beside.unlink()


def _clear_abandoned(path: Path) -> None:
    """Remove what runs on this machine that were killed left beside `path`; others may be writing it just now."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{glob.escape(_HOST)}-*.partial"):
        process = left.name.removesuffix(".partial").rpartition("-")[2]
        if process.isdigit() and not _runs(int(process)):
            left.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    if os.name != "posix":
        return True  # elsewhere, asking would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's; or no number of a process
        return True
    return True


@contextmanager
def explained_write(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal to write into one clear line.

    Raises:
        UsageError: the place cannot be written to.
    """
    try:
        yield
    except AlrctlError:
        raise
    except Exception as error:
        reason = _refusal(error)
        if reason is None:
            raise
        raise UsageError(_unwritable(path, reason)) from error


def _refusal(error: Exception) -> str | None:
    """Return the operating system's reason, without the hidden place that libraries name; None for another error."""
    if told := _OS_ERROR.search(str(error)):  # polars and safetensors wrap it
        return os.strerror(int(told[1]))
    if "Invalid thrift: transport error" in str(error):  # so polars words it between a parquet's columns
        return "the disk took no more"
    return error.strerror or str(error) if isinstance(error, OSError) else None


def _unwritable(path: Path, reason: str) -> str:
    return f"{path}: cannot be written ({reason}); make room, or choose another place with -o"


@contextmanager
def explained_read(path: Path, kind: str) -> Iterator[None]:
    """Turn any failure to read into one clear line.

    Raises:
        DataError: the file is not there, would never end (a pipe, a device), or is not a whole `kind` file.
    """
    try:
        if _never_ends(path):
            raise DataError(f"{path}: is a pipe or a device, and no regular file")
        yield
    except AlrctlError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise DataError(f"{path}: is a directory, and no {kind} file") from error
    except (Exception, pl.exceptions.PanicException) as error:  # a panic of polars is no Exception
        raise DataError(f"{path}: is no readable {kind} file ({_first_line(error)})") from error


def _never_ends(path: Path) -> bool:
    with suppress(OSError, ValueError):  # what is not there, or no name, is told by whoever opens it
        mode = os.stat(path).st_mode
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return False


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return shown(text.splitlines()[0], 200) if text else type(error).__name__


def sha256(path: Path) -> str:
    """Return the hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with explained_read(path, "regular"), path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_table(path: Path, contract: Contract) -> pl.DataFrame:
    """Read a parquet file, or a CSV where the contract is for people, and hold it to its contract.

    Raises:
        DataError: not readable, or against the contract.
    """
    if path.suffix.lower() in {".csv", ".tsv", ".txt"}:
        return contract.check(read_csv(path), str(path), first_row=2)
    frame = read_parquet(path)
    with explained_read(path, "parquet"):
        metadata = pl.read_parquet_metadata(path)
    _check_written_as(metadata, path, contract)
    return contract.check(frame, str(path))


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a parquet file, or some of its columns, whoever wrote it.

    Raises:
        DataError: not readable, or with more rows than its bytes can hold.
    """
    check_parquet(path)
    with explained_read(path, "parquet"):
        return pl.read_parquet(path, columns=None if columns is None else list(columns))


def check_parquet(path: Path) -> None:
    """Refuse a parquet file whose headers claim what its bytes cannot hold.

    Raises:
        DataError: they do, or it is not readable.
    """
    with explained_read(path, "parquet"):
        parquet_pages.check(path)


def scan_table(path: Path, contract: Contract) -> pl.LazyFrame:
    """Read a parquet file that may be larger than memory; its columns are held to its contract, its rows are not.

    Raises:
        DataError: not readable, or with other columns.
    """
    check_parquet(path)
    with explained_read(path, "parquet"):
        metadata = pl.read_parquet_metadata(path)
        head = pl.read_parquet(path, n_rows=1)
    _check_written_as(metadata, path, contract)
    contract.check(head, str(path))
    absent = {name: pl.lit(value) for name, value in contract.optional.items() if name not in head.columns}
    return pl.scan_parquet(path).with_columns(**absent)


def read_columns(path: Path, contract: Contract, names: Sequence[str]) -> pl.DataFrame:
    """Read some columns of a table, and hold these to its contract; of parquet, no other is read.

    Raises:
        DataError: not readable, or against the contract.
    """
    part = contract.part(names)
    is_text = path.suffix.lower() in {".csv", ".tsv", ".txt"}
    if not is_text:
        check_parquet(path)
    with explained_read(path, "CSV" if is_text else "parquet"):
        frame = read_csv(path).lazy() if is_text else pl.scan_parquet(path)
        there = frame.collect_schema().names()
    if not is_text:
        with explained_read(path, "parquet"):
            metadata = pl.read_parquet_metadata(path)
        _check_written_as(metadata, path, contract)
    unknown = [name for name in there if name not in contract.schema.column_names()]
    wanted = [name for name in there if name in names or (name in unknown and not contract.extra)]
    with explained_read(path, "parquet"):
        found = frame.select(wanted).collect()
    return part.check(found, str(path), first_row=2 if is_text else 1)


def _check_written_as(metadata: Mapping[str, str], path: Path, contract: Contract) -> None:
    written_as = metadata.get("alrctl.schema", contract.name)
    if written_as != contract.name:
        raise DataError(f"{path}: holds the table '{written_as}', not '{contract.name}'")
    version = metadata.get("alrctl.schema_version", str(contract.version))
    if version != str(contract.version):
        raise DataError(
            f"{path}: version {version} of the table '{contract.name}'; this program reads {contract.version}"
        )


def write_table(frame: pl.DataFrame, path: Path, contract: Contract) -> None:
    """Write a table as parquet with its contract's name and version in the metadata, checked first."""
    checked = contract.check(frame, contract.name)
    checked.write_parquet(path, compression="zstd", statistics=True, metadata=contract.metadata)


def write_tables(frames: Iterable[pl.DataFrame], path: Path, contract: Contract) -> int:
    """Write tables as one parquet file, one after the other, without holding more than one; return the rows written.

    Each is checked by itself; that no key stands in two of them is for the caller to see to.
    """
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        parts, rows = [Path(folder) / "0.parquet"], 0
        contract.empty().write_parquet(parts[0])
        for number, frame in enumerate(frames, 1):
            parts.append(Path(folder) / f"{number}.parquet")
            contract.check(frame, contract.name).write_parquet(parts[-1], compression="lz4")
            rows += frame.height
        pl.scan_parquet(parts).sink_parquet(
            path, compression="zstd", statistics=True, metadata=contract.metadata, row_group_size=_ROW_GROUP
        )
    return rows


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


def read_yaml(path: Path) -> Any:
    """Read YAML with the safe loader, no larger than 1 MiB, and no larger once its aliases are followed."""
    with explained_read(path, "YAML"):
        if (size := path.stat().st_size) > _LARGEST_YAML:
            raise DataError(f"{path}: has {size:,} bytes; YAML of more than {_LARGEST_YAML:,} is not read")
        try:
            return safe_yaml.load(path.read_text(encoding="utf-8"))
        except yaml.MarkedYAMLError as error:
            raise DataError(f"{path}: is no readable YAML file: {_yaml_problem(error)}") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: is not in UTF-8; save it as UTF-8 text") from error


def _yaml_problem(error: yaml.MarkedYAMLError) -> str:
    """Say where YAML breaks off and why, with the mend for the usual mistake."""
    mark = error.problem_mark
    where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    mend = " (indent with blanks, not with tabs)" if error.problem and "'\\t'" in error.problem else ""
    return f"{where}{error.problem}{mend}"


def write_yaml(value: Any, path: Path) -> None:
    """Write YAML in the order given."""
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read one JSON document."""
    with explained_read(path, "JSON"):
        return json.loads(path.read_text(encoding="utf-8"))


def write_json(value: Any, path: Path) -> None:
    """Write one JSON document, indented, with no NaN in it."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
