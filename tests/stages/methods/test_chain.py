"""The ledger's chain: events are only added, and whatever is changed in one, or in their order, is seen."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import DataError, MismatchError
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from stages.methods import chain

FIRST = LABELS.make({"sample_id": ["a", "b"], "label": ["red", "red"], "relabelled": [False, True]})
NUMBERING = "ledger: the ledger's events are not numbered 1, 2, 3, ...: a row was removed, added or moved"
FIRST_LABELS = "ledger: the labels are not those that the ledger began from and led to"


def event(number: int = 0, **changed: Any) -> dict[str, Any]:
    """An event with something in every column, without number and links."""
    return {
        "round": 1 + number // 2,
        "kind": "vote",
        "sample_id": "ab"[number % 2],
        "answer": f"answer {number}",
        "label_before": "red",
        "label_after": "red",
        "relabelled_before": False,
        "annotator": "ann",
        "answered_at": "2026-01-01",
        "seconds": 1.5,
        "confidence": 0.5,
        "comment": "clear",
        "problem": "none",
        "withdraws": 9,
        "charged": True,
        "cost": 1.0,
        "unit": "labels",
        "source_file": "a.csv",
        "source_sha256": "a" * 64,
        "version": "1",
    } | changed


WHOLE = chain.append(LEDGER.empty(), [event(number) for number in range(5)], FIRST)


def with_cell(ledger: pl.DataFrame, column: str, row: int, value: Any) -> pl.DataFrame:
    """The ledger with one cell changed."""
    cells = ledger[column].to_list()
    cells[row] = value
    return ledger.with_columns(pl.Series(column, cells, dtype=ledger.schema[column]))


def another(value: Any) -> Any:
    """Some other value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if len(value) == 64:
        return "0" * 64
    return f"{value}!"


def test_events_are_numbered_and_each_carries_the_hash_before_it() -> None:
    assert WHOLE["event"].to_list() == [1, 2, 3, 4, 5]
    assert WHOLE["previous"].to_list() == [chain.digest_of_labels(FIRST), *WHOLE["hash"][:-1]]
    assert WHOLE["hash"].n_unique() == 5
    assert WHOLE.schema == LEDGER.empty().schema


def test_hashes_are_those_that_ledgers_on_disk_carry() -> None:
    assert chain.digest_of_labels(FIRST) == "fb554dcc26955b27ece0cd7786ab51ef8c9f9cf549076a4e610abe9fa6c47ccf"
    assert WHOLE["hash"][0] == "9cf0f449af5952bb217aef157af033677620e76f49afac62c28d0bc18f9326ab"


def test_hashes_can_be_computed_by_any_program_from_what_the_docs_say() -> None:
    rows = sorted(FIRST.select("sample_id", "label", "relabelled").iter_rows())
    told = b""
    for column in (0, 1):
        texts = [str(row[column]).encode() for row in rows]
        told += b"".join(struct.pack("<q", len(text)) for text in texts) + b"".join(texts)
    previous = hashlib.sha256(told + bytes(int(row[2]) for row in rows)).hexdigest()
    for event in WHOLE.to_dicts():
        assert event["previous"] == previous
        cells = [value for name, value in event.items() if name not in ("previous", "hash")]
        previous = hashlib.sha256(json.dumps([previous, *cells], separators=(",", ":")).encode()).hexdigest()
        assert event["hash"] == previous


@given(st.lists(st.integers(0, 9), max_size=6), st.lists(st.integers(0, 9), max_size=6))
@settings(max_examples=20, deadline=None)
def test_events_added_in_two_parts_are_those_added_at_once(one: list[int], other: list[int]) -> None:
    made = [event(number) for number in (*one, *other)]
    parts = LEDGER.empty()
    for part in (made[: len(one)], made[len(one) :]):
        parts = chain.append(parts, part, FIRST) if part else parts
    if made:
        assert parts.equals(chain.append(LEDGER.empty(), made, FIRST))
    chain.check(parts, FIRST)


def test_adding_leaves_what_was_there() -> None:
    assert chain.append(WHOLE, [event()], FIRST)[:5].equals(WHOLE)


def test_what_an_event_does_not_say_is_empty() -> None:
    bare = {name: value for name, value in event().items() if name not in {"comment", "withdraws", "source_file"}}
    row = chain.append(LEDGER.empty(), [bare], FIRST).row(0, named=True)
    assert (row["comment"], row["withdraws"], row["source_file"]) == (None, None, None)


def test_an_event_against_the_contract_is_not_added() -> None:
    with pytest.raises(DataError, match="column 'seconds' has 1 value below the least allowed"):
        chain.append(WHOLE, [event(seconds=-1.0)], FIRST)
    with pytest.raises(DataError, match="column 'kind' has 1 value against 'is kind of event'"):
        chain.append(WHOLE, [event(kind="guess")], FIRST)


