"""HAM10000 (Tschandl et al. 2018): `HAM10000_metadata.csv`, and `<image_id>.jpg` in one or more folders.

Images of one lesion are one group: an ungrouped split would leak.
"""

from __future__ import annotations

from pathlib import Path

from alrctl.csv_files import read_csv
from alrctl.sources.collection import Collection, Row, Table, images_below
from alrctl.sources.tables import Part, check_columns, find_table, full_column, joined
from schemas.errors import DataError
from stages.ingest import IngestConfig

_METADATA = "HAM10000_metadata.csv"
_CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def recognises(source: Path) -> bool:
    """Say whether the folder, or one folder below it, holds the metadata file."""
    return find_table(source, _METADATA) is not None


def read(source: Path, config: IngestConfig) -> Collection:
    """Join the metadata with the images found anywhere below the folder.

    Raises:
        DataError: the metadata is missing, lacks a column, or names an image that is not there.
    """
    metadata = find_table(source, _METADATA)
    if metadata is None:
        raise DataError(f"{source}: has no {_METADATA}")
    table = read_csv(metadata)
    check_columns(table, metadata, ("lesion_id", "image_id", "dx"))
    labels, images = full_column(table, metadata, "dx"), full_column(table, metadata, "image_id")
    found = {Path(name).stem: metadata.parent / name for name in images_below(metadata.parent)}
    paths = [found.get(image) for image in images]
    rows: list[Row] = [
        (image, label, None, lesion, path.relative_to(metadata.parent).as_posix() if path else image)
        for image, label, lesion, path in zip(images, labels, table["lesion_id"].to_list(), paths, strict=True)
    ]
    known = set(labels)
    classes = tuple(name for name in _CLASSES if name in known) + tuple(sorted(known - set(_CLASSES)))
    told = Table(metadata, "image_id", "unpack both parts of the images")
    return joined([Part(told, rows, paths, images, list(range(table.height)))], source, classes)
