"""What every reader of answers returns, and what they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl

from schemas.answers import READ_ANSWERS
from schemas.errors import DataError, listing, shown

Row = dict[str, Any]
_IN_SECONDS = len("2026-01-01T10:00:00Z")
_LARGEST = 1e300  # beyond it, a whole number may be no float


@dataclass(frozen=True)
class Found:
    """The answers of a file.

    Attributes:
        answers: as `READ_ANSWERS`, a row an answer.
        word: what a place in the file is called.
        by_image: whether it names images and not samples.
        nameless: whether a file of this format never says who answered.
        indices: whether it may name classes by number.
        facts: what was left out of the file, counted.
        warnings: what a person must know.
    """

    answers: pl.DataFrame
    word: str
    by_image: bool = False
    nameless: bool = False
    indices: bool = False
    facts: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def table(rows: Sequence[Row], source: str) -> pl.DataFrame:
    """Return rows as a table of answers.

    Raises:
        DataError: a value is of the wrong kind.
    """
    schema = READ_ANSWERS.empty().schema
    columns = {name: [row.get(name) for row in rows] for name in schema}
    columns["timestamp"] = [moment(time) for time in columns["timestamp"]]
    for name, values in columns.items():
        wrong = next((place for place, value in enumerate(values) if not _fits(value, schema[name])), None)
        if wrong is not None:
            raise DataError(
                f"{source}: '{name}' of answer {wrong + 1} is {shown(repr(values[wrong]))}, which is of the wrong kind"
            )
    return READ_ANSWERS.check(pl.DataFrame(columns, schema=schema), source)


def _is_text(value: str) -> bool:
    """Say whether a text can be written: JSON can name half a letter, which no file holds."""
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def _fits(value: Any, dtype: pl.DataType) -> bool:
    if value is None:
        return True
    if isinstance(value, bool):
        return dtype == pl.Boolean
    if dtype == pl.String:
        return isinstance(value, str) and _is_text(value)
    return isinstance(value, int | float) and (dtype.is_float() or isinstance(value, int))


def moment(text: Any) -> Any:
    """Return a time in UTC, written so that times can be compared as text; one that cannot be read, as it is.

    A time without an offset is taken as UTC. A day alone stays a day.
    """
    if not isinstance(text, str) or len(text) <= len("2026-01-01"):
        return text
    try:
        found = datetime.fromisoformat(text)
        if len(text) == _IN_SECONDS and text[10] == "T" and text[-1] == "Z":  # as most tools write it
            return f"{text[:-1]}.000000Z"
        zoned = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    return zoned.isoformat(timespec="microseconds").replace("+00:00", "Z")


def one_of(chosen: Sequence[Any], source: str) -> Row:
    """Return the label where one class was chosen, the problem where several were, neither where none was.

    Raises:
        DataError: something else than a word was chosen.
    """
    if not all(isinstance(name, str) for name in chosen):
        raise DataError(f"{source}: a choice is no text ({shown(repr(chosen))})")
    named = list(dict.fromkeys(name.strip() for name in chosen if name.strip()))
    if len(named) > 1:
        return {"label": None, "problem": f"several classes chosen ({listing(named, 12)})"}
    return {"label": named[0] if named else None, "problem": None}


def text_or_none(value: Any) -> str | None:
    """Return a text without the blanks around it; None where nothing is left of it, or it is none."""
    return value.strip() or None if isinstance(value, str) else None


def number_or_none(value: Any) -> float | None:
    """Return a number that is not negative; None for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < _LARGEST else None
