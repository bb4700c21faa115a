"""How a table is held to its contract, and how a breach is told to a person."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from schemas.errors import DataError, listing, nearest, plural
from schemas.frames import dy

_RULES = {
    "primary_key": "repeated (it must be unique)",
    "unique": "repeated (it must be unique)",
    "regex": "not of the form that is asked for",
    "nullability": "empty",
    "inner_nullability": "empty inside the list",
    "min_length": "too short or empty",
    "min": "below the least allowed",
    "max": "above the most allowed",
    "inner_min": "below the least allowed",
    "inner_max": "above the most allowed",
    "nan": "NaN",
    "inf": "infinite",
    "inner_nan": "NaN",
    "inner_inf": "infinite",
}


@dataclass(frozen=True)
class Contract:
    """One table's contract: its name, version, columns and rules.

    `optional` holds the columns that another program may leave out, with the value they then take.
    `extra` says whether unknown columns are dropped (files that people fill in) or refused.
    """

    name: str
    version: int
    schema: type[dy.Schema]
    optional: Mapping[str, Any] = field(default_factory=dict)
    extra: bool = False

    @property
    def file_name(self) -> str:
        """The table's usual file name."""
        return f"{self.name}.parquet"

    @property
    def metadata(self) -> dict[str, str]:
        """What a parquet file of this table carries in its metadata."""
        return {"alrctl.schema": self.name, "alrctl.schema_version": str(self.version)}

    def empty(self) -> pl.DataFrame:
        """Return the table without rows."""
        return self.schema.create_empty()

    def part(self, names: Sequence[str]) -> Contract:
        """Return the contract of some columns alone: their types and ranges, without keys and rules across columns."""
        columns: dict[str, Any] = {}
        for name in names:
            columns[name] = copy.copy(self.schema.columns()[name])
            columns[name].primary_key = False
        optional = {name: value for name, value in self.optional.items() if name in columns}
        return replace(self, schema=type(self.schema.__name__, (dy.Schema,), columns), optional=optional)

    def make(self, columns: Mapping[str, Any]) -> pl.DataFrame:
        """Build the table from columns that this program computed, cast and checked."""
        return self.check(pl.DataFrame(columns), self.name)

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        """Build the table from rows that this program computed, cast and checked."""
        return self.check(pl.DataFrame(rows, infer_schema_length=None), self.name) if rows else self.empty()

    def check(self, frame: pl.DataFrame, source: str, first_row: int = 1) -> pl.DataFrame:
        """Return `frame` with the contract's columns, order and dtypes.

        Args:
            frame: rows as read.
            source: the file's name, for messages.
            first_row: the number that a person gives the first row (2 for a CSV with a header).

        Raises:
            DataError: a column is missing or unknown, a value has the wrong type, or a rule is broken.
        """
        frame = self._columns(frame, source)
        frame = self._dtypes(frame, source, first_row)
        kept, failure = self.schema.filter(frame)
        counts = failure.counts()
        if counts:
            raise DataError(self._explain(frame, failure.details(), counts, source, first_row))
        return kept

    def _columns(self, frame: pl.DataFrame, source: str) -> pl.DataFrame:
        names = self.schema.column_names()
        missing = [name for name in names if name not in frame.columns and name not in self.optional]
        hint = f"`alrctl schema {self.name}` lists its columns"
        if missing:
            unknown = [name for name in frame.columns if name not in names]
            guess = nearest(missing[0], unknown).replace("did you mean", "is it")
            found = listing([f"'{name}'" for name in frame.columns], 12) or "none"
            what = "column" if len(missing) == 1 else "columns"
            wanted = listing([f"'{name}'" for name in missing], 12)
            raise DataError(f"{source}: {what} {wanted} missing (found: {found}){guess}; {hint}")
        unknown = [name for name in frame.columns if name not in names]
        if unknown and not self.extra:
            shown = listing([f"'{name}'" for name in unknown])
            raise DataError(f"{source}: {shown} not part of the table '{self.name}'; {hint}")
        absent = {name: value for name, value in self.optional.items() if name not in frame.columns}
        return frame.with_columns(**{name: pl.lit(value) for name, value in absent.items()}).select(names)

    def _dtypes(self, frame: pl.DataFrame, source: str, first_row: int) -> pl.DataFrame:
        done = []
        for name, column in self.schema.columns().items():
            series, dtype = frame[name], column.dtype
            if isinstance(series.dtype, pl.Array):
                series = series.arr.to_list()
            try:
                done.append(_lossless(series, dtype))
            except (PolarsError, ValueError) as error:
                row, value = _first_misfit(series, dtype)
                place = "" if row is None else f" (first: row {row + first_row}, {value!r})"
                raise DataError(f"{source}: column '{name}' does not hold {_words(dtype)}{place}") from error
        return pl.DataFrame(done)

    def _explain(
        self, frame: pl.DataFrame, broken: pl.DataFrame, counts: Mapping[str, int], source: str, first_row: int
    ) -> str:
        breaches = []
        for rule, count in counts.items():
            column, _, kind = rule.rpartition("|")
            sample = broken.filter(pl.col(rule) == "invalid").head(1)
            row = first_row + _position(frame, sample.select(frame.columns))
            if column:
                breaches.append(f"column '{column}' has {plural(count, 'value')} {_said(kind)} (first: row {row})")
            elif rule == "primary_key":
                names = self.schema.primary_key()
                value = ", ".join(repr(sample[name][0]) for name in names)
                columns = "column " + " + ".join(f"'{name}'" for name in names)
                breaches.append(f"{columns} has {plural(count, 'row')} {_said(rule)} (first: row {row}, {value})")
            else:
                verb = "breaks" if count == 1 else "break"
                breaches.append(f"{plural(count, 'row')} {verb} '{rule.replace('_', ' ')}' (first: row {row})")
        return f"{source}: {'; '.join(breaches)}"


