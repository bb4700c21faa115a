"""CVAT, ImageNet and COCO name images and classes, and never who answered."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.errors import AlrctlError


def refused(desk: Any, path: Any, **more: Any) -> str:
    with pytest.raises(AlrctlError) as told:
        desk.take(path, **more)
    assert "\n" not in str(told.value)
    return str(told.value)


def cvat(*images: str) -> str:
    return f"<annotations><version>1.1</version><meta/>{''.join(images)}</annotations>"


def image(name: str, *inner: str) -> str:
    return f'<image id="0" name="{name}" width="8" height="8">{"".join(inner)}</image>'


NAEVUS, MELANOMA = '<tag label="naevus" source="manual"/>', '<tag label="melanoma"></tag>'
AUTO = '<tag label="naevus" source="auto"/>'
BOX = '<box label="naevus" source="manual" xtl="1" ytl="1" xbr="2" ybr="2"/>'


def test_tags_by_a_program_are_left_out_with_a_warning(desk: Any, write: Any) -> None:
    path = write("a.xml", cvat(image("007.png", AUTO), image("1e5.png", AUTO, MELANOMA)))
    taken = desk.take(path)
    assert taken.labels == [("1e5", "melanoma")]
    assert taken.found.facts == {"never_annotated": 1, "by_a_program": 2, "shapes": 0}
    assert taken.found.warnings == (f"{path}: 2 tags put there by a program, not a person; left out",)


def test_several_tags_are_a_conflict_and_the_same_twice_is_one(desk: Any, write: Any) -> None:
    taken = desk.take(write("a.xml", cvat(image("007.png", NAEVUS, MELANOMA), image("1e5.png", NAEVUS, NAEVUS))))
    assert [(row["sample_id"], row["answer"], row["problem"]) for row in taken.answers] == [
        ("007", None, "several classes chosen (naevus, melanoma)"),
        ("1e5", "naevus", None),
    ]


@pytest.mark.parametrize("shape", ["box", "polygon", "polyline", "points", "mask", "cuboid", "skeleton", "ellipse"])
def test_shapes_are_no_answers_about_the_image(shape: str, desk: Any, write: Any) -> None:
    path = write("a.xml", cvat(image("007.png", BOX.replace("box", shape)), image("1e5.png", NAEVUS)))
    taken = desk.take(path)
    assert taken.labels == [("1e5", "naevus")]
    assert taken.found.warnings == (f"{path}: 1 shape within images; only tags of whole images are answers",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "<annotations><track id='0' label='naevus'/></annotations>",
            "holds tracks of a video; export as 'CVAT for im",
        ),
        ("<annotation><folder/></annotation>", "begins with <annotation>; CVAT for images begins with <annotations>"),
        (cvat(image("", NAEVUS)), "image 1 has no name"),
        (cvat(image("007.png", "<tag/>")), "image 1 ('007.png') has a tag without a label"),
        (cvat(image("007.png"))[:-5], "is no readable XML file"),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + cvat(image("007.png", NAEVUS)), "is no readable XML file"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations/>', "is no readable XML file"),
        (cvat(image("9.png", NAEVUS)), "1 answer for a sample that does not exist (first: image 1, '9.png'"),
        (cvat(image("007.png", '<tag label="nevus"/>')), "(first: image 1, 'nevus'; did you mean 'naevus'?)"),
    ],
)
def test_what_is_no_cvat_file_is_refused_with_the_reason(text: str, told: str, desk: Any, write: Any) -> None:
    assert told in refused(desk, write("a.xml", text))


def test_an_image_may_be_named_as_in_the_archive_the_source_or_the_queue(make_desk: Any, write: Any) -> None:
    desk = make_desk(sources={"ward 3/scan.tif": "1e5"})
    names = ["4_007.png", "any/folder/scan.jpg", "lesion_6", r"C:\photos\b;2.png"]
    taken = desk.take(write("a.xml", cvat(*(image(name, NAEVUS) for name in names))))
    assert [name for name, _ in taken.labels] == ["007", "1e5", "lesion_6", "photos/b;2.png"]


def test_an_image_that_may_be_one_of_two_samples_is_refused(make_desk: Any, write: Any) -> None:
    desk = make_desk(ids=("a/1.png", "b/1.png"))
    told = refused(desk, write("a.xml", cvat(image("c/1.png", NAEVUS))))
    assert "1 image may be one of several samples (first: 'c/1.png' is 'a/1.png' or 'b/1.png')" in told


def folder(tmp_path: Any, *names: str) -> Any:
    for name in names:
        (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / name).touch()
    return tmp_path / "f"


def test_folders_are_classes_below_those_of_splits_and_others(desk: Any, tmp_path: Any) -> None:
    names = (
        "train/naevus/007.png",
        "val/melanoma/photos/a 1.png",
        "export/basal cell/lesion_6.jpg",
        "no_label/1e5.png",
    )
    taken = desk.take(folder(tmp_path, *names))
    assert sorted(taken.labels) == [("007", "naevus"), ("lesion_6", "basal cell"), ("photos/a 1.png", "melanoma")]
    assert taken.found.facts == {"never_annotated": 1} and taken.format == "imagenet"


def test_the_class_before_a_name_is_not_part_of_it(desk: Any, tmp_path: Any) -> None:
    names = ("naevus/naevus_007.png", "basal cell/basal cell_6_lesion_6.png", "no_label/no_label_1e5.png")
    assert sorted(desk.take(folder(tmp_path, *names)).labels) == [("007", "naevus"), ("lesion_6", "basal cell")]


def test_an_image_in_two_folders_is_a_conflict_even_with_the_class_before_its_name(desk: Any, tmp_path: Any) -> None:
    names = ("naevus/naevus_007.png", "melanoma/melanoma_007.png", "naevus/1e5.png", "melanoma/1e5.png")
    outputs = desk.relabel(folder(tmp_path, *names))
    assert outputs.labels.filter("relabelled").height == 0
    assert set(outputs.conflicts["sample_id"]) == {"007", "1e5"}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["007.png"], "'007.png' lies in no folder; its folder's name is its class"),
        (["train/007.png"], "'train/007.png' lies in no folder; its folder's name is its class"),
        (["naevvs/007.png"], "(first: image 1, 'naevvs'; did you mean 'naevus'?)"),
        (["notes.txt"], "holds no answers; known are a CSV"),
        (["a.csv", "b/c.json"], "holds 2 files that may be answers (a.csv, b/c.json); name the one that is meant"),
    ],
)
def test_a_folder_that_says_nothing_is_refused_with_the_reason(
    names: list[str], told: str, desk: Any, tmp_path: Any
) -> None:
    assert told in refused(desk, folder(tmp_path, *names))


def listed(pack: Any, text: str, classes: str = "naevus\nmelanoma\nbasal cell\n", **more: str) -> Any:
    entries = {
        "train.txt": text,
        "synsets.txt": classes,
        **{name.replace("_", "/") + ".txt": t for name, t in more.items()},
    }
    return pack("lists.zip", [(name, content.encode()) for name, content in entries.items()])


def test_lists_name_the_class_by_its_place(desk: Any, pack: Any) -> None:
    text = '"photos/a 1".png 2\n007.png 0\n\n1e5.png\nlesion_6.png \n=7.png\t1\n'
    taken = desk.take(listed(pack, text, val="lesion_8.png 1\n"))
    assert dict(taken.labels) == {
        "photos/a 1.png": "basal cell",
        "007": "naevus",
        "=7": "melanoma",
        "lesion_8": "melanoma",
    }
    assert taken.found.facts == {"never_annotated": 2}
    assert [row["place"] for row in taken.answers] == [1, 2, 6, 1]


def test_several_indices_are_a_conflict(desk: Any, pack: Any) -> None:
    (row,) = desk.take(listed(pack, "007.png 0 2\n")).answers
    assert (row["answer"], row["problem"]) == (None, "several classes chosen (naevus, basal cell)")


def test_an_index_beyond_the_classes_is_refused(desk: Any, pack: Any) -> None:
    told = refused(desk, listed(pack, "1e5.png 1\n007.png 3\n"))
    assert told.endswith("train.txt: line 2 has index 3; synsets.txt has 3 classes, counted from 0")


def test_two_lists_of_classes_are_refused(desk: Any, pack: Any) -> None:
    assert "holds 2 files 'synsets.txt'; one is needed" in refused(desk, listed(pack, "007.png 0\n", b_synsets="a\n"))


def coco(*annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    parts = {
        "images": [
            {"id": 1, "file_name": "007.png"},
            {"id": 2, "file_name": "1e5.png"},
            {"id": 3, "file_name": "x.png"},
        ],
        "categories": [{"id": 5, "name": "naevus"}, {"id": 6, "name": "melanoma"}],
    }
    return {**parts, "annotations": list(annotations), **more}


WHOLE = {"image_id": 1, "category_id": 6}


@pytest.mark.parametrize("empty", [{}, {"bbox": []}, {"bbox": [0, 0, 0, 0]}, {"bbox": None, "segmentation": []}])
def test_a_category_of_a_whole_image_is_an_answer(empty: dict[str, Any], desk: Any, write: Any) -> None:
    taken = desk.take(write("a.json", coco(WHOLE | empty)))
    assert taken.labels == [("007", "melanoma")] and taken.found.facts["never_annotated"] == 2


@pytest.mark.parametrize(
    "shape", [{"bbox": [0, 0, 5, 5]}, {"segmentation": [[1, 2, 3, 4]]}, {"segmentation": {"size": [1]}}]
)
def test_boxes_and_masks_do_not_count(shape: dict[str, Any], desk: Any, write: Any) -> None:
    path = write("a.json", coco(WHOLE | shape, {"image_id": 2, "category_id": 5}))
    taken = desk.take(path)
    assert taken.labels == [("1e5", "naevus")]
    assert taken.found.warnings == (f"{path}: 1 shape within images; only categories of whole images are answers",)


def test_two_categories_of_an_image_are_a_conflict(desk: Any, write: Any) -> None:
    (row,) = desk.take(write("a.json", coco(WHOLE, WHOLE | {"category_id": 5}, WHOLE))).answers
    assert (row["answer"], row["problem"]) == (None, "several classes chosen (melanoma, naevus)")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (coco(WHOLE, {"image_id": 9, "category_id": 5}), "annotation 2 is of no image or no category of this file"),
        (coco({"image_id": 1, "category_id": None}), "annotation 1 is of no image or no category of this file"),
        (coco({"image_id": [1], "category_id": {}}), "annotation 1 is of no image or no category of this file"),
        (coco(5), "annotation 1 is of no image or no category of this file"),
        (coco(WHOLE, images=[{"id": 1}]), "image 1 has no id or no file_name"),
        (coco(WHOLE, categories=[{"id": [], "name": "naevus"}]), "category 1 has no id or no name"),
        (coco(WHOLE, images=[{"id": 1, "file_name": "a"}] * 2), "two image entries have the id 1"),
    ],
)
def test_what_is_no_coco_file_is_refused_with_the_reason(content: Any, told: str, desk: Any, write: Any) -> None:
    assert told in refused(desk, write("a.json", content))
