"""HyperKvasir as distributed: the folder of an image is its finding, and the table is held to that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

FINDINGS = {
    "lower-gi-tract/anatomical-landmarks/cecum": 8,
    "lower-gi-tract/pathological-findings/polyps": 10,
    "lower-gi-tract/pathological-findings/hemorrhoids": 4,
    "upper-gi-tract/anatomical-landmarks/z-line": 6,
    "upper-gi-tract/pathological-findings/esophagitis-a": 5,
    "upper-gi-tract/pathological-findings/esophagitis-b-d": 4,
}
NO_PATIENTS = "no patient is told: images of one examination may be in train and test"
HEADER = "Video file,Organ,Finding,Classification"


def name_of(number: int) -> str:
    return f"{number:08x}-4aa1-495a-afff-5ef6ad6ad3a0"


def write(trees: Any, root: Path) -> Path:
    """Write `labeled-images` into `root`, with its table, in which one finding's name is misspelt; return `root`."""
    rows = []
    for folder, count in FINDINGS.items():
        tract, kind, finding = folder.split("/")
        for _ in range(count):
            name = name_of(trees.written)
            trees.image(root / f"labeled-images/{folder}/{name}.jpg")
            organ = "Lower GI" if tract.startswith("lower") else "Upper GI"
            rows.append((name, organ, finding.replace("hemorrhoids", "hemorroids"), kind))
    trees.table(root / "labeled-images/image-labels.csv", HEADER, rows)
    return root


@pytest.mark.parametrize("place", [".", "labeled-images"])
def test_the_labelled_images_are_recognised_and_a_finding_is_a_class(
    ingest: Any, trees: Any, tmp_path: Path, place: str
) -> None:
    found = ingest(write(trees, tmp_path / "hyper-kvasir") / place)
    assert found.summary["layout"] == "kvasir"
    wanted = {folder.split("/")[-1]: count for folder, count in FINDINGS.items()}
    assert found.classes == {"names": sorted(wanted), "ordered": False}
    assert {name: list(found.labels.values()).count(name) for name in wanted} == wanted
    key = f"lower-gi-tract/anatomical-landmarks/cecum/{name_of(0)}.jpg"
    assert found.labels[key] == "cecum"
    assert set(found.groups.values()) == {None}
    assert set(found.splits.values()) == {"train", "val", "test"}
    found.goes_on()


def test_a_finding_that_the_table_calls_otherwise_is_said_with_its_count(
    ingest: Any, trees: Any, tmp_path: Path
) -> None:
    found = ingest(write(trees, tmp_path / "hyper-kvasir"))
    told = "image-labels.csv calls findings otherwise than their folders: 'hemorroids' for 'hemorrhoids' (4)"
    assert found.summary["notes"] == [told, NO_PATIENTS]
    assert told in found.ran.out


def test_the_folder_holds_where_the_table_has_another_finding_and_that_is_said(
    ingest: Any, trees: Any, tmp_path: Path
) -> None:
    root = write(trees, tmp_path / "hyper-kvasir")
    table = root / "labeled-images/image-labels.csv"
    text = table.read_text().replace("hemorroids", "hemorrhoids")
    table.write_text(text.replace("cecum", "polyps", 2))
    found = ingest(root)
    assert list(found.labels.values()).count("cecum") == 8
    told = (
        "image-labels.csv has another finding than the folder for 2 images, the folder holds: 'polyps' for 'cecum' (2)"
    )
    assert found.summary["notes"] == [told, NO_PATIENTS]


