"""ISIC 2019 (Tschandl et al. 2018, Codella et al. 2018, Combalia et al. 2019): `ISIC_2019_{Training,Test}_*`.

`..._GroundTruth.csv` marks one class an image (UNK: none of the eight, in the test set alone), `..._Metadata.csv` tells
its lesion, `..._Input` holds it. Images of one lesion are one group; an image without a lesion is one by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from alrctl.csv_files import read_csv
from alrctl.sources.collection import Collection, Row, Table
from alrctl.sources.tables import (
    FIRST_ROW,
    Part,
    by_stem,
    check_columns,
    find_table,
    full_column,
    joined,
    one_hot,
)
from schemas.errors import DataError, plural
from stages.ingest import IngestConfig

_CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
_UNKNOWN = "UNK"
_REDUCED = "_downsampled"
"""Ends the name of some images, in the ground truth and in the folder."""


@dataclass(frozen=True)
class _Truth:
    """A ground truth table, or some of its rows: their places from 0, and name and class of each image."""

    path: Path
    places: list[int]
    images: list[str]
    labels: list[str]

    def of_classes(self, known: set[str]) -> _Truth:
        """Return the rows of some classes."""
        rows = [row for row, label in enumerate(self.labels) if label in known]
        columns = (self.places, self.images, self.labels)
        return _Truth(self.path, *([column[row] for row in rows] for column in columns))  # type: ignore[arg-type]


def recognises(source: Path) -> bool:
    """Say whether the folder, or one folder below it, holds the training ground truth."""
    return find_table(source, _name("Training", "GroundTruth.csv")) is not None


def read(source: Path, config: IngestConfig) -> Collection:
    """Join ground truth, lesions and images; the official test set is the test split if its ground truth is there.

    Raises:
        DataError: a table is missing or faulty, a lesion is not told, or an image is not there.
    """
    truth_path = find_table(source, _name("Training", "GroundTruth.csv"))
    if truth_path is None:
        raise DataError(f"{source}: has no {_name('Training', 'GroundTruth.csv')}")
    base = truth_path.parent
    truth = _read_truth(truth_path)
    train = _read_part(base, "Training", truth)
    test, notes = _test_set(base, set(truth.labels))
    classes = tuple(name for name in _CLASSES if name in truth.labels)
    return replace(joined([train, *test], source, classes), notes=notes)


def _name(part: str, what: str) -> str:
    return f"ISIC_2019_{part}_{what}"


def _read_truth(path: Path) -> _Truth:
    table = read_csv(path)
    check_columns(table, path, ("image", *(name for name in _CLASSES if name != _UNKNOWN)))
    labels = one_hot(table, path, [name for name in _CLASSES if name in table.columns])
    return _Truth(path, list(range(table.height)), full_column(table, path, "image"), labels)


def _test_set(base: Path, known: set[str]) -> tuple[list[Part], tuple[str, ...]]:
    """Return the official test set, if it can be used, and what there is to say of it."""
    path, folder = base / _name("Test", "GroundTruth.csv"), base / _name("Test", "Input")
    if not path.is_file():
        told = f"{folder.name} is there without {path.name}: the test split is made of training images"
        return [], (told,) if folder.is_dir() else ()
    if not folder.is_dir():
        return [], (f"{path.name} is there without {folder.name}: the test split is made of training images",)
    truth = _read_truth(path)
    usable = truth.of_classes(known)
    left = len(truth.images) - len(usable.images)
    names = ", ".join(sorted(set(truth.labels) - known))
    told = f"{plural(left, 'test image')} of {names} left out: no training image is of that class"
    return [_read_part(base, "Test", usable)], (told,) if left else ()


def _read_part(base: Path, name: str, truth: _Truth) -> Part:
    """Find the images of a ground truth, and their lesions."""
    folder, metadata = base / _name(name, "Input"), base / _name(name, "Metadata.csv")
    lesions = _lesions(metadata, needed=name == "Training")
    _check_told(truth, lesions, metadata)
    found = by_stem(folder)
    paths = [_either(found, image) for image in truth.images]
    split = "test" if name == "Test" else None
    rows: list[Row] = [
        (image, label, split, lesions.get(image), path.relative_to(base).as_posix() if path else image)
        for image, label, path in zip(truth.images, truth.labels, paths, strict=True)
    ]
    table = Table(truth.path, "image", f"unpack {folder.name}.zip whole")
    return Part(table, rows, paths, truth.images, truth.places, (metadata,) if lesions else ())


def _lesions(path: Path, needed: bool) -> dict[str, str | None]:
    """Return the lesion of each image; of the test set they need not be told.

    Raises:
        DataError: they are needed and not told, or an image is named twice.
    """
    if not path.is_file():
        if needed:
            raise DataError(
                f"{path}: no such file; it tells which images are of one lesion, and without it one lesion would be "
                "in train and in test (download it from the page that the ground truth is from)"
            )
        return {}
    table = read_csv(path)
    check_columns(table, path, ("image", "lesion_id") if needed else ("image",))
    if "lesion_id" not in table.columns:
        return {}
    images = full_column(table, path, "image")
    twice = table.with_row_index("row").filter(pl.col("image").is_duplicated())
    if twice.height:
        first = twice.row(0, named=True)
        told = f"(first: row {first['row'] + FIRST_ROW}, '{first['image']}')"
        raise DataError(f"{path}: column 'image' names images twice, in {twice.height} rows {told}")
    return dict(zip(images, table["lesion_id"].to_list(), strict=True))


def _check_told(truth: _Truth, lesions: dict[str, str | None], metadata: Path) -> None:
    """Refuse metadata that are cut off: an image without a lesion has an empty cell, and a row all the same."""
    absent = [row for row, image in enumerate(truth.images) if lesions and image not in lesions]
    if absent:
        first = f"row {truth.places[absent[0]] + FIRST_ROW}, '{truth.images[absent[0]]}'"
        raise DataError(
            f"{truth.path}: column 'image' names {plural(len(absent), 'image')} that {metadata.name} has no row of "
            f"(first: {first}); download both anew"
        )


def _either(found: dict[str, Path], image: str) -> Path | None:
    """Return the image of that name; some copies of the data set name their reduced images without saying so."""
    bare = image.removesuffix(_REDUCED)
    return found.get(image) or found.get(bare) or found.get(f"{bare}{_REDUCED}")
