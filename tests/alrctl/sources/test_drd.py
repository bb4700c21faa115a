"""Diabetic retinopathy as Kaggle distributed it in 2015 and 2019: ordered grades, both eyes of a patient together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

GRADES = ["no apparent DR", "mild NPDR", "moderate NPDR", "severe NPDR", "proliferative DR"]
NO_PATIENTS = "no patient is told: the two eyes of one may be in two splits"


def write_2015(trees: Any, root: Path, patients: int = 40) -> Path:
    """Write both eyes of each patient, graded 0 to 4 in turn."""
    names = [f"{10 + number}_{eye}" for number in range(patients) for eye in ("left", "right")]
    trees.images(root / f"train/{name}.jpeg" for name in names)
    trees.table(root / "trainLabels.csv", "image,level", [(name, place // 2 % 5) for place, name in enumerate(names)])
    return root


def write_2015_test(trees: Any, root: Path) -> Path:
    names = [f"{number}_{eye}" for number in range(1, 6) for eye in ("left", "right")]
    trees.images(root / f"test/{name}.jpeg" for name in names)
    rows = [(name, place // 2, ("Public", "Private")[place % 2]) for place, name in enumerate(names)]
    trees.table(root / "retinopathy_solution.csv", "image,level,Usage", rows)
    return root


def write_aptos(trees: Any, root: Path, images: int = 40) -> Path:
    names = [f"{number:012x}" for number in range(images)]
    trees.images(root / f"train_images/{name}.png" for name in names)
    trees.images(root / f"test_images/{name}t.png" for name in names[:2])
    trees.table(root / "train.csv", "id_code,diagnosis", [(name, place % 5) for place, name in enumerate(names)])
    trees.table(root / "test.csv", "id_code", [(f"{name}t",) for name in names[:2]])
    return root


@pytest.mark.parametrize("below", [False, True])
def test_the_data_set_of_2015_has_ordered_grades_and_keeps_both_eyes_of_a_patient_together(
    ingest: Any, trees: Any, tmp_path: Path, below: bool
) -> None:
    write_2015(trees, tmp_path / "drd/inner" if below else tmp_path / "drd")
    found = ingest(tmp_path / "drd")
    assert found.summary["layout"] == "drd"
    assert found.summary["ordered"] is True
    assert found.classes == {"names": GRADES, "ordered": True}
    assert found.labels["13_left"] == "severe NPDR"
    assert found.groups["13_left"] == found.groups["13_right"] == "13"
    found.no_group_crosses(40)
    found.goes_on()


def test_its_published_grades_make_the_test_set_the_test_split(ingest: Any, trees: Any, tmp_path: Path) -> None:
    found = ingest(write_2015_test(trees, write_2015(trees, tmp_path / "drd")))
    assert {name for name, split in found.splits.items() if split == "test"} == {
        f"{number}_{eye}" for number in range(1, 6) for eye in ("left", "right")
    }
    assert found.of_split("test") == dict.fromkeys(GRADES, 2)
    assert found.groups["5_right"] == "5"
    assert found.table.filter(sample_id="5_right")["source"].item() == "test/5_right.jpeg"


@pytest.mark.parametrize(
    ("there", "absent"), [("retinopathy_solution.csv", "test"), ("test", "retinopathy_solution.csv")]
)
def test_half_of_its_test_set_is_told_and_left(
    ingest: Any, trees: Any, tmp_path: Path, there: str, absent: str
) -> None:
    root = write_2015_test(trees, write_2015(trees, tmp_path / "drd"))
    (root / absent).rename(tmp_path / "away")
    found = ingest(root)
    made = "the test split is made of training images"
    assert found.summary["notes"] == [f"{there} is there without {absent}: {made}"]
    found.no_group_crosses(40)


def test_the_data_set_of_2019_has_the_same_grades_and_tells_no_patients(
    ingest: Any, trees: Any, tmp_path: Path
) -> None:
    found = ingest(write_aptos(trees, tmp_path / "aptos"))
    assert found.summary["layout"] == "drd"
    assert found.classes == {"names": GRADES, "ordered": True}
    assert len(found.labels) == 40
    assert found.labels[f"{4:012x}"] == "proliferative DR"
    assert set(found.groups.values()) == {None}
    told = "test_images has no published grades: the test split is made of training images"
    assert found.summary["notes"] == [told, NO_PATIENTS]
    found.goes_on()


def test_grades_without_an_order_are_the_users_to_ask_for(ingest: Any, trees: Any, tmp_path: Path) -> None:
    found = ingest(write_aptos(trees, tmp_path / "aptos"), "--no-ordered")
    assert found.classes == {"names": GRADES, "ordered": False}


def test_neighbouring_grades_can_be_merged_and_stay_ordered(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = write_2015(trees, tmp_path / "drd")
    merged = [word for grade in GRADES[2:] for word in ("--merge-class", f"{grade}=referable")]
    found = ingest(root, *merged)
    assert found.classes == {"names": [*GRADES[:2], "referable"], "ordered": True}


def test_grades_are_not_merged_over_the_head_of_another(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = write_2015(trees, tmp_path / "drd")
    merged = ("--merge-class", "no apparent DR=ends", "--merge-class", "proliferative DR=ends")
    ingest(root, *merged).refused(
        f"{root}: class 'ends' would be made of grades that are no neighbours ('mild NPDR' lies between); "
        "merge that too, or give the order up with --no-ordered"
    )
    assert ingest(root, *merged, "--no-ordered").classes == {"names": ["ends", *GRADES[1:4]], "ordered": False}


def test_what_is_no_grade_is_told_by_row(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = write_2015(trees, tmp_path / "drd")
    table = root / "trainLabels.csv"
    table.write_text(table.read_text().replace("11_left,1", "11_left,5").replace("12_left,2", "12_left,"))
    ingest(root).refused(f"{table}: column 'level' has 2 values that are no grade (first: row 4, '5'); wanted: 0 to 4")


def test_an_image_that_tells_no_patient_is_told_by_row(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = write_2015(trees, tmp_path / "drd")
    table = root / "trainLabels.csv"
    table.write_text(table.read_text().replace("11_left", "11left"))
    ingest(root).refused(
        f"{table}: column 'image' has 1 name that is not <patient>_<eye> (first: row 4, '11left'); as in 10_left"
    )


def test_images_that_were_not_unpacked_are_refused_or_left_out_and_counted(
    ingest: Any, trees: Any, tmp_path: Path
) -> None:
    root = write_2015_test(trees, write_2015(trees, tmp_path / "drd"))
    (root / "train/11_left.jpeg").unlink()
    (root / "test/1_left.jpeg").unlink()
    of_train = f"{root}/trainLabels.csv: column 'image' names 1 image of 80 that is not there (first: row 4, '11_left')"
    of_test = f"{root}/retinopathy_solution.csv: column 'image' names 1 image of 10 that is not there "
    ingest(root).refused(f"{of_train}; unpack all images into train/, or leave them out with --skip-broken")
    found = ingest(root, "--skip-broken")
    assert f"warning: {of_train}; left out\n" in found.ran.err
    assert f"warning: {of_test}(first: row 2, '1_left'); left out\n" in found.ran.err
    assert found.summary["missing_images"] == 2
    assert len(found.labels) == 88
    found.goes_on()


def test_images_converted_to_another_format_are_found_and_two_of_one_name_are_not_chosen_between(
    ingest: Any, trees: Any, tmp_path: Path
) -> None:
    root = write_2015(trees, tmp_path / "drd")
    (root / "train/11_left.jpeg").unlink()
    trees.image(root / "train/11_left.png")
    assert "11_left" in ingest(root).labels
    trees.image(root / "train/12_left.png")
    out = ingest(root)
    assert out.ran.code == 3
    told = f"{root}/train: image '12_left' is there twice (12_left.jpeg and 12_left.png); remove one"
    assert out.ran.err == f"error: {told}\n"


def test_both_data_sets_in_one_folder_are_not_chosen_between(ingest: Any, trees: Any, tmp_path: Path) -> None:
    write_aptos(trees, write_2015(trees, tmp_path / "drd"))
    ingest(tmp_path / "drd").refused(
        f"{tmp_path}/drd: holds both trainLabels.csv and train.csv, two data sets; name the folder of one"
    )


def test_a_table_of_the_same_name_with_other_columns_is_no_retinopathy(ingest: Any, trees: Any, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    trees.images(root / f"{name}/{number}.png" for name in ("cat", "dog") for number in range(5))
    trees.table(root / "train.csv", "id,diagnosis", [("a", 1)])
    assert ingest(root).summary["layout"] == "folder"
    ingest(root, "--format", "drd", "--force")
    assert ingest(root, "--format", "drd").ran.err == (
        f"error: {root}: has no trainLabels.csv with columns image and level or train.csv with columns id_code and "
        "diagnosis\n"
    )
