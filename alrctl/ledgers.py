"""Labels and the ledger beside them: read together, and held to one another on every read."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from alrctl import table_files
from alrctl.artifacts import find_optional
from schemas.errors import DataError, MismatchError, listing
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from stages.methods import ledger as ledgers


def load(labels: Path, ledger: Path | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return labels and the ledger that led to them, empty where there is none, for a stage that checks them itself.

    Raises:
        DataError: not readable, or against their contracts.
    """
    return table_files.read_table(labels, LABELS), LEDGER.empty() if ledger is None else table_files.read_table(
        ledger, LEDGER
    )


def read(labels: Path, ledger: Path | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return labels and the ledger that led to them, held to one another.

    Raises:
        DataError: not readable, or against their contracts.
        MismatchError: the labels are not the ledger's fold, or an event is not as it was written.
    """
    table, events = load(labels, ledger)
    if ledger is not None:
        ledgers.check(table, events, str(ledger))
    return table, events


def beside(labels: Path) -> Path | None:
    """Return the ledger beside a label table, if there is one."""
    return find_optional(labels, LEDGER.file_name)


def latest(place: Path) -> Path:
    """Return the ledger meant by a labels' directory or file, or the longest one below a directory.

    Raises:
        DataError: there is none.
        MismatchError: there are several, and none of them holds all the others.
    """
    direct = find_optional(place, LEDGER.file_name)
    if direct is not None:
        return direct
    found = sorted(place.rglob(LEDGER.file_name)) if place.is_dir() else []
    found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(place).parts)]
    if not found:
        raise DataError(f"{place}: holds no {LEDGER.file_name}; it stands beside the labels that `relabel` wrote")
    hashes = {path: table_files.read_columns(path, LEDGER, ["hash"])["hash"] for path in found}
    longest = max(found, key=lambda path: len(hashes[path]))
    held = set(hashes[longest])
    others = [path for path in found if len(hashes[path]) and hashes[path][-1] not in held]
    if others:
        named = listing([str(path.parent) for path in (longest, *others)])
        raise MismatchError(f"{place}: holds ledgers that went different ways; name one of {named}")
    return longest
