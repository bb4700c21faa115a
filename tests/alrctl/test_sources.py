"""Every layout of a data set is taken in with its labels, splits, groups and ids; its faults are told by row."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from PIL import Image

from alrctl.image_pack import open_pack

Alrctl = Callable[..., Any]
Pixels = NDArray[np.uint8]


def pixels(number: int, size: int = 8, channels: int = 3) -> Pixels:
    """Return an image that no other number gives."""
    shape = (size, size, channels) if channels > 1 else (size, size)
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(number)).save(path)
    return path


def write_folder(root: Path, counts: dict[str, int], start: int = 0) -> Path:
    """Write `counts` images below each of the named folders, no two alike."""
    number = start
    for name, count in counts.items():
        for _ in range(count):
            save(root / name / f"{number:03d}.png", number)
            number += 1
    return root


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in [header, *rows]))
    return path


def listed(root: Path, rows: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Write an image for each (path, label)."""
    for number, (name, _) in enumerate(rows):
        save(root / name, number)
    return list(rows)


class Ingested:
    """What `alrctl ingest` made of a source."""

    def __init__(self, alrctl: Alrctl, out: Path, source: Path, *options: object) -> None:
        self.out = out
        self.ran = alrctl("ingest", source, "-o", out, "--image-size", 8, *options)

    @property
    def table(self) -> pl.DataFrame:
        assert self.ran.code == 0, self.ran.err
        labels = pl.read_parquet(self.out / "labels.parquet").select("sample_id", "label")
        return pl.read_parquet(self.out / "samples.parquet").join(labels, on="sample_id", maintain_order="left")

    @property
    def rows(self) -> dict[str, tuple[str, str, str | None]]:
        """Label, split and group by id."""
        return {row[0]: row[1:] for row in self.table.select("sample_id", "label", "split", "group_id").iter_rows()}

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "manifest.json").read_text())["summary"]
        return found

    @property
    def names(self) -> list[str]:
        import yaml

        found: list[str] = yaml.safe_load((self.out / "classes.yaml").read_text())["names"]
        return found

    def refused(self, told: str, code: int = 3) -> None:
        assert self.ran.code == code, self.ran.err
        assert told in self.ran.err
        assert self.ran.err.count("\n") == 1
        assert not self.out.exists()


Ingest = Callable[..., Ingested]


def check_in_step(found: Ingested) -> None:
    """Hold the pack to this: its images are those that the samples' names tell, in their order."""
    pack = open_pack(found.out / "images.safetensors").numpy()
    assert len(pack) == found.table.height
    for row, key in enumerate(found.table["sample_id"]):
        assert (pack[row] == pixels(int(Path(key).stem))).all(), key


@pytest.fixture
def ingest(alrctl: Alrctl, tmp_path: Path) -> Ingest:
    def run(source: Path, *options: object) -> Ingested:
        return Ingested(alrctl, tmp_path / "out", source, *options)

    return run


# --- class folders ---------------------------------------------------------------------------------------------------


def test_a_class_folder_gives_path_as_id_and_folder_as_label(ingest: Ingest, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "photos", {"cat": 10, "dog/north": 5, "dog/south": 5})
    save(source / ".hidden/x.png", 99)
    (source / "cat/notes.txt").write_text("no image")
    found = ingest(source)
    assert found.names == ["cat", "dog"]
    assert found.summary["layout"] == "folder"
    assert {name: row[0] for name, row in found.rows.items()} == {
        path.relative_to(source).as_posix(): path.relative_to(source).parts[0] for path in source.glob("[cd]*/**/*.png")
    }
    assert found.table["source"].to_list() == found.table["sample_id"].to_list()
    assert set(found.table["split"]) == {"train", "val", "test"}
    assert found.table["width"].to_list() == [8] * 20


