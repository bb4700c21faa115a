"""A name in an answer leads to one sample or to none, whatever the tool has made of the name."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alrctl.naming import archive_stems
from schemas.errors import DataError
from schemas.queue import QUEUE
from stages.methods.sample_names import Names, of_ids, of_images, of_ranks, same_number

KNOWN = {"cat/1", "dog.png", "7", "x"}
NAMES = Names(
    codes={"QX4": "cat/1"},
    archived={"07_cat_1": "cat/1", "08_dog.png": "dog.png"},
    sources={"photos/one.jpg": "7", "deep/er/two.TIFF": "x"},
)


def test_an_id_is_itself_and_a_code_its_sample_and_others_are_left_out() -> None:
    assert of_ids(["cat/1", "QX4", "cat", "photos/one.jpg"], KNOWN, NAMES) == {"cat/1": "cat/1", "QX4": "cat/1"}


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("cat/1", "cat/1"),
        ("QX4", "cat/1"),
        ("07_cat_1", "cat/1"),
        ("07_cat_1.png", "cat/1"),
        ("upload/07_cat_1.png", "cat/1"),
        ("C:\\data\\07_cat_1.png", "cat/1"),
        ("08_dog.png", "dog.png"),
        ("08_dog.png.png", "dog.png"),
        ("08_dog", "dog.png"),
        ("photos/one.jpg", "7"),
        ("one.jpg", "7"),
        ("one", "7"),
        ("elsewhere/one.png", "7"),
        ("two.jpeg", "x"),
        ("1.png", "cat/1"),
        ("dog", "dog.png"),
        ("dog.jpg", "dog.png"),
        ("7.dcm", "7"),
        ("red_7.png", "7"),
        ("red/red_one.jpg", "7"),
        ("no_label_x.png", "x"),
        ("blue_7.png", None),
        ("redx.png", None),
        ("8.png", None),
        ("07_cat_1.anything-at-all", None),
        ("", None),
    ],
)
def test_an_image_is_known_by_what_other_tools_call_it(name: str, sample: str | None) -> None:
    found = of_images([name], KNOWN, NAMES, {"red", "no_label"})
    assert found == ({} if sample is None else {name: sample})


def test_a_whole_name_goes_before_parts_of_others() -> None:
    assert of_images(["a.png", "red_1"], {"a.png", "a.jpg", "red_1", "1"}, Names(), {"red"}) == {
        "a.png": "a.png",
        "red_1": "red_1",
    }


@pytest.mark.parametrize(
    ("name", "known", "others"),
    [
        ("a", {"a.png", "a.jpg"}, Names()),
        ("a.tif", {"a.png", "a.jpg"}, Names()),
        ("one.jpg", {"x", "y"}, Names(sources={"p/one.jpg": "x", "q/one.jpg": "y"})),
        ("one", {"x", "one"}, Names(codes={"one": "x"})),
        ("one", {"x", "y"}, Names(sources={"one": "x"}, archived={"one": "y"})),
        ("1_a.png", {"a", "1_a"}, Names(archived={"1_a": "a", "2_1_a": "1_a"})),
        ("a_b_1.png", {"b_1", "1"}, Names()),
    ],
)
def test_an_image_that_may_be_two_samples_is_refused(name: str, known: set[str], others: Names) -> None:
    for labels in (["a", "a_b"], ["a_b", "a"]):
        with pytest.raises(DataError, match=f"^1 image may be one of several samples \\(first: '{name}' is '"):
            of_images([name], known, others, labels)


def test_images_in_doubt_are_counted_and_the_first_is_named_with_two_samples() -> None:
    with pytest.raises(DataError) as caught:
        of_images(["ok", "b", "a"], {"a.png", "a.jpg", "b.TIF", "b.bmp", "ok"}, Names(), ())
    assert str(caught.value) == (
        "2 images may be one of several samples (first: 'b' is 'b.TIF' or 'b.bmp'); give the images names that lead "
        "back to one sample each, or name samples by their ids"
    )


def test_two_names_of_one_sample_are_no_doubt() -> None:
    assert of_images(["a"], {"a"}, Names(codes={"a": "a"}, sources={"a": "a"}), ()) == {"a": "a"}


sample_ids = st.lists(st.text("ab1/\\ .é_", min_size=1, max_size=6), min_size=1, max_size=12, unique=True)


@given(sample_ids)
@settings(max_examples=60, deadline=None)
def test_a_name_in_the_archive_leads_back_to_its_sample_or_is_refused(ids: list[str]) -> None:
    columns: dict[str, Any] = {"rank": range(1, len(ids) + 1), "sample_id": ids}
    queue = QUEUE.make(columns | {"given_label": "red", "suggested_label": "blue"})
    stems = archive_stems(queue)
    others = Names(archived=dict(zip(stems, ids, strict=True)))
    for stem, sample in zip(stems, ids, strict=True):
        for name in (f"{stem}.png", f"folder/{stem}.jpeg", f"red_{stem}.png"):
            with suppress(DataError):
                assert of_images([name], ids, others, {"red"}) == {name: sample}


@pytest.mark.parametrize(
    ("name", "sample"),
    [("7", "007"), ("7", "=7"), ("7", "+7"), ("7", "'7"), ("100000", "1e5"), ("1E+05", "1e5"), ("1,5", "1.50")],
)
def test_an_id_that_a_spreadsheet_changed_is_told_by_the_rank(name: str, sample: str) -> None:
    assert of_ranks([(name, "3")], Names(ranks={3: sample})) == {(name, "3"): sample}
    assert same_number(name, sample)


@pytest.mark.parametrize(
    ("name", "rank", "ranks"),
    [
        ("7", None, {3: "007"}),
        ("7", "4", {3: "007"}),
        ("7", "³", {3: "007"}),
        ("7", "", {3: "007"}),
        ("7", "-3", {3: "007"}),
        ("8", "3", {3: "007"}),
        ("7", "3", {3: "7"}),
        ("x", "3", {3: "y"}),
        ("nan", "3", {3: "NaN"}),
    ],
)
def test_a_name_without_a_rank_that_fits_is_left_as_it_is(name: str, rank: str | None, ranks: dict[int, str]) -> None:
    assert of_ranks([(name, rank)], Names(ranks=ranks)) == {}


def test_the_rank_tells_which_even_where_the_changed_id_is_another_sample() -> None:
    rows = [("7", "1"), ("7", "2"), ("7", "3")]
    assert of_ranks(rows, Names(ranks={1: "007", 2: "7", 3: "07"})) == {("7", "1"): "007", ("7", "3"): "07"}
