"""NCT-CRC-HE-100K as distributed: nine folders, the test set beside it, and a long tail in the train split alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

TISSUES = ["ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM"]
AS_DISTRIBUTED = "the classes are as distributed; --imbalance-ratio makes the train split long-tailed"
ALONE = "no CRC-VAL-HE-7K beside it: test is made of the training set, and patches of one patient may be in both"
NO_PATIENTS = "no patient is told: patches of one may be in train and val"


def write(trees: Any, folder: Path, each: int) -> Path:
    """Write `each` patches of each tissue."""
    trees.images(
        folder / f"{tissue}/{tissue}-{letters(trees.written + n)}.tif" for tissue in TISSUES for n in range(each)
    )
    return folder


def letters(number: int) -> str:
    return "".join(chr(ord("A") + int(digit)) for digit in f"{number:08d}")


@pytest.mark.parametrize("name", ["NCT-CRC-HE-100K", "NCT-CRC-HE-100K-NONORM"])
@pytest.mark.parametrize("inside", [False, True])
def test_the_training_set_is_recognised_and_the_set_beside_it_is_the_test_split(
    ingest: Any, trees: Any, tmp_path: Path, name: str, inside: bool
) -> None:
    train = write(trees, tmp_path / "crc" / name, each=6)
    write(trees, tmp_path / "crc/CRC-VAL-HE-7K", each=2)
    found = ingest(train if inside else tmp_path / "crc")
    assert found.summary["layout"] == "imbalanced_histopathology"
    assert found.classes == {"names": TISSUES, "ordered": False}
    assert found.of_split("test") == dict.fromkeys(TISSUES, 2)
    assert {key.split("/")[0] for key, split in found.splits.items() if split == "test"} == {"CRC-VAL-HE-7K"}
    assert {key.split("/")[0] for key, split in found.splits.items() if split != "test"} == {name}
    assert found.labels[f"{name}/ADI/ADI-AAAAAAAA.tif"] == "ADI"
    assert found.summary["notes"] == [NO_PATIENTS, AS_DISTRIBUTED]
    found.goes_on()


def test_the_train_split_alone_is_made_long_tailed(ingest: Any, trees: Any, tmp_path: Path) -> None:
    write(trees, tmp_path / "crc/NCT-CRC-HE-100K", each=18)
    write(trees, tmp_path / "crc/CRC-VAL-HE-7K", each=2)
    balanced = ingest(tmp_path / "crc").summary["by_split"]
    found = ingest(tmp_path / "crc", "--imbalance-ratio", 8)
    train = found.of_split("train")
    largest = max(balanced["train"].values())
    assert max(train.values()) == largest
    assert min(train.values()) == round(largest / 8)
    assert sorted(train.values(), reverse=True) == [round(largest * 8 ** (-rank / 8)) for rank in range(9)]
    assert found.summary["by_split"]["test"] == balanced["test"]
    assert found.summary["by_split"]["val"] == balanced["val"]
    assert found.summary["notes"] == [NO_PATIENTS]
    found.goes_on()


def test_without_the_set_beside_it_the_test_split_is_made_and_that_is_said(
    ingest: Any, trees: Any, tmp_path: Path
) -> None:
    found = ingest(write(trees, tmp_path / "NCT-CRC-HE-100K", each=6))
    assert set(found.splits.values()) == {"train", "val", "test"}
    assert found.summary["notes"] == [ALONE, AS_DISTRIBUTED]


def test_a_set_unpacked_into_a_folder_of_its_name_is_found(ingest: Any, trees: Any, tmp_path: Path) -> None:
    write(trees, tmp_path / "NCT-CRC-HE-100K/NCT-CRC-HE-100K", each=6)
    write(trees, tmp_path / "CRC-VAL-HE-7K/CRC-VAL-HE-7K", each=1)
    found = ingest(tmp_path / "NCT-CRC-HE-100K")
    assert found.of_split("test") == dict.fromkeys(TISSUES, 1)
    assert len(found.labels) == 63


def test_a_renamed_set_is_recognised_by_its_nine_tissues_and_no_other_folder(
    ingest: Any, trees: Any, tmp_path: Path
) -> None:
    write(trees, tmp_path / "patches", each=4)
    assert ingest(tmp_path / "patches").summary["layout"] == "imbalanced_histopathology"
    trees.images(tmp_path / f"patches/OTHER/{number}.tif" for number in range(4))
    assert ingest(tmp_path / "patches").summary["layout"] == "folder"


def test_both_colourings_in_one_folder_are_not_chosen_between(ingest: Any, trees: Any, tmp_path: Path) -> None:
    for name in ("NCT-CRC-HE-100K", "NCT-CRC-HE-100K-NONORM"):
        write(trees, tmp_path / "crc" / name, each=1)
    ingest(tmp_path / "crc").refused(
        f"{tmp_path}/crc: holds NCT-CRC-HE-100K and NCT-CRC-HE-100K-NONORM, the same patches twice; "
        "name the folder of one"
    )


def test_a_set_that_was_not_unpacked_whole_is_refused(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = write(trees, tmp_path / "NCT-CRC-HE-100K", each=4)
    (root / "MUC").rename(tmp_path / "away")
    for path in (root / "TUM").iterdir():
        path.unlink()
    ingest(root).refused(
        f"{root}: has no image of MUC, TUM (looked for .bmp, .gif, .jpeg, .jpg, .png, .tif, .tiff, .webp); "
        "unpack NCT-CRC-HE-100K.zip whole"
    )


def test_a_folder_that_is_no_tissue_or_no_set_is_refused(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = write(trees, tmp_path / "NCT-CRC-HE-100K", each=4)
    (root / "TUMOUR").mkdir()
    nine = "ADI, BACK, DEB, LYM, MUC, MUS, NORM, STR, TUM"
    ingest(root).refused(f"{root}: has the folder 'TUMOUR', which is none of {nine}; --format folder")
    trees.image(tmp_path / "photos/cat/a.jpg")
    ingest(tmp_path / "photos", "--format", "imbalanced_histopathology").refused(
        f"{tmp_path}/photos: has no folder NCT-CRC-HE-100K or NCT-CRC-HE-100K-NONORM, nor the nine tissues ({nine})"
    )
    trees.image(tmp_path / "one.png")
    ingest(tmp_path / "one.png", "--format", "imbalanced_histopathology").refused(
        f"{tmp_path}/one.png: is not a folder"
    )