def test_the_digest_of_labels_does_not_hang_on_their_order() -> None:
    assert chain.digest_of_labels(FIRST[::-1]) == chain.digest_of_labels(FIRST)


@pytest.mark.parametrize("column", LABELS.schema.column_names())
def test_the_digest_of_labels_hangs_on_every_cell(column: str) -> None:
    changed = with_cell(FIRST, column, 1, another(FIRST[column][1]))
    assert chain.digest_of_labels(changed) != chain.digest_of_labels(FIRST)


def test_a_sound_ledger_and_an_empty_one_pass() -> None:
    chain.check(WHOLE, FIRST)
    chain.check(LEDGER.empty(), FIRST)


@pytest.mark.parametrize("row", [0, 3])
@pytest.mark.parametrize("column", LEDGER.schema.column_names())
def test_any_cell_that_is_changed_is_found_and_its_event_named(column: str, row: int) -> None:
    spoilt = with_cell(WHOLE, column, row, another(WHOLE[column][row]))
    with pytest.raises(MismatchError) as caught:
        chain.check(spoilt, FIRST)
    if column == "event":
        told = NUMBERING
    elif (column, row) == ("previous", 0):
        told = FIRST_LABELS
    else:
        told = f"ledger: the ledger's event {row + 1} (sample '{spoilt['sample_id'][row]}') is not as it was written"
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("column", [name for name, spec in LEDGER.schema.columns().items() if spec.nullable])
def test_a_cell_that_is_emptied_is_found(column: str) -> None:
    with pytest.raises(MismatchError, match="the ledger's event 3 "):
        chain.check(with_cell(WHOLE, column, 2, None), FIRST)


def test_an_event_that_is_rewritten_with_its_hash_breaks_the_chain_after_it() -> None:
    spoilt = with_cell(WHOLE, "answer", 1, "forged")
    (forged,) = chain.hashes(spoilt[1:2], WHOLE["previous"][1])
    spoilt = with_cell(with_cell(spoilt, "hash", 1, forged), "previous", 2, forged)
    with pytest.raises(MismatchError, match="the ledger's event 3 "):
        chain.check(spoilt, FIRST)


def test_words_that_wander_from_a_cell_to_the_next_are_found() -> None:
    ledger = chain.append(LEDGER.empty(), [event(label_before="ab", label_after="c")], FIRST)
    moved = with_cell(with_cell(ledger, "label_before", 0, "a"), "label_after", 0, "bc")
    with pytest.raises(MismatchError, match="the ledger's event 1 "):
        chain.check(moved, FIRST)


@given(st.permutations(range(5)), st.booleans())
@settings(max_examples=20, deadline=None)
def test_events_in_another_order_are_found_with_their_numbers_or_new_ones(order: list[int], renumber: bool) -> None:
    moved = WHOLE[order]
    if renumber:
        moved = moved.with_columns(event=WHOLE["event"])
    if list(order) == list(range(5)):
        chain.check(moved, FIRST)
    else:
        with pytest.raises(MismatchError):
            chain.check(moved, FIRST)


@pytest.mark.parametrize("renumber", [True, False])
@pytest.mark.parametrize("row", range(4))
def test_an_event_that_is_missing_before_the_last_is_found(row: int, renumber: bool) -> None:
    cut = WHOLE.filter(pl.col("event") != row + 1)
    cut = cut.with_columns(event=WHOLE["event"][:4]) if renumber else cut
    with pytest.raises(MismatchError):
        chain.check(cut, FIRST)


@pytest.mark.parametrize("row", range(6))
def test_an_event_that_is_put_in_is_found(row: int) -> None:
    foreign = chain.append(LEDGER.empty(), [event(comment="forged")], FIRST)
    longer = pl.concat([WHOLE[:row], foreign, WHOLE[row:]])
    longer = longer.with_columns(event=pl.Series(range(1, 7), dtype=pl.Int64))
    with pytest.raises(MismatchError):
        chain.check(longer, FIRST)


def test_a_ledger_beside_other_labels_is_found() -> None:
    other = with_cell(FIRST, "label", 0, "blue")
    with pytest.raises(MismatchError) as caught:
        chain.check(WHOLE, other)
    assert str(caught.value) == (
        "ledger: the labels are not those that the ledger began from and led to; a label that no event names "
        "was changed, or samples were added or removed"
    )
    with pytest.raises(MismatchError, match=FIRST_LABELS):
        chain.check(WHOLE, FIRST[:1])
