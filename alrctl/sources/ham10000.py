"""HAM10000 (Tschandl et al. 2018): `HAM10000_metadata.csv`, and `<image_id>.jpg` in one or more folders.

Images of one lesion are one group: an ungrouped split would leak.
"""

from __future__ import annotations

from pathlib import Path

from alrctl.files import read_csv
from alrctl.naming import IMAGE_SUFFIXES
from alrctl.sources.collection import Collection, of_files
from schemas.errors import DataError, listing
from stages.ingest import IngestConfig

_METADATA = "HAM10000_metadata.csv"
_CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def recognises(source: Path) -> bool:
    """Say whether the folder, or one folder below it, holds the metadata file."""
    return source.is_dir() and _find(source) is not None


def _find(source: Path) -> Path | None:
    return next((path for path in [source / _METADATA, *sorted(source.glob(f"*/{_METADATA}"))] if path.is_file()), None)


def read(source: Path, config: IngestConfig) -> Collection:
    """Join the metadata with the images found anywhere below the folder.

    Raises:
        DataError: the metadata is missing, lacks a column, or names an image that is not there.
    """
    metadata = _find(source)
    if metadata is None:
        raise DataError(f"{source}: has no {_METADATA}")
    table = read_csv(metadata)
    missing = [name for name in ("lesion_id", "image_id", "dx") if name not in table.columns]
    if missing:
        raise DataError(f"{metadata}: column {listing(missing)} missing")
    unlabelled = [row for row, label in enumerate(table["dx"]) if label is None]
    if unlabelled:
        raise DataError(f"{metadata}: column 'dx' has {len(unlabelled)} empty cells (first: row {unlabelled[0] + 2})")
    found = {path.stem: path for path in sorted(metadata.parent.rglob("*")) if path.suffix.lower() in IMAGE_SUFFIXES}
    absent = [name for name in table["image_id"] if name not in found]
    if absent:
        raise DataError(f"{source}: {len(absent)} images of the metadata are not there (first: '{absent[0]}')")
    rows = [
        (image, label, None, lesion, found[image].relative_to(metadata.parent).as_posix())
        for lesion, image, label in table.select("lesion_id", "image_id", "dx").iter_rows()
    ]
    known = set(table["dx"].drop_nulls())
    classes = tuple(name for name in _CLASSES if name in known) + tuple(sorted(known - set(_CLASSES)))
    paths = [found[row[0]] for row in rows]
    return of_files(rows, paths, source, config.exclude_class, (metadata,), classes=classes)