def test_suffixes_are_read_in_either_case(ingest: Ingest, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "photos", {"cat": 10, "dog": 10})
    Image.fromarray(pixels(50)).save(source / "cat/upper.JPG")
    assert "cat/upper.JPG" in ingest(source).rows


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "valid", "testing")])
def test_split_folders_are_the_splits(ingest: Ingest, tmp_path: Path, names: tuple[str, str, str]) -> None:
    source = tmp_path / "photos"
    for place, name in enumerate(names):
        write_folder(source / name, {"cat": 3, "dog": 2}, start=10 * place)
    rows = ingest(source).rows
    for name, split in zip(names, ("train", "val", "test"), strict=True):
        assert sorted(row[0] for key, row in rows.items() if key.startswith(name)) == ["cat"] * 3 + ["dog"] * 2
        assert {row[1] for key, row in rows.items() if key.startswith(name)} == {split}


def test_a_split_that_is_not_given_is_made_from_train(ingest: Ingest, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    write_folder(source / "train", {"cat": 20, "dog": 10})
    write_folder(source / "test", {"cat": 4, "dog": 4}, start=40)
    rows = ingest(source).rows
    assert {row[1] for name, row in rows.items() if name.startswith("test")} == {"test"}
    assert {row[1] for name, row in rows.items() if name.startswith("train")} == {"train", "val"}


def test_three_of_each_class_are_enough_for_one_in_each_split(ingest: Ingest, tmp_path: Path) -> None:
    found = ingest(write_folder(tmp_path / "photos", {"cat": 3, "dog": 3}))
    splits = found.table.group_by("label").agg(pl.col("split").sort()).sort("label")
    assert splits.rows() == [("cat", ["test", "train", "val"]), ("dog", ["test", "train", "val"])]


def test_classes_that_are_numbers_are_put_in_their_order(ingest: Ingest, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "grades", {"10": 10, "9": 10, "2": 10})
    assert ingest(source, "--ordered").names == ["2", "9", "10"]


def test_a_class_that_a_split_lacks_is_warned_of(ingest: Ingest, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    for place, name in enumerate(("train", "val", "test")):
        write_folder(source / name, {"cat": 3, "dog": 2}, start=10 * place)
    shutil.rmtree(source / "test/dog")
    found = ingest(source)
    assert found.ran.code == 0
    assert "warning: the test split has no sample of dog: no figure for it there" in found.ran.err


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"only": 4}, "photos: has one class ('only'); two are the least"),
        ({"a": 5, "b": 2}, "class 'b' has 2 samples; a split that keeps groups and duplicates together needs at least"),
        ({}, "photos: no layout recognised"),
    ],
)
def test_too_few_classes_or_samples_are_refused(
    ingest: Ingest, tmp_path: Path, counts: dict[str, int], told: str
) -> None:
    (tmp_path / "photos").mkdir()
    ingest(write_folder(tmp_path / "photos", counts)).refused(told)


def test_a_folder_without_images_says_what_was_looked_for(ingest: Ingest, tmp_path: Path) -> None:
    (tmp_path / "photos/cat").mkdir(parents=True)
    (tmp_path / "photos/cat/a.dcm").touch()
    ingest(tmp_path / "photos").refused("has no image in a class folder (looked for .bmp, .gif, .jpeg, .jpg, .png, ")


def test_loose_images_or_an_unknown_kind_of_file_are_no_layout(ingest: Ingest, tmp_path: Path) -> None:
    save(tmp_path / "loose/a.png", 1)
    ingest(tmp_path / "loose").refused("loose: no layout recognised; wanted are a folder with a sub-folder of images")
    (tmp_path / "data.zip").touch()
    ingest(tmp_path / "data.zip").refused("data.zip: no layout recognised")


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        ("folder", "is not a folder"),
        ("npz", "is no readable .npz file"),
        ("hdf5", "is no readable HDF5 file"),
        ("ham10000", "has no HAM10000_metadata.csv"),
    ],
)
def test_a_layout_that_is_named_and_wrong_is_told(ingest: Ingest, tmp_path: Path, layout: str, told: str) -> None:
    source = write_table(tmp_path / "list.csv", ("path", "label"), [("a.png", "x")])
    ingest(source, "--format", layout).refused(f"{source}: {told}")