def test_images_without_a_row_and_a_table_that_is_not_there_are_said(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = write(trees, tmp_path / "hyper-kvasir")
    table = root / "labeled-images/image-labels.csv"
    lines = table.read_text().replace("hemorroids", "Hemorrhoids").splitlines()
    table.write_text("\n".join([lines[0], *lines[3:]]))
    key = f"lower-gi-tract/anatomical-landmarks/cecum/{name_of(0)}.jpg"
    told = f"2 images without a row in image-labels.csv (first: '{key}')"
    assert ingest(root).summary["notes"] == [told, NO_PATIENTS]
    table.unlink()
    found = ingest(root, "--force")
    assert found.summary["notes"] == ["no image-labels.csv: the folders alone tell the findings", NO_PATIENTS]
    assert len(found.labels) == 37


def test_images_that_were_not_unpacked_are_refused_or_left_out_and_counted(
    ingest: Any, trees: Any, tmp_path: Path
) -> None:
    root = write(trees, tmp_path / "hyper-kvasir")
    images = root / "labeled-images/lower-gi-tract/anatomical-landmarks/cecum"
    (images / f"{name_of(1)}.jpg").unlink()
    told = (
        f"{root}/labeled-images/image-labels.csv: column 'Video file' names 1 image of 37 that is not there "
        f"(first: row 3, '{name_of(1)}')"
    )
    ingest(root).refused(f"{told}; unpack labeled-images whole, or leave them out with --skip-broken")
    found = ingest(root, "--skip-broken")
    assert f"warning: {told}; left out\n" in found.ran.err
    assert found.summary["missing_images"] == 1
    assert list(found.labels.values()).count("cecum") == 7
    found.goes_on()


def test_an_absent_image_is_of_the_finding_that_its_like_are_of(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = write(trees, tmp_path / "hyper-kvasir")
    next((root / "labeled-images/lower-gi-tract/pathological-findings/hemorrhoids").iterdir()).unlink()
    found = ingest(root, "--skip-broken")
    assert "hemorroids" not in found.classes["names"], "the table's name for it makes no class"
    assert list(found.labels.values()).count("hemorrhoids") == 3
    assert ingest(root, "--exclude-class", "hemorrhoids").ran.code == 0, "and it is left out with its like"


def test_findings_that_are_not_taken_need_not_be_there(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = write(trees, tmp_path / "hyper-kvasir")
    for path in (root / "labeled-images/lower-gi-tract/pathological-findings/hemorrhoids").iterdir():
        path.unlink()
    (root / "labeled-images/upper-gi-tract").rename(tmp_path / "away")
    found = ingest(root, "--keep-class", "polyps", "--keep-class", "cecum")
    assert found.classes["names"] == ["cecum", "polyps"]
    assert "missing_images" not in found.summary


def test_some_findings_are_kept_and_some_made_one(ingest: Any, trees: Any, tmp_path: Path) -> None:
    merged = ("--merge-class", "esophagitis-a=esophagitis", "--merge-class", "esophagitis-b-d = esophagitis")
    kept = [word for name in ("polyps", "esophagitis", "cecum") for word in ("--keep-class", name)]
    found = ingest(write(trees, tmp_path / "hyper-kvasir"), *merged, *kept)
    assert found.classes["names"] == ["cecum", "esophagitis", "polyps"]
    assert found.summary["merged_classes"] == {"esophagitis": {"esophagitis-a": 5, "esophagitis-b-d": 4}}
    assert found.summary["notes"][-2:] == [
        "class 'esophagitis' (9) is made of 'esophagitis-a' (5), 'esophagitis-b-d' (4)",
        "left out by class: 'hemorrhoids' (4), 'z-line' (6)",
    ]
    assert {name: list(found.labels.values()).count(name) for name in set(found.labels.values())} == {
        "cecum": 8,
        "esophagitis": 9,
        "polyps": 10,
    }
    found.goes_on()


def test_an_image_outside_of_a_findings_folder_is_refused(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = write(trees, tmp_path / "hyper-kvasir")
    trees.image(root / "labeled-images/lower-gi-tract/anatomical-landmarks/stray.jpg")
    ingest(root).refused(
        f"{root}/labeled-images: 1 image not in a folder <tract>/<kind>/<finding> (first: "
        "'lower-gi-tract/anatomical-landmarks/stray.jpg'); which finding do they show?"
    )


def test_a_table_without_its_columns_and_a_folder_without_a_tract_are_refused(
    ingest: Any, trees: Any, tmp_path: Path
) -> None:
    root = write(trees, tmp_path / "hyper-kvasir")
    table = root / "labeled-images/image-labels.csv"
    table.write_text(table.read_text().replace("Video file", "File"))
    columns = "'File', 'Organ', 'Finding', 'Classification'"
    ingest(root).refused(f"{table}: column Video file missing (found: {columns})")
    trees.image(tmp_path / "photos/cat/a.jpg")
    ingest(tmp_path / "photos", "--format", "kvasir").refused(
        f"{tmp_path}/photos: has no folder lower-gi-tract or upper-gi-tract; "
        "wanted is labeled-images as it was unpacked"
    )
