"""Classes are kept, left out, renamed and merged alike in every layout; what became of each is said with counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from alrctl.image_pack import open_pack

NAMES = ("cat", "dog", "elk", "fox")


def write_folder(trees: Any, root: Path, each: int = 5) -> Path:
    trees.images(root / f"{name}/{number}.png" for name in NAMES for number in range(each))
    return root


def write_csv(trees: Any, root: Path, each: int = 5) -> Path:
    rows = [(f"{name}{number}.png", name) for number in range(each) for name in NAMES]
    trees.images(root / path for path, _ in rows)
    return Path(trees.table(root / "list.csv", "path,label", rows))


def write_ham10000(trees: Any, root: Path, each: int = 5) -> Path:
    rows = [(f"HAM_{n}{name}", f"ISIC_{n}{name}", name) for name in NAMES for n in range(each)]
    trees.images(root / f"HAM10000_images_part_1/{image}.jpg" for _, image, _ in rows)
    trees.table(root / "HAM10000_metadata.csv", "lesion_id,image_id,dx", rows)
    return root


def counted(found: Any) -> dict[str, int]:
    labels = list(found.labels.values())
    return {name: labels.count(name) for name in found.classes["names"]}


WRITERS = [write_folder, write_csv, write_ham10000]


@pytest.mark.parametrize("write", WRITERS)
def test_classes_that_are_kept_are_all_there_is(ingest: Any, trees: Any, tmp_path: Path, write: Any) -> None:
    found = ingest(write(trees, tmp_path / "photos"), "--keep-class", "fox", "--keep-class", "cat")
    assert counted(found) == {"cat": 5, "fox": 5}
    assert found.classes["names"] == ["cat", "fox"], "in the order of the source"
    assert found.summary["notes"][-1] == "left out by class: 'dog' (5), 'elk' (5)"
    found.goes_on()


@pytest.mark.parametrize("write", WRITERS)
def test_several_classes_become_one_and_one_gets_another_name(
    ingest: Any, trees: Any, tmp_path: Path, write: Any
) -> None:
    pairs = ("dog=canine", "fox=canine", "elk=moose")
    found = ingest(write(trees, tmp_path / "photos"), *(word for pair in pairs for word in ("--merge-class", pair)))
    assert counted(found) == {"cat": 5, "canine": 10, "moose": 5}
    assert found.classes["names"] == ["cat", "canine", "moose"], "a merged class stands where its first part stood"
    assert found.summary["merged_classes"] == {"canine": {"dog": 5, "fox": 5}, "moose": {"elk": 5}}
    told = ["class 'canine' (10) is made of 'dog' (5), 'fox' (5)", "class 'moose' (5) is made of 'elk' (5)"]
    assert found.summary["notes"][-2:] == told
    assert all(text in found.ran.out for text in told)
    found.goes_on()


def test_images_stay_in_step_with_the_samples_that_are_kept(ingest: Any, trees: Any, tmp_path: Path) -> None:
    source = write_folder(trees, tmp_path / "photos")
    found = ingest(source, "--exclude-class", "cat", "--exclude-class", "elk")
    pack = open_pack(found.out / "images.safetensors").numpy()
    assert len(pack) == found.table.height == 10
    for row, name in enumerate(found.table["sample_id"]):
        assert (pack[row] == np.asarray(Image.open(source / name))).all(), name


def test_a_class_can_join_another_that_keeps_its_name(ingest: Any, trees: Any, tmp_path: Path) -> None:
    found = ingest(write_folder(trees, tmp_path / "photos"), "--merge-class", "fox=dog")
    assert counted(found) == {"cat": 5, "dog": 10, "elk": 5}
    assert found.summary["merged_classes"] == {"dog": {"dog": 5, "fox": 5}}


def test_numbers_of_an_array_can_be_given_names(ingest: Any, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file["dataset/images"] = generator.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
        file["dataset/targets"] = np.arange(30) % 3
    found = ingest(
        tmp_path / "all.h5", "--merge-class", "0=benign", "--merge-class", "2=malignant", "--exclude-class", "1"
    )
    assert counted(found) == {"benign": 10, "malignant": 10}
    assert found.labels["sample-000005"] == "malignant"
    found.goes_on()


def test_classes_are_kept_and_left_out_by_the_name_they_have_after_merging(
    ingest: Any, trees: Any, tmp_path: Path
) -> None:
    source = write_folder(trees, tmp_path / "photos")
    merged = ("--merge-class", "dog=canine", "--merge-class", "fox=canine")
    assert counted(ingest(source, *merged, "--exclude-class", "canine")) == {"cat": 5, "elk": 5}
    assert counted(ingest(source, *merged, "--keep-class", "canine", "--keep-class", "cat")) == {"cat": 5, "canine": 10}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--keep-class", "dgo"), "no class 'dgo' to keep; did you mean 'dog'?"),
        (("--exclude-class", "dgo"), "no class 'dgo' to exclude; did you mean 'dog'?"),
        (("--merge-class", "dgo=canine"), "no class 'dgo' to merge; did you mean 'dog'?"),
        (("--keep-class", "zebra"), "no class 'zebra' to keep; the classes are cat, dog, elk, fox"),
        (
            ("--merge-class", "dog=canine", "--keep-class", "dog"),
            "no class 'dog' to keep (it is merged into 'canine')",
        ),
        (("--keep-class", "dog"), "has one class ('dog'); two are the least"),
    ],
)
def test_a_name_that_is_no_class_is_told_with_the_nearest(
    ingest: Any, trees: Any, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    source = write_folder(trees, tmp_path / "photos")
    ingest(source, *options).refused(f"{source}: {told}")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("--keep-class", "cat", "--exclude-class", "dog"),
            "keep-class and exclude-class contradict each other; say which classes to keep, or which not",
        ),
        (
            ("--merge-class", "dog"),
            "--merge-class: 'dog' is not THEIRS=OURS, a class of the source and its new name",
        ),
        (
            ("--merge-class", "dog=a", "--merge-class", "dog=b"),
            "--merge-class: 'dog=a, dog=b' gives the class 'dog' two names",
        ),
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(
    ingest: Any, trees: Any, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    ingest(write_folder(trees, tmp_path / "photos"), *options).refused(told, code=2)


def test_other_classes_make_the_artifact_anew(ingest: Any, trees: Any, tmp_path: Path) -> None:
    source = write_folder(trees, tmp_path / "photos")
    assert ingest(source, "--json").ran.document["status"] == "done"
    assert ingest(source, "--merge-class", "dog=hound", "--json").ran.document["status"] == "done"
    assert ingest(source, "--merge-class", "dog=hound", "--json").ran.document["status"] == "unchanged"