# --- tables ----------------------------------------------------------------------------------------------------------

SPLITS = ("train", "train", "valid", "test")
HEADER = ("Image", "DX", "Subset", "patient_id", "sample_id", "age")


def full_rows(root: Path) -> list[tuple[str, ...]]:
    """Write eight images and return a row for each: path, label, split, group, id, age."""
    rows = listed(root, [(f"img/{number}.png", "ab"[number % 2]) for number in range(8)])
    return [
        (path, label, SPLITS[number // 2], f"p{number // 2}", f"s{number}", "33")
        for number, (path, label) in enumerate(rows)
    ]


def wanted_rows() -> dict[str, tuple[str, str, str]]:
    splits = ("train", "train", "val", "test")
    return {f"s{number}": ("ab"[number % 2], splits[number // 2], f"p{number // 2}") for number in range(8)}


def test_the_columns_of_a_csv_are_guessed_and_the_guess_is_said(ingest: Ingest, tmp_path: Path) -> None:
    found = ingest(write_table(tmp_path / "list.csv", HEADER, full_rows(tmp_path)))
    assert found.rows == wanted_rows()
    told = "columns: path = 'Image', label = 'DX', split = 'Subset', group = 'patient_id', id = 'sample_id'"
    assert told in found.ran.out
    assert found.summary["notes"] == [told]


def test_named_columns_are_taken_over_guessed_ones(ingest: Ingest, tmp_path: Path) -> None:
    header = ("file", "label", "true", "where", "who", "key", "path")
    rows = [
        ("nothing.png", "wrong", label, split, group, key, path)
        for path, label, split, group, key, _ in full_rows(tmp_path / "far")
    ]
    source = write_table(tmp_path / "list.csv", header, rows)
    named = ("--path-column", "path", "--label-column", "true", "--split-column", "where", "--group-column", "who")
    found = ingest(source, *named, "--id-column", "key", "--root", tmp_path / "far")
    assert found.rows == wanted_rows()


def test_without_an_id_column_the_path_is_the_id(ingest: Ingest, tmp_path: Path) -> None:
    rows = listed(tmp_path, [(f"img/{number}.png", "ab"[number % 2]) for number in range(20)])
    found = ingest(write_table(tmp_path / "list.csv", ("path", "label"), rows))
    assert set(found.rows) == {path for path, _ in rows}
    assert {row[2] for row in found.rows.values()} == {None}


def test_a_parquet_manifest_is_read_like_a_csv(ingest: Ingest, tmp_path: Path) -> None:
    frame = pl.DataFrame(full_rows(tmp_path), schema=list(HEADER), orient="row")
    grades = frame.with_columns(DX=pl.col("DX").replace_strict({"a": 10, "b": 9}, return_dtype=pl.Int64))
    grades.write_parquet(tmp_path / "list.parquet")
    found = ingest(tmp_path / "list.parquet")
    assert found.names == ["9", "10"]
    assert {key: ({"10": "a", "9": "b"}[row[0]], *row[1:]) for key, row in found.rows.items()} == wanted_rows()


@pytest.mark.parametrize("marks", [("1", "0"), ("1.0", "0.0"), ("1", "")])
def test_a_column_a_class_is_understood(ingest: Ingest, tmp_path: Path, marks: tuple[str, str]) -> None:
    rows = listed(tmp_path, [(f"{number}.png", "MEL" if number % 3 else "BCC") for number in range(30)])
    one_hot = [(path, *(marks[label != name] for name in ("MEL", "NV", "BCC"))) for path, label in rows]
    found = ingest(write_table(tmp_path / "truth.csv", ("image", "MEL", "NV", "BCC"), one_hot))
    assert {name: row[0] for name, row in found.rows.items()} == dict(rows)
    assert found.names == ["MEL", "BCC"], "in the order of the columns; a class without samples is none"


def test_a_class_may_be_named_like_a_pattern(ingest: Ingest, tmp_path: Path) -> None:
    rows = listed(tmp_path, [(f"{number}.png", "*" if number % 3 else "^M.*$") for number in range(30)])
    one_hot = [(path, *(int(label == name) for name in ("MEL", "*", "^M.*$"))) for path, label in rows]
    found = ingest(write_table(tmp_path / "truth.csv", ("image", "MEL", "*", "^M.*$"), one_hot))
    assert {name: row[0] for name, row in found.rows.items()} == dict(rows)


def test_rows_that_mark_no_class_or_two_are_refused(ingest: Ingest, tmp_path: Path) -> None:
    rows = [("0.png", 1, 0), ("1.png", 1, 1), ("2.png", 0, 0)]
    source = write_table(tmp_path / "truth.csv", ("image", "MEL", "NV"), rows)
    ingest(source).refused("truth.csv: 2 rows do not mark exactly one class (first: row 3)")


@pytest.mark.parametrize(
    ("header", "rows", "options", "told"),
    [
        (("a", "label"), [("x", "y")], (), "the path column is missing (found: 'a', 'label'); name it with --path-col"),
        (("path", "colour"), [("x", "y")], (), "the label column is missing (found: 'path', 'colour'); name it with"),
        (("path", "label"), [("x", "y")], ("--label-column", "lable"), "no column 'lable'; did you mean 'label'?"),
        (("path", "label"), [("x", "y"), ("z", "")], (), "column 'label' has 1 empty cells (first: row 3)"),
        (("path", "label"), [("", "y"), ("z", "")], (), "column 'label' has 1 empty cells (first: row 3)"),
        (
            ("path", "label", "split"),
            [("x", "y", "train"), ("z", "y", "holdout")],
            (),
            "column 'split' has 1 values that are no split (first: row 3, 'holdout'); wanted: train, val or test",
        ),
        (
            ("path", "label", "id"),
            [("x", "y", "1"), ("z", "w", "1")],
            (),
            "2 samples share an id with another (first: '1'); ids must be unique",
        ),
        (("path", "label"), [("x", "y"), ("z", "y")], (), "has one class ('y'); two are the least"),
        (("path", "label"), [], (), "has a header and no rows"),
    ],
)
def test_a_fault_of_a_table_is_told_by_column_and_row(
    ingest: Ingest, tmp_path: Path, header: tuple[str, ...], rows: Any, options: tuple[str, ...], told: str
) -> None:
    ingest(write_table(tmp_path / "list.csv", header, rows), *options).refused(told)


def test_an_empty_or_broken_parquet_manifest_is_told(ingest: Ingest, tmp_path: Path) -> None:
    pl.DataFrame({"path": [], "label": []}).write_parquet(tmp_path / "list.parquet")
    ingest(tmp_path / "list.parquet").refused("list.parquet: has no rows")
    (tmp_path / "list.parquet").write_bytes(b"PAR1 no more")
    ingest(tmp_path / "list.parquet").refused("list.parquet: is no readable parquet file")


def test_a_listed_image_that_is_not_there_is_named(ingest: Ingest, tmp_path: Path) -> None:
    rows = listed(tmp_path, [(f"{number}.png", "ab"[number % 2]) for number in range(8)])
    source = write_table(tmp_path / "list.csv", ("path", "label"), [*rows, ("gone.png", "a")])
    ingest(source).refused("column 'path' names 1 image of 9 that is not there (first: row 10, 'gone.png')")


# --- .npz and HDF5 ---------------------------------------------------------------------------------------------------


def arrays(channels: int = 3) -> dict[str, Any]:
    """Return MedMNIST's arrays: 6, 2 and 4 images of classes 0 and 1."""
    made: dict[str, Any] = {}
    start = 0
    for split, count in (("train", 6), ("val", 2), ("test", 4)):
        made[f"{split}_images"] = np.stack([pixels(start + number, 8, channels) for number in range(count)])
        made[f"{split}_labels"] = (np.arange(count) % 2).reshape(-1, 1).astype(np.uint8)
        start += count
    return made


def wanted_arrays() -> dict[str, tuple[str, str, None]]:
    counts = {"train": 6, "val": 2, "test": 4}
    return {
        f"{split}-{number:06d}": (str(number % 2), split, None)
        for split, count in counts.items()
        for number in range(count)
    }


@pytest.mark.parametrize("channels", [1, 3])
def test_a_medmnist_archive_gives_its_labels_and_splits(ingest: Ingest, tmp_path: Path, channels: int) -> None:
    made = arrays(channels)
    np.savez(tmp_path / "mnist.npz", **made)
    found = ingest(tmp_path / "mnist.npz")
    assert found.rows == wanted_arrays()
    pack = open_pack(found.out / "images.safetensors").numpy()
    for row, key in enumerate(found.table["sample_id"]):
        split, number = key.split("-")
        given = made[f"{split}_images"][int(number)]
        assert (pack[row] == (given if channels == 3 else given[..., None])).all(), key


def test_an_array_of_sources_gives_the_groups(ingest: Ingest, tmp_path: Path) -> None:
    made = arrays() | {"train_source": np.array(["p1", "p1", "p2", "p2", "p3", "p3"])}
    np.savez(tmp_path / "mnist.npz", **made)
    rows = ingest(tmp_path / "mnist.npz").rows
    assert [rows[f"train-{number:06d}"][2] for number in range(6)] == ["p1", "p1", "p2", "p2", "p3", "p3"]
    assert rows["test-000000"][2] is None


class Evil:
    """Runs code when it is unpickled."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.flag,)


def test_a_pickled_archive_is_refused_and_nothing_in_it_is_run(ingest: Ingest, tmp_path: Path) -> None:
    made = arrays() | {"train_labels": np.array([Evil(tmp_path / "ran")] * 6, dtype=object)}
    np.savez(tmp_path / "mnist.npz", **made)
    ingest(tmp_path / "mnist.npz").refused("mnist.npz: train_labels holds Python objects; a pickle can run code")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"train_labels": None}, "has train_images and no train_labels"),
        (
            {"train_images": np.zeros((6, 8, 8, 3), np.float32)},
            "the train images are float32 (6, 8, 8, 3); wanted: uint8",
        ),
        (
            {"train_images": np.zeros((6, 8), np.uint8)},
            "the train images are uint8 (6, 8); wanted: uint8 (N, H, W[, 3])",
        ),
        ({"val_labels": np.zeros((5, 1), np.uint8)}, "the val labels are uint8 (5, 1); wanted: 2 class indices"),
        ({"val_labels": np.array(["a", "b"])}, "the val labels are <U1 (2,); wanted: 2 class indices"),
    ],
)
def test_arrays_that_do_not_fit_are_told_by_name_and_shape(
    ingest: Ingest, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    made = {name: value for name, value in (arrays() | change).items() if value is not None}
    np.savez(tmp_path / "mnist.npz", **made)
    ingest(tmp_path / "mnist.npz").refused(told)


def test_an_archive_of_other_arrays_or_of_none_is_told(ingest: Ingest, tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", images=np.zeros(3))
    ingest(tmp_path / "mnist.npz").refused("mnist.npz: holds none of train_images, val_images, test_images")
    (tmp_path / "mnist.npz").write_bytes(b"no archive")
    ingest(tmp_path / "mnist.npz").refused("mnist.npz: is no readable .npz file")


def write_hdf5(path: Path, images: Pixels, targets: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["dataset/images"] = images
        file["dataset/targets"] = targets


def test_the_seeds_three_files_are_the_splits(ingest: Ingest, tmp_path: Path) -> None:
    made = arrays()
    for split in ("train", "val", "test"):
        write_hdf5(tmp_path / f"seed/{split}.hdf5", made[f"{split}_images"], made[f"{split}_labels"].ravel())
    found = ingest(tmp_path / "seed")
    assert found.summary["layout"] == "hdf5"
    assert found.rows == wanted_arrays()
    assert found.table.filter(pl.col("sample_id") == "val-000001")["source"].item() == "val.hdf5:1"


def test_one_hdf5_file_is_split_here(ingest: Ingest, tmp_path: Path) -> None:
    images = np.stack([pixels(number) for number in range(20)])
    write_hdf5(tmp_path / "all.h5", images, np.arange(20) % 2)
    found = ingest(tmp_path / "all.h5")
    assert {name: row[0] for name, row in found.rows.items()} == {f"sample-{n:06d}": str(n % 2) for n in range(20)}
    assert {row[1] for row in found.rows.values()} == {"train", "val", "test"}


def test_an_hdf5_file_without_targets_or_of_another_kind_is_told(ingest: Ingest, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file["dataset/images"] = np.zeros((2, 8, 8, 3), np.uint8)
    ingest(tmp_path / "all.h5").refused("all.h5: has no dataset/targets")
    write_hdf5(tmp_path / "all.h5", np.zeros((2, 8, 8, 3), np.uint8), np.zeros(3))
    ingest(tmp_path / "all.h5").refused("all.h5: the file's labels are float64 (3,); wanted: 2 class indices")
    (tmp_path / "all.h5").write_bytes(b"no HDF5")
    ingest(tmp_path / "all.h5").refused("all.h5: is no readable HDF5 file")


# --- HAM10000 --------------------------------------------------------------------------------------------------------


def write_ham10000(root: Path, lesions: int = 30) -> Path:
    """Write three images a lesion in two folders, and the metadata, as the archive holds them."""
    rows = []
    for number in range(lesions * 3):
        image, part = f"ISIC_{number:07d}", 1 + number % 2
        save(root / f"HAM10000_images_part_{part}/{image}.jpg", number)
        rows.append((f"HAM_{number // 3:07d}", image, ("nv", "mel", "akiec")[number // 3 % 3], "histo", 55.0))
    write_table(root / "HAM10000_metadata.csv", ("lesion_id", "image_id", "dx", "dx_type", "age"), rows)
    return root


@pytest.mark.parametrize("below", [False, True])
def test_ham10000_is_read_from_two_folders_and_split_by_lesion(ingest: Ingest, tmp_path: Path, below: bool) -> None:
    write_ham10000(tmp_path / "ham/inner" if below else tmp_path / "ham")
    found = ingest(tmp_path / "ham")
    assert found.summary["layout"] == "ham10000"
    assert found.names == ["akiec", "mel", "nv"], "in the archive's order"
    rows = found.rows
    assert len(rows) == 90
    assert rows["ISIC_0000004"][0] == "mel"
    assert rows["ISIC_0000004"][2] == "HAM_0000001"
    splits = found.table.group_by("group_id").agg(pl.col("split").n_unique())["split"]
    assert splits.to_list() == [1] * 30
    assert {row[1] for row in rows.values()} == {"train", "val", "test"}
    assert set(found.table["source"].str.slice(0, 22)) == {"HAM10000_images_part_1", "HAM10000_images_part_2"}


def test_an_image_missing_from_ham10000_is_named(ingest: Ingest, tmp_path: Path) -> None:
    source = write_ham10000(tmp_path / "ham", lesions=9)
    (source / "HAM10000_images_part_2/ISIC_0000001.jpg").unlink()
    ingest(source).refused("column 'image_id' names 1 image of 27 that is not there (first: row 3, 'ISIC_0000001')")


def test_a_column_missing_from_ham10000_is_named(ingest: Ingest, tmp_path: Path) -> None:
    source = write_ham10000(tmp_path / "ham", lesions=3)
    metadata = source / "HAM10000_metadata.csv"
    metadata.write_text(metadata.read_text().replace("lesion_id", "lesion").replace(",dx,", ",diagnosis,"))
    ingest(source).refused("HAM10000_metadata.csv: column lesion_id, dx missing")


# --- splits, leaks, long tails ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_duplicates_and_groups_never_cross_a_split_that_is_made_here(ingest: Ingest, tmp_path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    contents, groups = generator.integers(0, 30, 60), generator.integers(0, 40, 60)
    rows = []
    for number in range(60):
        save(tmp_path / f"{number}.png", int(contents[number]))
        rows.append((f"{number}.png", "ab"[number % 2], f"g{groups[number]}" if number % 3 else ""))
    source = write_table(tmp_path / "list.csv", ("path", "label", "group"), rows)
    found = ingest(source, "--seed", seed)
    told = found.table.with_columns(
        content=pl.Series([int(contents[int(key.removesuffix(".png"))]) for key in found.table["sample_id"]])
    )
    for unit in ("content", "group_id"):
        crossing = told.drop_nulls(unit).group_by(unit).agg(pl.col("split").n_unique()).filter(pl.col("split") > 1)
        assert crossing.is_empty(), crossing
    assert found.summary["exact_duplicates"] == 60 - len(set(contents.tolist()))
    assert found.summary["duplicates_across_splits"] == found.summary["groups_across_splits"] == 0
    assert set(told["split"]) == {"train", "val", "test"}


@pytest.fixture
def leaking(tmp_path: Path) -> Path:
    """A folder with given splits, one image of which stands in train and in test."""
    source = tmp_path / "photos"
    for place, name in enumerate(("train", "val", "test")):
        write_folder(source / name, {"cat": 3, "dog": 2}, start=10 * place)
    shutil.copy(source / "train/cat/000.png", source / "test/cat/copy.png")
    return source


def test_a_duplicate_across_given_splits_is_refused(ingest: Ingest, leaking: Path) -> None:
    told = "1 image stand in two of the given splits, pixel for pixel (first: 'test/cat/copy.png')"
    ingest(leaking).refused(told)


def test_a_leak_is_let_through_and_recorded_where_the_user_says_so(ingest: Ingest, leaking: Path) -> None:
    found = ingest(leaking, "--allow-leaks")
    assert len(found.rows) == 16
    assert found.summary["duplicates_across_splits"] == 1
    assert "warning: 1 image stand in two of the given splits" in found.ran.err


def test_a_group_across_given_splits_is_refused(ingest: Ingest, tmp_path: Path) -> None:
    rows = [(*row[:3], "p0" if row[4] in {"s0", "s7"} else row[3], *row[4:]) for row in full_rows(tmp_path)]
    source = write_table(tmp_path / "list.csv", HEADER, rows)
    ingest(source).refused("1 group (patients or lesions) have images in two of the given splits (first: 'p0')")
    found = ingest(source, "--allow-leaks")
    assert found.summary["groups_across_splits"] == 1


def test_the_train_split_is_made_long_tailed_and_no_other(ingest: Ingest, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    write_folder(source / "train", {"a": 24, "b": 24, "c": 24})
    write_folder(source / "val", {"a": 3, "b": 3, "c": 3}, start=100)
    write_folder(source / "test", {"a": 4, "b": 4, "c": 4}, start=200)
    found = ingest(source, "--imbalance-ratio", 4)
    assert found.summary["by_split"] == {
        "train": {"a": 24, "b": 12, "c": 6},
        "val": {"a": 3, "b": 3, "c": 3},
        "test": {"a": 4, "b": 4, "c": 4},
    }
    kept = found.table.filter(pl.col("split") == "train")["label"].value_counts().sort("label")
    assert kept["count"].to_list() == [24, 12, 6]
    check_in_step(found)


def test_an_excluded_class_is_nowhere(ingest: Ingest, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "photos", {"cat": 10, "dog": 10, "elk": 4, "fox": 1})
    found = ingest(source, "--exclude-class", "elk", "--exclude-class", "fox")
    assert found.names == ["cat", "dog"]
    assert {row[0] for row in found.rows.values()} == {"cat", "dog"}
    check_in_step(found)


def test_excluding_a_class_that_is_not_there_or_all_is_refused(ingest: Ingest, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "photos", {"cat": 4, "dog": 4})
    ingest(source, "--exclude-class", "dgo").refused("no class 'dgo' to exclude; did you mean 'dog'?")
    ingest(source, "--exclude-class", "dog").refused("has one class ('cat'); two are the least")


def test_broken_images_are_left_out_only_where_told_and_the_rest_stays_in_step(ingest: Ingest, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "photos", {"cat": 10, "dog": 10})
    (source / "cat/002.png").write_bytes((source / "cat/002.png").read_bytes()[:60])
    (source / "dog/018.png").write_text("no image at all")
    told = f"2 images cannot be read (first: {source / 'cat/002.png'}: is no readable image file"
    ingest(source).refused(told)
    found = ingest(source, "--skip-broken")
    assert f"warning: {told}" in found.ran.err
    left = {path.relative_to(source).as_posix() for path in source.rglob("*.png")} - {"cat/002.png", "dog/018.png"}
    assert set(found.rows) == left
    check_in_step(found)


def test_what_cannot_even_be_opened_is_left_out_as_broken_images_are(ingest: Ingest, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "photos", {"cat": 10, "dog": 10})
    whole = {path.relative_to(source).as_posix() for path in source.rglob("*.png")}
    os.mkfifo(source / "cat/pipe.png")
    (source / "cat/loop.png").symlink_to("loop.png")
    (source / "dog/nowhere.png").symlink_to("gone.png")
    (source / "dog/nowhere_either.png").symlink_to("gone.png")
    ingest(source).refused("; --skip-broken leaves it out")
    found = ingest(source, "--skip-broken")
    assert f"warning: 4 images cannot be read (first: {source / 'cat/loop.png'}: is no readable" in found.ran.err
    assert "duplicate" not in found.ran.err
    assert set(found.rows) == whole
    check_in_step(found)


def test_files_that_cannot_be_opened_are_not_taken_for_duplicates(ingest: Ingest, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "photos", {f"{split}/{name}": 6 for split in ("train", "test") for name in "ab"})
    for split in ("train", "test"):
        (source / split / "a/nowhere.png").symlink_to("gone.png")
    found = ingest(source, "--skip-broken")
    assert "left out" in found.ran.err and "duplicate" not in found.ran.err
    assert found.table.height == 24


def test_a_source_of_broken_images_alone_is_refused_whatever_is_told(ingest: Ingest, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for number in range(10):
            (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "photos" / name / f"{number}.png").write_text(f"{name} {number}")
    ingest(tmp_path / "photos", "--skip-broken").refused("20 images cannot be read")


def test_the_source_changed_by_one_pixel_is_taken_in_anew(ingest: Ingest, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "photos", {"cat": 10, "dog": 10})
    assert ingest(source, "--json").ran.document["status"] == "done"
    assert ingest(source, "--json").ran.document["status"] == "unchanged"
    save(source / "cat/000.png", 77)
    assert ingest(source, "--json").ran.document["status"] == "done"
    (source / "cat/000.png").rename(source / "cat/100.png")
    assert ingest(source, "--json").ran.document["status"] == "done"


def test_the_same_seed_gives_the_same_splits_and_another_gives_others(ingest: Ingest, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "photos", {"cat": 20, "dog": 20})
    first = ingest(source, "--seed", 1).table["split"].to_list()
    assert ingest(source, "--seed", 1, "--force").table["split"].to_list() == first
    assert ingest(source, "--seed", 2).table["split"].to_list() != first


def test_arrays_with_channels_first_are_told(alrctl: Alrctl, tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz",
        train_images=np.random.default_rng(0).integers(0, 256, (30, 3, 8, 8), dtype=np.uint8),
        train_labels=np.arange(30) % 2,
    )
    assert alrctl("ingest", tmp_path / "a.npz", "-o", tmp_path / "out").code == 3


def test_targets_that_are_no_numbers_are_told(alrctl: Alrctl, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["dataset/images"] = np.zeros((4, 8, 8, 3), np.uint8)
        file["dataset/targets"] = np.array([0, 1, np.nan, 1])
    assert alrctl("ingest", tmp_path / "a.h5", "-o", tmp_path / "out").code == 3
