"""Errors have an exit code each, and their texts are built from the same few words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import errors


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.AlrctlError, 1),
        (errors.UsageError, 2),
        (errors.DataError, 3),
        (errors.MismatchError, 4),
        (errors.NothingToDoError, 5),
    ],
)
def test_each_kind_of_mistake_has_its_exit_code(kind: type[errors.AlrctlError], code: int) -> None:
    assert kind.exit_code == code
    assert issubclass(kind, errors.AlrctlError)
    assert str(kind("what to do")) == "what to do"


def test_the_nearest_name_is_offered_as_it_is_written() -> None:
    assert errors.nearest("ENTROPI", ["Entropy", "margin"]) == "; did you mean 'Entropy'?"


def test_nothing_is_offered_where_nothing_is_near() -> None:
    assert errors.nearest("xyz", ["entropy", "margin"]) == ""
    assert errors.nearest("xyz", []) == ""


@given(st.lists(st.text(alphabet="abcdefgh", min_size=1), min_size=1, unique=True), st.data())
@settings(max_examples=40, deadline=None)
def test_a_name_in_other_capitals_is_nearest_to_itself(names: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names))
    assert errors.nearest(name.upper(), names) == f"; did you mean '{name}'?"


@given(st.lists(st.sampled_from(["a", "b", "c"])), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_a_listing_shows_some_and_counts_the_rest(names: list[str], most: int) -> None:
    shown, _, rest = errors.listing(iter(names), most).partition(" and ")
    listed = shown.split(", ") if shown else []
    assert listed == names[:most]
    assert rest == (f"{len(names) - most} more" if len(names) > most else "")


@pytest.mark.parametrize(
    ("count", "noun", "many", "told"),
    [
        (1, "row", "", "1 row"),
        (0, "row", "", "0 rows"),
        (12345, "row", "", "12,345 rows"),
        (2, "class", "classes", "2 classes"),
    ],
)
def test_a_count_comes_with_its_noun(count: int, noun: str, many: str, told: str) -> None:
    assert errors.plural(count, noun, many) == told
