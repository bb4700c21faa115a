"""Sub-groups are the values of a column, or quarters of a scale of numbers; what is not known is one of its own."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import UsageError
from stages.methods.class_groups import class_groups
from stages.methods.subgroups import UNKNOWN, subgroups


def test_a_column_of_names_has_a_sub_group_a_value() -> None:
    found = subgroups(pl.Series("sex", ["male", " female", None, "male ", "", "  "]))
    assert found.to_list() == ["male", "female", UNKNOWN, "male", UNKNOWN, UNKNOWN]


def test_twelve_numbers_are_values_and_thirteen_a_scale() -> None:
    assert subgroups(pl.Series("grade", list(range(12)) * 2)).n_unique() == 12
    assert subgroups(pl.Series("grade", list(range(13)) * 2)).n_unique() == 4


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64, pl.Float32, pl.String])
def test_a_scale_of_numbers_is_cut_into_quarters_and_what_is_missing_stays_apart(dtype: pl.DataType) -> None:
    ages = pl.Series("age", [*range(20, 100), None, None]).cast(dtype)
    found = subgroups(ages)
    counts = dict(found.value_counts().iter_rows())
    assert counts.pop(UNKNOWN) == 2
    assert counts == {"20 to below 40": 20, "40 to below 60": 20, "60 to below 79": 19, "79 to 99": 21}
    assert found[:1].to_list() == ["20 to below 40"] and found[79] == "79 to 99" and found[20] == "40 to below 60"


def test_numbers_that_are_not_numbers_are_missing() -> None:
    found = subgroups(pl.Series("age", [*map(float, range(20, 100)), float("nan")]))
    assert found.to_list().count(UNKNOWN) == 1
    assert found.n_unique() == 5


def test_large_numbers_keep_the_digits_that_tell_bands_apart() -> None:
    days = pl.Series("day", [20_230_101 + day for day in range(28)])
    assert set(subgroups(days)) >= {"20230101 to below 20230108", "20230121 to 20230128"}
    assert subgroups(days).n_unique() == 4


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6, width=32)), min_size=20, max_size=200))
@settings(max_examples=60, deadline=None)
def test_every_number_lies_in_the_band_that_it_is_put_in(values: list[float | None]) -> None:
    series = pl.Series("x", values, dtype=pl.Float64)
    found = subgroups(series) if series.n_unique() <= 50 or series.drop_nulls().n_unique() > 12 else None
    if found is None or found.n_unique() > 5:
        return
    numbers = [(name, value) for name, value in zip(found, values, strict=True) if " to " in name]
    for name, value in numbers:
        start, end = name.split(" to ")
        assert value is not None
        assert float(start) <= value + 1e-9 * abs(value)
        assert value <= float(end.removeprefix("below ")) + 1e-9 * abs(value)
    assert all((value is None) == (name == UNKNOWN) for name, value in zip(found, values, strict=True))


def test_a_scale_that_mostly_says_one_number_still_has_bands() -> None:
    found = subgroups(pl.Series("packs", [0] * 90 + list(range(1, 21))))
    assert set(found) == {"0 to below 20", "20 to 20"} or set(found) == {"0 to 20"}


def test_numbers_among_which_a_word_stands_are_names() -> None:
    found = subgroups(pl.Series("age", [*map(str, range(20)), "old"]))
    assert found.n_unique() == 21


def test_fifty_values_are_told_and_fifty_one_refused() -> None:
    assert subgroups(pl.Series("site", [f"s{n}" for n in range(50)])).n_unique() == 50
    with pytest.raises(UsageError) as caught:
        subgroups(pl.Series("site", [f"s{n}" for n in range(51)]))
    assert str(caught.value) == "--by site: has 51 values; sub-groups of at most 50 are told"


def test_true_and_false_are_values() -> None:
    assert subgroups(pl.Series("biopsy", [True, False, None])).to_list() == ["true", "false", UNKNOWN]


def test_a_column_that_says_nothing_is_all_unknown() -> None:
    for dtype in (pl.String, pl.Float64, pl.Null):
        assert subgroups(pl.Series("x", [None, None], dtype=dtype)).to_list() == [UNKNOWN] * 2


def test_every_class_has_many_medium_or_few_samples_ends_counted_with_the_medium() -> None:
    found = class_groups(np.array([101, 100, 20, 19, 0]), many=100, few=20)
    assert {name: members.tolist() for name, members in found.items()} == {
        "many": [True, False, False, False, False],
        "medium": [False, True, True, False, False],
        "few": [False, False, False, True, True],
    }


@given(st.lists(st.integers(0, 300), min_size=2, max_size=9), st.integers(0, 200), st.integers(0, 201))
@settings(max_examples=50, deadline=None)
def test_no_class_is_of_two_groups(counts: list[int], many: int, few: int) -> None:
    found = class_groups(np.array(counts), many, min(few, many + 1))
    assert (sum(members.astype(int) for members in found.values()) == 1).all()
