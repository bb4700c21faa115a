"""Tables as parquet files, held to their contracts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from polars.exceptions import PolarsError

from alrctl import parquet_pages
from alrctl.csv_files import csv_header, read_csv
from alrctl.files import explained_read
from schemas.contract import Contract
from schemas.errors import DataError

_ROW_GROUP = 1 << 18


def is_text(path: Path) -> bool:
    """Say whether a table is a CSV and no parquet: by its name, or where that does not tell by how it begins."""
    suffix = path.suffix.lower()
    if suffix in {".csv", ".tsv", ".txt", ".parquet"}:
        return suffix != ".parquet"
    with explained_read(path, "table"), path.open("rb") as stream:
        return stream.read(4) != b"PAR1"


def read_any(path: Path) -> pl.DataFrame:
    """Read a parquet file or a CSV that is held to no contract.

    Raises:
        DataError: not readable.
    """
    return read_csv(path) if is_text(path) else read_parquet(path)


def columns(path: Path) -> list[str]:
    """Return what a table's columns are called.

    Raises:
        DataError: not readable.
    """
    if is_text(path):
        with explained_read(path, "UTF-8 text"):
            return csv_header(path.read_text(encoding="utf-8-sig"))
    check_parquet(path)
    with explained_read(path, "parquet"):
        return list(pl.read_parquet_schema(path))


def read_table(path: Path, contract: Contract) -> pl.DataFrame:
    """Read a parquet file, or a CSV where the contract is for people, and hold it to its contract.

    Raises:
        DataError: not readable, or against the contract.
    """
    if is_text(path):
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
    as_text = is_text(path)
    if not as_text:
        check_parquet(path)
    with explained_read(path, "CSV" if as_text else "parquet"):
        frame = read_csv(path).lazy() if as_text else pl.scan_parquet(path)
        there = frame.collect_schema().names()
    if not as_text:
        with explained_read(path, "parquet"):
            metadata = pl.read_parquet_metadata(path)
        _check_written_as(metadata, path, contract)
    unknown = [name for name in there if name not in contract.schema.column_names()]
    wanted = [name for name in there if name in names or (name in unknown and not contract.extra)]
    with explained_read(path, "parquet"):
        found = frame.select(wanted).collect()
    return part.check(found, str(path), first_row=2 if as_text else 1)


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


def as_text(column: pl.Series, path: Path | str) -> pl.Series:
    """Return a column of another program's table as text.

    Raises:
        DataError: it holds lists, bytes or whatever else is no text.
    """
    try:
        return column.cast(pl.String)
    except PolarsError as error:
        raise DataError(f"{path}: column '{column.name}' holds {column.dtype}, and no text") from error
