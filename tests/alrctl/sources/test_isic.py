"""ISIC 2019 as distributed: classes by ground truth, groups by lesion, the official test set where it is labelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
HEADER = ",".join(("image", *CLASSES))


def marks(label: str) -> list[float]:
    return [float(label == name) for name in CLASSES]


def write_training(trees: Any, root: Path, lesions: int = 30) -> Path:
    """Write two images a lesion, of MEL, NV and SCC in turn; a tenth of them without a lesion, a fifth reduced."""
    truth, metadata = [], []
    for number in range(2 * lesions):
        name = f"ISIC_{number:07d}" + ("_downsampled" if number % 5 == 0 else "")
        trees.image(root / f"ISIC_2019_Training_Input/{name}.jpg")
        truth.append((name, *marks(("MEL", "NV", "SCC")[number // 2 % 3])))
        lesion = "" if number % 10 == 0 else f"BCN_{number // 2:07d}"
        metadata.append((name, "55.0", "anterior torso", lesion, "female"))
    trees.table(root / "ISIC_2019_Training_GroundTruth.csv", HEADER, truth)
    header = "image,age_approx,anatom_site_general,lesion_id,sex"
    trees.table(root / "ISIC_2019_Training_Metadata.csv", header, metadata)
    (root / "ISIC_2019_Training_Input/LICENSE.txt").write_text("text beside the images")
    return root


def write_test(trees: Any, root: Path, labels: str = "MEL NV SCC UNK UNK") -> Path:
    """Write the official test set: with weights in the ground truth, without lesions in the metadata."""
    rows = [(f"ISIC_9{number:06d}", label) for number, label in enumerate(labels.split())]
    trees.images(root / f"ISIC_2019_Test_Input/{name}.jpg" for name, _ in rows)
    header = f"{HEADER},score_weight,validation_weight"
    truth = [(name, *marks(label), "1.0", "0.0") for name, label in rows]
    trees.table(root / "ISIC_2019_Test_GroundTruth.csv", header, truth)
    metadata = [(name, "30.0", "head/neck", "male") for name, _ in rows]
    trees.table(root / "ISIC_2019_Test_Metadata.csv", "image,age_approx,anatom_site_general,sex", metadata)
    return root


@pytest.mark.parametrize("below", [False, True])
def test_the_training_set_is_recognised_and_split_by_lesion(
    ingest: Any, trees: Any, tmp_path: Path, below: bool
) -> None:
    write_training(trees, tmp_path / "isic/inner" if below else tmp_path / "isic")
    found = ingest(tmp_path / "isic")
    assert found.summary["layout"] == "isic"
    assert found.classes == {"names": ["MEL", "NV", "SCC"], "ordered": False}, "in the official order, and no UNK"
    assert len(found.labels) == 60
    assert found.labels["ISIC_0000002"] == "NV"
    assert found.labels["ISIC_0000005_downsampled"] == "SCC"
    assert found.groups["ISIC_0000002"] == found.groups["ISIC_0000003"] == "BCN_0000001"
    assert found.groups["ISIC_0000010_downsampled"] is None, "an image without a lesion is by itself"
    found.no_group_crosses(30)
    found.goes_on()


def test_an_image_is_found_whether_or_not_its_file_says_that_it_was_reduced(
    ingest: Any, trees: Any, tmp_path: Path
) -> None:
    root = write_training(trees, tmp_path / "isic")
    images = root / "ISIC_2019_Training_Input"
    (images / "ISIC_0000005_downsampled.jpg").rename(images / "ISIC_0000005.jpg")
    (images / "ISIC_0000006.jpg").rename(images / "ISIC_0000006_downsampled.jpg")
    found = ingest(root)
    assert {"ISIC_0000005_downsampled", "ISIC_0000006"} <= set(found.labels), "named as in the ground truth"
    assert found.table.filter(sample_id="ISIC_0000006")["source"].item().endswith("ISIC_0000006_downsampled.jpg")


def test_the_official_test_set_is_the_test_split_without_what_training_has_no_image_of(
    ingest: Any, trees: Any, tmp_path: Path
) -> None:
    found = ingest(write_test(trees, write_training(trees, tmp_path / "isic")))
    assert found.of_split("test") == {"MEL": 1, "NV": 1, "SCC": 1}
    assert {name for name, split in found.splits.items() if split == "test"} == {
        "ISIC_9000000",
        "ISIC_9000001",
        "ISIC_9000002",
    }
    assert sum(found.of_split("train").values()) + sum(found.of_split("val").values()) == 60
    assert found.summary["notes"] == ["2 test images of UNK left out: no training image is of that class"]
    found.goes_on()


def test_a_training_image_of_the_unknown_makes_it_a_class(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = write_test(trees, write_training(trees, tmp_path / "isic"))
    truth = root / "ISIC_2019_Training_GroundTruth.csv"
    lines = truth.read_text().splitlines()
    last = [f"{line.split(',')[0]},{','.join(map(str, marks('UNK')))}" for line in lines[-6:]]
    truth.write_text("\n".join([*lines[:-6], *last]))
    found = ingest(root)
    assert found.classes["names"] == ["MEL", "NV", "SCC", "UNK"]
    assert found.of_split("test") == {"MEL": 1, "NV": 1, "SCC": 1, "UNK": 2}


def test_a_test_set_without_its_other_half_is_told_and_left(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = write_test(trees, write_training(trees, tmp_path / "isic"))
    (root / "ISIC_2019_Test_GroundTruth.csv").rename(tmp_path / "away.csv")
    found = ingest(root)
    made = "the test split is made of training images"
    assert found.summary["notes"] == [f"ISIC_2019_Test_Input is there without ISIC_2019_Test_GroundTruth.csv: {made}"]
    assert len(found.labels) == 60
    found.no_group_crosses(30)
    (tmp_path / "away.csv").rename(root / "ISIC_2019_Test_GroundTruth.csv")
    (root / "ISIC_2019_Test_Input").rename(tmp_path / "away")
    found = ingest(root, "--force")
    assert found.summary["notes"] == [f"ISIC_2019_Test_GroundTruth.csv is there without ISIC_2019_Test_Input: {made}"]


def test_images_that_were_not_unpacked_are_refused_or_left_out_and_counted(
    ingest: Any, trees: Any, tmp_path: Path
) -> None:
    root = write_training(trees, tmp_path / "isic")
    (root / "ISIC_2019_Training_Input/ISIC_0000003.jpg").unlink()
    (root / "ISIC_2019_Training_Input/ISIC_0000007.jpg").unlink()
    told = (
        f"{root}/ISIC_2019_Training_GroundTruth.csv: column 'image' names 2 images of 60 that are not there "
        "(first: row 5, 'ISIC_0000003')"
    )
    ingest(root).refused(f"{told}; unpack ISIC_2019_Training_Input.zip whole, or leave them out with --skip-broken")
    found = ingest(root, "--skip-broken")
    assert f"warning: {told}; left out\n" in found.ran.err
    assert found.summary["missing_images"] == 2
    assert len(found.labels) == 58
    found.goes_on()


def test_no_image_at_all_is_refused_whatever_is_told(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = write_training(trees, tmp_path / "isic")
    (root / "ISIC_2019_Training_Input").rename(tmp_path / "away")
    ingest(root, "--skip-broken").refused(
        f"{root}/ISIC_2019_Training_GroundTruth.csv: column 'image' names 60 images of 60 that are not there "
        "(first: row 2, 'ISIC_0000000_downsampled'); unpack ISIC_2019_Training_Input.zip whole"
    )


def test_without_the_metadata_there_are_no_lesions_and_no_splits(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = write_training(trees, tmp_path / "isic")
    (root / "ISIC_2019_Training_Metadata.csv").unlink()
    ingest(root).refused(
        f"{root}/ISIC_2019_Training_Metadata.csv: no such file; it tells which images are of one lesion, and without "
        "it one lesion would be in train and in test (download it from the page that the ground truth is from)"
    )


def test_faults_of_the_tables_are_told_by_column_and_row(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = write_training(trees, tmp_path / "isic")
    truth, metadata = root / "ISIC_2019_Training_GroundTruth.csv", root / "ISIC_2019_Training_Metadata.csv"
    good_truth, good_metadata = truth.read_text(), metadata.read_text()
    truth.write_text(good_truth.replace("SCC", "SQ"))
    columns = "'image', 'MEL', 'NV', 'BCC', 'AK', 'BKL', 'DF', 'VASC', 'SQ', 'UNK'"
    ingest(root).refused(f"{truth}: column SCC missing (found: {columns})")
    truth.write_text(good_truth.replace("ISIC_0000001,1.0", "ISIC_0000001,0.0"))
    ingest(root).refused(f"{truth}: 1 rows do not mark exactly one class (first: row 3)")
    truth.write_text(good_truth)
    metadata.write_text("".join(good_metadata.splitlines(keepends=True)[:40]))
    ingest(root).refused(
        f"{truth}: column 'image' names 21 images that ISIC_2019_Training_Metadata.csv has no row of "
        "(first: row 41, 'ISIC_0000039'); download both anew"
    )
    metadata.write_text(good_metadata + good_metadata.splitlines()[1])
    ingest(root).refused(
        f"{metadata}: column 'image' names images twice, in 2 rows (first: row 2, 'ISIC_0000000_downsampled')"
    )


def test_a_folder_without_the_ground_truth_is_not_isic(ingest: Any, trees: Any, tmp_path: Path) -> None:
    trees.image(tmp_path / "photos/cat/a.jpg")
    ingest(tmp_path / "photos", "--format", "isic").refused(
        f"{tmp_path}/photos: has no ISIC_2019_Training_GroundTruth.csv"
    )
