"""A word in an answer is read as a person meant it, and what is doubtful is no class."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import UsageError
from stages.methods.class_reading import Meaning, read_classes, read_map

COLOURS = ("Red", "green", "GREEN", "blue")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("Red", "Red"),
        ("red", "Red"),
        ("BLUE", "blue"),
        ("green", "green"),
        ("GREEN", "GREEN"),
        ("Green", None),  # two classes differ by capitals alone
        ("redd", None),
        (" blue", None),
        ("", None),
    ],
)
def test_a_word_is_a_class_by_name_then_by_other_capitals_where_one_fits(word: str, meant: str | None) -> None:
    assert read_classes([word], COLOURS, {}).get(word) == meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("0", "Red"),
        ("3", "blue"),
        ("3.0", "blue"),
        ("4", None),
        ("-1", None),
        ("1.5", None),
        ("1.0.0", None),
        (".0", None),
        ("1e0", None),
        ("²", None),
        ("٣", None),
        ("100000000", None),
    ],
)
def test_a_whole_number_is_an_index_as_far_as_there_are_classes(word: str, meant: str | None) -> None:
    assert read_classes([word], COLOURS, {}).get(word) == meant


def test_numbers_are_indices_only_where_the_file_holds_nothing_else() -> None:
    assert read_classes(["0", "2"], COLOURS, {}) == {"0": "Red", "2": "GREEN"}
    assert read_classes(["0", "blue"], COLOURS, {}) == {"blue": "blue"}
    assert read_classes(["0", "bleu"], COLOURS, {}) == {}
    assert read_classes(["0", "1.5"], COLOURS, {}) == {}


def test_words_that_the_user_maps_do_not_keep_numbers_from_being_indices() -> None:
    assert read_classes(["0", "skip"], COLOURS, {"skip": None}) == {"0": "Red", "skip": None}


@pytest.mark.parametrize(
    "classes",
    [("5", "x"), ("1.0", "x"), ("x", "007"), ("-1", "+1"), ("0.5", "1.5"), ("0,5", "x"), ("108369006", "254837009")],
)
def test_numbers_are_no_indices_where_a_class_is_called_by_one(classes: tuple[str, ...]) -> None:
    assert read_classes(["0", "1"], classes, {}) == {}
    assert read_classes(classes, classes, {}) == {name: name for name in classes}


def test_numbers_are_no_indices_in_files_that_write_names() -> None:
    assert read_classes(["0"], COLOURS, {}, indices=False) == {}


def test_what_the_user_says_goes_before_all_else() -> None:
    mapped = {"blue": "Red", "0": "green", "skip": None}
    assert read_classes(["blue", "0", "skip", "BLUE"], COLOURS, mapped) == mapped | {"BLUE": "blue"}


@given(st.lists(st.text(min_size=1), min_size=2, unique=True))
@settings(max_examples=40, deadline=None)
def test_a_class_by_its_own_name_is_always_itself(names: list[str]) -> None:
    assert read_classes(names, tuple(names), {}) == {name: name for name in names}


@given(
    st.lists(st.text("aA1.0", min_size=1, max_size=3), max_size=4),
    st.lists(st.text("aA1.0", min_size=1, max_size=3), min_size=2, unique=True),
)
@settings(max_examples=60, deadline=None)
def test_a_word_means_its_own_name_or_other_capitals_or_an_index(words: list[str], names: list[str]) -> None:
    for word, meant in read_classes(words, tuple(names), {}).items():
        assert meant is not None
        by_index = meant.casefold() != word.casefold()
        assert word == meant or word not in names
        assert not by_index or names[int(float(word))] == meant


CLASSES = ("red", "blue", "label", "a=b")


@pytest.mark.parametrize(
    ("pairs", "meaning"),
    [
        ((), Meaning()),
        (("Diagnose=sample_id", "rot=red"), Meaning({"Diagnose": "sample_id"}, {"rot": "red"})),
        (("rot=red", "rot=red", "crimson=red"), Meaning({}, {"rot": "red", "crimson": "red"})),
        (("nothing=",), Meaning({}, {"nothing": None})),
        (("choice=column:label",), Meaning({"choice": "label"}, {})),
        (("choice=class:label",), Meaning({}, {"choice": "label"})),
        (("class=column:annotator", "x=class:red"), Meaning({"class": "annotator"}, {"x": "red"})),
        (("x=y=red",), Meaning({}, {"x=y": "red"})),
        (("x=y=",), Meaning({}, {"x=y": None})),
        (("x=a=b",), Meaning({}, {"x": "a=b"})),
        (("==red",), Meaning({}, {"=": "red"})),
        (("word=red", "word=seconds"), Meaning({"word": "seconds"}, {"word": "red"})),
    ],
)
def test_pairs_are_read_as_columns_and_as_classes(pairs: tuple[str, ...], meaning: Meaning) -> None:
    assert read_map(pairs, CLASSES) == meaning


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        (("rot",), "--map: 'rot' is not of the form THEIRS=OURS"),
        (("=red",), "--map: '=red' is not of the form THEIRS=OURS"),
        (("rot=redd",), "--map: 'redd' is neither a column of the answers (sample_id, label, annotator, confidence, "
         "unsure, seconds, comment, timestamp) nor a class of this data set; did you mean 'red'?"),
        (("rot=xyzzy",), "--map: 'xyzzy' is neither a column of the answers (sample_id, label, annotator, confidence, "
         "unsure, seconds, comment, timestamp) nor a class of this data set (red, blue, label, a=b)"),
        (("x=label",), "--map: 'x=label' can be read in 2 ways; write column:NAME or class:NAME after the '='"),
        (("rot=red", "rot=blue"), "--map: 'rot' is given two meanings ('red' and 'blue')"),
        (("rot=", "rot=blue"), "--map: 'rot' is given two meanings ('None' and 'blue')"),
        (("x=seconds", "x=comment"), "--map: 'x' is given two meanings ('seconds' and 'comment')"),
        (("x=seconds", "y=seconds"), "--map: two columns are to be 'seconds'"),
    ],
)  # fmt: skip
def test_pairs_that_mean_nothing_or_two_things_are_refused(pairs: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_map(pairs, CLASSES)
    assert str(caught.value) == told
