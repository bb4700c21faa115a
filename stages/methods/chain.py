"""The ledger's chain of hashes: each event's hash covers the event and the hash before it.

It shows any later change of an event, of their order, or of the labels they began from. It is no signature: who can
write the whole file can write a whole new chain. Only a copy of the last hash, kept elsewhere, shows that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

import polars as pl

from schemas.errors import MismatchError
from schemas.ledger import LEDGER

_LINKS = ("previous", "hash")
_COVERED = tuple(name for name in LEDGER.schema.column_names() if name not in _LINKS)


def digest_of_labels(labels: pl.DataFrame) -> str:
    """Return the SHA-256 of labels, whatever their order: what the first event is chained to.

    It covers, of the rows in the order of their ids, the ids, the labels, and whether each was an expert's, a column
    after the other: of a text the length in bytes (8 bytes each, little-endian) and then the texts, of a truth a byte.

    Args:
        labels: sample_id, label, relabelled.
    """
    ordered = labels.select("sample_id", "label", "relabelled").sort("sample_id")
    digest = hashlib.sha256()
    for name in ("sample_id", "label"):
        digest.update(ordered[name].str.len_bytes().cast(pl.Int64).to_numpy().astype("<i8").tobytes())
        digest.update(str(ordered[name].str.join("").item()).encode())
    digest.update(ordered["relabelled"].cast(pl.UInt8).to_numpy().tobytes())
    return digest.hexdigest()


def hashes(events: pl.DataFrame, previous: str) -> list[str]:
    """Return the hash of each event, the first of them chained to `previous`.

    An event's hash is the SHA-256 of the JSON list of the hash before it and of its cells in order, written in ASCII
    and without blanks.
    """
    found = []
    for cells in zip(*(_as_json(events[name]) for name in _COVERED), strict=True):
        previous = hashlib.sha256(f'["{previous}",{",".join(cells)}]'.encode()).hexdigest()
        found.append(previous)
    return found


def _as_json(column: pl.Series) -> list[str]:
    """Return the cells of a column as `json.dumps` writes them: a hundred thousand events are a few million cells."""
    if column.dtype == pl.String:
        write: Callable[[Any], str] = encode_basestring_ascii
    elif column.dtype == pl.Boolean:
        write = {True: "true", False: "false"}.__getitem__
    else:
        write = float.__repr__ if column.dtype.is_float() else int.__repr__
    if column.n_unique() == 1:  # most columns of a round's events say one thing
        return ["null" if column[0] is None else write(column[0])] * len(column)
    return ["null" if cell is None else write(cell) for cell in column.to_list()]


def append(
    ledger: pl.DataFrame, events: Sequence[dict[str, Any]], first_labels: pl.DataFrame, **shared: Any
) -> pl.DataFrame:
    """Return the ledger with events added at its end, numbered and chained.

    Args:
        ledger: every event so far.
        events: what is new, without number and links; a column that one does not have is empty.
        first_labels: the labels before the ledger's first event.
        shared: columns that are the same in all new events.
    """
    start = ledger.height + 1
    schema = {name: dtype for name, dtype in LEDGER.empty().schema.items() if name not in _LINKS}
    own = {name: dtype for name, dtype in schema.items() if name not in shared}
    columns = {name: [event.get(name) for event in events] for name in own}
    columns["event"] = list(range(start, start + len(events)))
    constant = [pl.lit(value, schema[name]).alias(name) for name, value in shared.items()]
    new = LEDGER.part(_COVERED).check(pl.DataFrame(columns, schema=own).with_columns(constant), "ledger")
    previous = ledger["hash"][-1] if ledger.height else digest_of_labels(first_labels)
    links = hashes(new, previous)
    chained = new.with_columns(
        previous=pl.Series([previous, *links[:-1]], dtype=pl.String), hash=pl.Series(links, dtype=pl.String)
    )
    return pl.concat([ledger, chained.select(ledger.columns)])


def check(ledger: pl.DataFrame, first_labels: pl.DataFrame, source: str = "ledger") -> None:
    """Refuse a ledger that is not as it was written.

    Args:
        ledger: every event.
        first_labels: the labels before its first event, as they follow from the labels now.
        source: the ledger's file, for messages.

    Raises:
        MismatchError: naming the first event that does not hold.
    """
    if not ledger.height:
        return
    if ledger["event"].to_list() != list(range(1, ledger.height + 1)):
        raise MismatchError(
            f"{source}: the ledger's events are not numbered 1, 2, 3, ...: a row was removed, added or moved"
        )
    if ledger["previous"][0] != digest_of_labels(first_labels):
        raise MismatchError(
            f"{source}: the labels are not those that the ledger began from and led to; a label that no event names "
            "was changed, or samples were added or removed"
        )
    expected = pl.Series(hashes(ledger, ledger["previous"][0]), dtype=pl.String)
    before = pl.concat([ledger["previous"][:1], expected[:-1]])
    broken = ledger.filter((ledger["hash"] != expected) | (ledger["previous"] != before))
    if broken.height:
        first = broken.row(0, named=True)
        raise MismatchError(
            f"{source}: the ledger's event {first['event']} (sample '{first['sample_id']}') is not as it was written: "
            "its hash does not follow from it and the event before"
        )