def _said(kind: str) -> str:
    return _RULES.get(kind, f"against '{kind.removeprefix('check__').replace('_', ' ')}'")


def _position(frame: pl.DataFrame, sample: pl.DataFrame) -> int:
    """Return the index of the first row of `frame` whose plain columns equal those of the one-row `sample`."""
    plain = [name for name, dtype in frame.schema.items() if not dtype.is_nested()]
    if not plain:
        return 0
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.lit(sample[name][0], frame.schema[name])) for name in plain)
    return int(frame.select(same.arg_max()).item())


def _lossless(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Cast to `dtype`, refusing any value that would change its meaning.

    Raises:
        ValueError: a fraction would be cut off, or a text is no number.
        PolarsError: the cast is impossible.
    """
    if series.dtype == dtype:
        return series
    if dtype == pl.String and series.dtype.is_float():
        raise ValueError("a float is no name")
    if isinstance(dtype, pl.List) and series.dtype.is_numeric():
        raise ValueError("a number is no list")  # older polars make a list of it
    if series.dtype.is_float() and dtype.is_integer() and not (series.drop_nulls() % 1 == 0).all():
        raise ValueError("fractions")
    if series.dtype.is_numeric() and dtype == pl.Boolean and not ((series == 0) | (series == 1)).all():
        raise ValueError("neither 0 nor 1")
    if series.dtype == pl.String and dtype == pl.Boolean:
        words = {"true": True, "1": True, "false": False, "0": False}
        return series.str.to_lowercase().replace_strict(words, return_dtype=pl.Boolean)
    return series.cast(dtype, strict=True)


def _first_misfit(series: pl.Series, dtype: pl.DataType) -> tuple[int | None, Any]:
    for index, value in enumerate(series):
        try:
            _lossless(pl.Series([value], dtype=series.dtype), dtype)
        except (PolarsError, ValueError):
            return index, value
    return None, None


def _words(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.List):
        return "lists of numbers"
    if dtype.is_integer():
        return "whole numbers"
    if dtype.is_float():
        return "numbers"
    return "true or false" if dtype == pl.Boolean else "text"
