"""Classes have distinct names in one order; a label that is none of them is told with its row and the nearest name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.classes import Classes, check_enough, unknown_class_message
from schemas.errors import DataError

COLOURS = Classes(names=("red", "green", "blue"))


def unknown(labels: list[str], first_row: int = 1) -> str:
    """What is said of labels that are no class."""
    with pytest.raises(DataError) as caught:
        COLOURS.indices(labels, "labels.csv", first_row=first_row)
    return str(caught.value)


def test_an_index_is_a_place_in_names() -> None:
    assert COLOURS.indices(["blue", "red", "red"], "labels.csv") == [2, 0, 0]
    assert len(COLOURS) == 3


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=2, max_size=8, unique=True), st.data())
@settings(max_examples=40, deadline=None)
def test_indices_lead_back_to_the_labels(names: list[str], data: st.DataObject) -> None:
    labels = data.draw(st.lists(st.sampled_from(names), max_size=20))
    classes = Classes(names=tuple(names))
    assert [classes.names[index] for index in classes.indices(labels, "f")] == labels


def test_an_unknown_class_is_told_with_row_and_nearest_name() -> None:
    assert unknown(["red", "gren"]) == (
        "labels.csv: column 'label' has 1 value that is no class of this data set "
        "(first: row 2, 'gren'; did you mean 'green'?)"
    )


def test_other_capitals_are_guessed_at() -> None:
    assert "'RED'; did you mean 'red'?" in unknown(["RED"])


def test_unknown_classes_are_counted_and_the_classes_listed_where_none_is_near() -> None:
    assert unknown(["xyzzy", "red", "qq"], first_row=2) == (
        "labels.csv: column 'label' has 2 values that are no class of this data set "
        "(first: row 2, 'xyzzy'; the classes are red, green, blue)"
    )


def test_a_long_list_of_classes_is_cut() -> None:
    names = tuple(f"kind-of-{number:03d}" for number in range(40))
    told = unknown_class_message("f", "label", [(0, "?")], names, 1)
    assert "kind-of-011 and 28 more" in told
    assert "kind-of-012" not in told


@pytest.mark.parametrize("names", [("red",), (), ("red", "red"), ("red", " ")])
def test_classes_are_at_least_two_distinct_and_named(names: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        Classes(names=names)


def test_a_misspelt_key_of_the_classes_file_is_refused() -> None:
    with pytest.raises(ValidationError):
        Classes.model_validate({"names": ["a", "b"], "order": True})


def test_classes_do_not_change() -> None:
    with pytest.raises(ValidationError):
        COLOURS.ordered = True  # type: ignore[misc]


def test_classes_that_are_large_enough_pass() -> None:
    check_enough({"red": 3, "green": 5}, 3, "a split")


def test_every_class_that_is_too_small_is_told_with_the_mend() -> None:
    with pytest.raises(DataError) as caught:
        check_enough({"red": 1, "green": 5, "blue": 2}, 3, "a split")
    assert str(caught.value) == (
        "class 'red' has 1 sample, 'blue' has 2 samples; a split needs at least 3 of each class "
        "(--exclude-class leaves one out)"
    )
