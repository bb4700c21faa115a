"""What people label with in other tools can be taken in there, says what it should, and leads back to the samples."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor, ImageFont

from alrctl import annotators, contact_sheet
from alrctl.annotators import Picture
from schemas.errors import DataError

CLASSES = ("naevus", "melanoma")
HOSTILE_CLASSES = ("a & b", '<"quoted">', "it's", "基底細胞癌", "$image", "=1+1", "two\nlines", " blank ", "x" * 200)
HOSTILE_IDS = (
    *("../../etc/passwd", "/etc/passwd", "a/b", "a\\b", "a_b", "A_B", ".hidden", "..", "", " ", "C:\\x", "nul\0byte"),
    *(
        "x" * 500,
        "診断" * 200,
        "line\nbreak",
        "tab\t",
        "e\u0301",
        "\u00e9",
        "con",
        "a:b",
        "-rf",
        "~",
        "a.",
        "\u202egnp.x",
    ),
)
ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
class_names = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1),
    min_size=2,
    max_size=12,
    unique=True,
)


def make_queue(
    sample_ids: tuple[str, ...] | list[str], given: str = "naevus", suggested: str = "melanoma", certainty: Any = 0.75
) -> pl.DataFrame:
    rows = {
        "rank": range(1, len(sample_ids) + 1),
        "sample_id": sample_ids,
        "given_label": [given] * len(sample_ids),
        "suggested_label": [suggested] * len(sample_ids),
        "suggested_certainty": [certainty] * len(sample_ids),
        "reason": ["the network disagrees"] * len(sample_ids),
    }
    return pl.DataFrame(rows, schema_overrides={"suggested_certainty": pl.Float64, "sample_id": pl.String})


def make_pixels(seed: int, height: int = 8, width: int = 6) -> annotators.Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def make_pictures(count: int) -> list[Picture]:
    return [Picture(f"train_images[{number}]", make_pixels(number)) for number in range(count)]


def hexed(pixel: Any) -> str:
    return "#{:02X}{:02X}{:02X}".format(*pixel)


def test_the_same_queue_gives_the_same_bytes(tmp_path: Path) -> None:
    queue, pictures = make_queue(["a", "b", "c"]), make_pictures(3)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        annotators.write(tmp_path / name, queue, pictures, CLASSES, suggest=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()
    }


def test_the_archive_tells_no_hour(tmp_path: Path) -> None:
    annotators.archive(tmp_path / "i.zip", make_pictures(2), ["1.png", "2.png"])
    with ZipFile(tmp_path / "i.zip") as packed:
        assert {entry.date_time for entry in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_names_returned_are_the_files_written(tmp_path: Path) -> None:
    names = annotators.write(tmp_path, make_queue(["a", "b"]), make_pictures(2), CLASSES)
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 6


@pytest.mark.parametrize(("prefix", "wanted"), [("", set()), ("https://host/", {"tasks.json"})])
def test_what_needs_images_is_left_out_without_any(tmp_path: Path, prefix: str, wanted: set[str]) -> None:
    names = annotators.write(tmp_path, make_queue(["a"]), [Picture("a.png")], CLASSES, prefix)
    assert set(names) == {"labelling_config.xml", "cvat_labels.json"} | wanted
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())


def test_a_task_holds_the_very_pixels() -> None:
    pictures = make_pictures(2)
    for task, picture in zip(annotators.tasks(make_queue(["a", "b"]), pictures), pictures, strict=True):
        head, text = task["data"]["image"].split(",")
        assert head == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(text))) as image:
            assert np.array_equal(np.asarray(image), picture.pixels)


def test_a_task_tells_sample_rank_labels_and_reason() -> None:
    (task,) = annotators.tasks(make_queue(["ISIC_1"]), make_pictures(1))
    told = {name: value for name, value in task["data"].items() if name != "image"}
    assert told == {
        "sample_id": "ISIC_1",
        "rank": 1,
        "given_label": "naevus",
        "suggested_label": "melanoma",
        "reason": "the network disagrees",
    }


def test_an_address_is_the_prefix_and_the_quoted_name() -> None:
    pictures = [Picture("photos/Ünï #1 & 100%+?.png")]
    (task,) = annotators.tasks(make_queue(["a"]), pictures, "/data/local-files/?d=")
    assert task["data"]["image"] == "/data/local-files/?d=photos/%C3%9Cn%C3%AF%20%231%20%26%20100%25%2B%3F.png"


def test_a_sample_without_an_image_has_no_task() -> None:
    pictures = [Picture("a"), Picture("b", make_pixels(0)), Picture("c")]
    made = annotators.tasks(make_queue(["a", "b", "c"]), pictures)
    assert [(task["data"]["sample_id"], task["data"]["rank"]) for task in made] == [("b", 2)]


def test_a_task_shows_an_image_that_is_only_there_as_a_file(tmp_path: Path) -> None:
    Image.fromarray(make_pixels(0)).save(tmp_path / "a.tif")
    (task,) = annotators.tasks(make_queue(["a"]), [Picture("a.tif", file=tmp_path / "a.tif")])
    assert task["data"]["image"].startswith("data:image/png;base64,")


def test_nothing_is_suggested_unless_asked() -> None:
    queue, pictures = make_queue(["a"]), make_pictures(1)
    assert "predictions" not in annotators.tasks(queue, pictures)[0]
    (prediction,) = annotators.tasks(queue, pictures, suggest=True)[0]["predictions"]
    assert (prediction["score"], prediction["model_version"]) == (0.75, "alrctl")
    assert prediction["result"][0]["value"] == {"choices": ["melanoma"]}


def test_a_suggestion_without_a_certainty_has_no_score() -> None:
    (task,) = annotators.tasks(make_queue(["a"], certainty=None), make_pictures(1), suggest=True)
    assert "score" not in task["predictions"][0]


def test_no_key_of_a_task_is_a_control() -> None:
    (task,) = annotators.tasks(make_queue(["a"]), make_pictures(1))
    view = ElementTree.fromstring(annotators.labelling_config(CLASSES))
    controls = {element.get("name") for element in view if element.get("toName")}
    assert controls == {"label", "comment"}
    assert not controls & set(task["data"])


def test_a_prediction_names_the_control_and_the_image_of_the_config() -> None:
    (task,) = annotators.tasks(make_queue(["a"]), make_pictures(1), suggest=True)
    view = ElementTree.fromstring(annotators.labelling_config(CLASSES))
    (choices,) = view.iter("Choices")
    (image,) = view.iter("Image")
    result = task["predictions"][0]["result"][0]
    assert (result["from_name"], result["to_name"]) == (choices.get("name"), choices.get("toName"))
    assert image.get("name") == choices.get("toName")
    assert str(image.get("value")).removeprefix("$") in task["data"]


def choices_of(config: str) -> list[dict[str, str]]:
    return [choice.attrib for choice in ElementTree.fromstring(config).iter("Choice")]


def test_the_config_holds_hostile_classes_as_they_are() -> None:
    found = choices_of(annotators.labelling_config(HOSTILE_CLASSES))
    assert tuple(choice["value"] for choice in found) == HOSTILE_CLASSES


@settings(max_examples=50, deadline=None)
@given(class_names)
def test_the_config_holds_exactly_the_classes_in_order(names: list[str]) -> None:
    found = choices_of(annotators.labelling_config(names))
    assert [choice["value"] for choice in found] == names
    assert [choice.get("hotkey") for choice in found] == [str(n) if n <= 9 else None for n in range(1, len(names) + 1)]


def test_a_class_that_xml_cannot_hold_is_refused() -> None:
    with pytest.raises(DataError, match=r"'bad\\x01'.*control character"):
        annotators.labelling_config(("good", "bad\x01"))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 400))
def test_every_cvat_label_is_a_tag_in_a_colour_of_its_own(count: int) -> None:
    labels = annotators.cvat_labels([f"class {number}" for number in range(count)])
    assert [label["name"] for label in labels] == [f"class {number}" for number in range(count)]
    assert {label["type"] for label in labels} == {"tag"}
    assert all(re.fullmatch("#[0-9a-f]{6}", label["color"]) for label in labels)
    assert len({label["color"] for label in labels}) == count


def check_names(names: list[str | None]) -> None:
    assert None not in names
    assert len({str(name).casefold() for name in names}) == len(names)
    for name in names:
        assert re.fullmatch(r"\d+_[\w.-]*\.png", str(name))
        assert ".." not in str(name)
        assert len(str(name).encode()) <= 200


def test_hostile_ids_give_safe_names_no_two_alike() -> None:
    check_names(annotators.archive_names(make_queue(HOSTILE_IDS), make_pictures(len(HOSTILE_IDS))))


@settings(max_examples=100, deadline=None)
@given(st.lists(ids, min_size=1, max_size=12, unique=True))
def test_any_ids_give_safe_names_no_two_alike(sample_ids: list[str]) -> None:
    check_names(annotators.archive_names(make_queue(sample_ids), make_pictures(len(sample_ids))))


def test_a_plain_id_stays_readable_in_its_name() -> None:
    names = annotators.archive_names(make_queue(["ISIC_0031219", "診断-7.b"]), make_pictures(2))
    assert names == ["1_ISIC_0031219.png", "2_診断-7.b.png"]


def test_names_sorted_as_text_stand_in_rank_order_and_lead_back_to_the_samples() -> None:
    queue = make_queue([f"id{1000 - number}" for number in range(120)])
    names = [str(name) for name in annotators.archive_names(queue, make_pictures(120))]
    assert names == sorted(names)
    assert [int(name.split("_")[0]) for name in names] == queue["rank"].to_list()


@pytest.mark.parametrize(
    ("file", "name"), [("x.JPG", "1_a.jpg"), ("x.tiff", "1_a.tiff"), ("x", "1_a.png"), ("x.b c", "1_a.png")]
)
def test_a_name_ends_as_the_original_does(file: str, name: str) -> None:
    assert annotators.archive_names(make_queue(["a"]), [Picture("a", file=Path(file))]) == [name]


def test_the_archive_holds_the_originals_bytes_else_the_pixels(tmp_path: Path) -> None:
    Image.fromarray(make_pixels(7)).save(tmp_path / "a.jpg")
    pictures = [Picture("a", make_pixels(1), tmp_path / "a.jpg"), Picture("b"), Picture("c", make_pixels(2))]
    names = annotators.archive_names(make_queue(["a", "b", "c"]), pictures)
    annotators.archive(tmp_path / "i.zip", pictures, names)
    with ZipFile(tmp_path / "i.zip") as packed:
        assert packed.namelist() == ["1_a.jpg", "3_c.png"]
        assert packed.testzip() is None
        assert packed.read("1_a.jpg") == (tmp_path / "a.jpg").read_bytes()
        with Image.open(io.BytesIO(packed.read("3_c.png"))) as image:
            assert np.array_equal(np.asarray(image), make_pixels(2))


def test_an_original_that_has_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jpg: no such file"):
        annotators.archive(tmp_path / "i.zip", [Picture("a", file=tmp_path / "gone.jpg")], ["1_a.jpg"])


def test_cvats_list_is_the_archive_in_rank_order(tmp_path: Path) -> None:
    pictures = [*make_pictures(11), Picture("without")]
    annotators.write(tmp_path, make_queue([f"id {9 - number}" for number in range(12)]), pictures, CLASSES)
    listed = (tmp_path / "cvat_images.txt").read_text(encoding="utf-8").splitlines()
    with ZipFile(tmp_path / "images.zip") as packed:
        assert packed.namelist() == listed
    assert len(listed) == 11


def test_every_json_file_is_whole(tmp_path: Path) -> None:
    annotators.write(tmp_path, make_queue(["a", "b"]), make_pictures(2), HOSTILE_CLASSES, suggest=True)
    assert len(json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))) == 2
    labels = json.loads((tmp_path / "cvat_labels.json").read_text(encoding="utf-8"))
    assert tuple(label["name"] for label in labels) == HOSTILE_CLASSES


def first_cell(queue: pl.DataFrame, picture: Picture) -> Image.Image:
    """Return the sheet from the upper left corner of the first frame on."""
    sheet = annotators.contact_sheet(queue, [picture])
    return sheet.crop((14, 58, sheet.width, sheet.height))


@pytest.mark.parametrize(("suggested", "colour"), [("melanoma", "#D55E00"), ("naevus", "#0072B2")])
def test_the_frame_tells_whether_the_labels_differ(suggested: str, colour: str) -> None:
    cell = first_cell(make_queue(["a"], suggested=suggested), make_pictures(1)[0])
    for place in [(0, 0), (3, 60), (135, 135), (60, 132)]:
        assert hexed(cell.getpixel(place)) == colour
    assert hexed(cell.getpixel((136, 60))) == "#FFFFFF"


def test_a_thumbnail_shows_the_image() -> None:
    green = np.full((300, 200, 3), ImageColor.getrgb("#00FF00"), np.uint8)
    cell = first_cell(make_queue(["a"]), Picture("a", green))
    assert hexed(cell.getpixel((68, 68))) == "#00FF00"
    assert hexed(cell.getpixel((8, 68))) == "#FFFFFF"  # beside an upright image


def test_a_sample_without_an_image_has_a_grey_cell() -> None:
    assert hexed(first_cell(make_queue(["a"]), Picture("a")).getpixel((20, 20))) == "#C8C8C8"


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (100, 90), (600, 450), (4000, 1), (1, 4000)])
def test_a_thumbnail_fits_the_cell_and_keeps_its_aspect(size: tuple[int, int]) -> None:
    fitted = contact_sheet.fitted(Image.new("RGB", size))
    assert max(fitted.size) <= contact_sheet.SIDE < 2 * max(fitted.size)
    wanted = max(fitted.size) * min(size) / max(size)
    assert abs(min(fitted.size) - wanted) <= 1


def test_a_small_image_is_enlarged_with_its_own_colours() -> None:
    pixels = make_pixels(3, 28, 28)
    enlarged = np.asarray(contact_sheet.fitted(Image.fromarray(pixels)))
    assert np.array_equal(enlarged, pixels.repeat(4, axis=0).repeat(4, axis=1))


def test_the_sheet_shows_no_more_than_asked() -> None:
    queue, pictures = make_queue([str(number) for number in range(20)]), make_pictures(20)
    assert annotators.contact_sheet(queue, pictures, most=8).height < annotators.contact_sheet(queue, pictures).height
    cut = np.asarray(annotators.contact_sheet(queue, pictures, most=8))
    of_eight = np.asarray(annotators.contact_sheet(queue.head(8), pictures[:8]))
    assert np.array_equal(cut[34:], of_eight[34:])  # below the title


def test_the_sheet_says_what_it_leaves_out() -> None:
    assert contact_sheet.heading(120, 4000) == "first 120 of 4,000 samples, by rank"
    assert contact_sheet.heading(1, 1) == "1 sample, by rank"


def test_names_of_any_kind_can_be_written_on_the_sheet() -> None:
    for name in HOSTILE_CLASSES:
        sheet = annotators.contact_sheet(make_queue(["a"], name, name, None), make_pictures(1))
        bare = annotators.contact_sheet(make_queue(["a"], "x", "x", None), make_pictures(1))
        assert sheet.size == bare.size


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map(lambda text: 4 * text))
def test_a_shortened_name_fits_and_a_short_one_stays(name: str) -> None:
    font = ImageFont.truetype(contact_sheet.font_file(), 12)
    short = contact_sheet.shortened(name, font, 150)
    assert font.getlength(short) <= 150
    plain = " ".join(name.split())
    assert ("…" in short.replace(plain, "")) == (font.getlength(plain) > 150)


def test_names_that_begin_alike_stay_apart_when_shortened() -> None:
    font = ImageFont.truetype(contact_sheet.font_file(), 12)
    names = [f"squamous cell carcinoma in situ ({place})" for place in ("Bowen", "other")]
    assert len({contact_sheet.shortened(name, font) for name in names}) == 2
