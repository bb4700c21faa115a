"""Diabetic retinopathy: Kaggle's data set of 2015 (EyePACS), and APTOS 2019.

2015: `trainLabels.csv` (image, level) and `train/<patient>_<eye>.jpeg`; the grades of its test set, published after
the competition, are `retinopathy_solution.csv` (image, level, Usage). 2019: `train.csv` (id_code, diagnosis) and
`train_images/<id_code>.png`. Both are graded on the same scale of five (Wilkinson et al. 2003).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from alrctl.csv_files import csv_header, read_csv
from alrctl.files import explained_read
from alrctl.sources.collection import Collection, Row, Table
from alrctl.sources.tables import (
    FIRST_ROW,
    Part,
    by_stem,
    check_columns,
    find_table,
    full_column,
    joined,
)
from schemas.errors import DataError, plural, shown
from stages.ingest import IngestConfig

GRADES = ("no apparent DR", "mild NPDR", "moderate NPDR", "severe NPDR", "proliferative DR")
"""International Clinical Diabetic Retinopathy scale, 0 to 4; DR: diabetic retinopathy, NPDR: non-proliferative DR."""

_IMAGE = re.compile(r"[^_]+_(left|right)")


@dataclass(frozen=True)
class _Edition:
    """How one of the two is laid out; the test set's grades are None where they were never published."""

    table: str
    image: str
    grade: str
    folder: str
    test_table: str | None
    test_folder: str
    told_patients: bool


_EDITIONS = (
    _Edition("trainLabels.csv", "image", "level", "train", "retinopathy_solution.csv", "test", told_patients=True),
    _Edition("train.csv", "id_code", "diagnosis", "train_images", None, "test_images", told_patients=False),
)


def recognises(source: Path) -> bool:
    """Say whether the folder, or one folder below it, holds a table of grades with the columns of an edition."""
    return any(_find(source, edition) is not None for edition in _EDITIONS)


def _find(source: Path, edition: _Edition) -> Path | None:
    """Return the table of grades; others name their tables `train.csv` too, so the columns decide."""

    def holds(path: Path) -> bool:
        if not path.is_file():
            return False
        with explained_read(path, "text"), path.open(encoding="utf-8-sig", errors="replace") as stream:
            return {edition.image, edition.grade} <= set(csv_header(stream.readline()))

    return find_table(source, edition.table, holds)


def read(source: Path, config: IngestConfig) -> Collection:
    """Join grades and images; the patient is the group where the image's name tells it.

    Raises:
        DataError: no table of grades, or both; a grade that is none of the five; an image that is not there.
    """
    found = [(edition, path) for edition in _EDITIONS if (path := _find(source, edition)) is not None]
    if not found:
        wanted = " or ".join(f"{one.table} with columns {one.image} and {one.grade}" for one in _EDITIONS)
        raise DataError(f"{source}: has no {wanted}")
    if len(found) > 1:
        raise DataError(
            f"{source}: holds both {found[0][1].relative_to(source)} and {found[1][1].relative_to(source)}, two data "
            "sets; name the folder of one"
        )
    edition, table = found[0]
    grades = _grades(table, edition)
    train = _read_part(table, table.parent / edition.folder, None, edition)
    test, notes = _test_set(table.parent, edition)
    if not edition.told_patients:
        notes = (*notes, "no patient is told: the two eyes of one may be in two splits")
    known = tuple(name for name in GRADES if name in set(grades))
    return replace(joined([train, *test], source, known), notes=notes, ordered=True)


def _grades(path: Path, edition: _Edition) -> list[str]:
    """Return the grade of each row by its name."""
    table = read_csv(path)
    check_columns(table, path, (edition.image, edition.grade))
    texts = table[edition.grade].to_list()
    by_number = {str(number): name for number, name in enumerate(GRADES)}
    wrong = [row for row, text in enumerate(texts) if text not in by_number]
    if wrong:
        first = f"row {wrong[0] + FIRST_ROW}, '{shown(texts[wrong[0]] or '')}'"
        raise DataError(
            f"{path}: column '{edition.grade}' has {plural(len(wrong), 'value')} that {_are(len(wrong))} no grade "
            f"(first: {first}); wanted: 0 to {len(GRADES) - 1}"
        )
    return [by_number[text] for text in texts]


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _test_set(base: Path, edition: _Edition) -> tuple[list[Part], tuple[str, ...]]:
    """Return the test set, if its grades and its images are there, and what there is to say of it."""
    folder = base / edition.test_folder
    made = "the test split is made of training images"
    if edition.test_table is None:
        return [], (f"{folder.name} has no published grades: {made}",) if folder.is_dir() else ()
    table = base / edition.test_table
    if table.is_file() and folder.is_dir():
        return [_read_part(table, folder, "test", edition)], ()
    if not table.is_file() and not folder.is_dir():
        return [], ()
    there, absent = (table, folder) if table.is_file() else (folder, table)
    return [], (f"{there.name} is there without {absent.name}: {made}",)


def _read_part(path: Path, folder: Path, split: str | None, edition: _Edition) -> Part:
    """Find the images of a table of grades, and their patients."""
    grades = _grades(path, edition)
    images = full_column(read_csv(path), path, edition.image)
    patients = _patients(images, path, edition.image) if edition.told_patients else [None] * len(images)
    found = by_stem(folder)
    paths = [found.get(name) for name in images]
    rows: list[Row] = [
        (image, grade, split, patient, place.relative_to(path.parent).as_posix() if place else image)
        for image, grade, patient, place in zip(images, grades, patients, paths, strict=True)
    ]
    table = Table(path, edition.image, f"unpack all images into {folder.name}/")
    return Part(table, rows, paths, images, list(range(len(images))))


def _patients(images: list[str], path: Path, column: str) -> list[str | None]:
    """Return the number before the first `_` of each image's name."""
    wrong = [row for row, name in enumerate(images) if not _IMAGE.fullmatch(name)]
    if wrong:
        raise DataError(
            f"{path}: column '{column}' has {plural(len(wrong), 'name')} that {_are(len(wrong))} not <patient>_<eye> "
            f"(first: row {wrong[0] + FIRST_ROW}, '{shown(images[wrong[0]])}'); as in 10_left"
        )
    return [name.split("_")[0] for name in images]
