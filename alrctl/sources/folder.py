"""A folder of images: one sub-folder a class, or `train/`, `val/`, `test/` with one each."""

from __future__ import annotations

from pathlib import Path

from alrctl.naming import IMAGE_SUFFIXES, split_name
from alrctl.sources.collection import Collection, folders_in, images_below, is_image, of_files
from schemas.errors import DataError, plural
from stages.ingest import IngestConfig


def recognises(source: Path) -> bool:
    """Say whether `source` is a folder with sub-folders."""
    return source.is_dir() and any(path.is_dir() for path in source.iterdir())


def read(source: Path, config: IngestConfig) -> Collection:
    """List the images below each class folder; the sample's id is its path below `source`.

    Raises:
        DataError: no sub-folder, no image, or images beside the class folders.
    """
    if not source.is_dir():
        raise DataError(f"{source}: is not a folder")
    top = folders_in(source)
    has_splits = bool(top) and all(split_name(path.name) for path in top)
    rows, paths = [], []
    for parent in top if has_splits else [source]:
        split = split_name(parent.name) if has_splits else None
        _refuse_strays(parent)
        for folder in folders_in(parent):
            above, label = folder.relative_to(source).as_posix(), folder.name
            names = images_below(folder)
            rows += [(place := f"{above}/{name}", label, split, None, place) for name in names]
            paths += [f"{folder}/{name}" for name in names]
    if not rows:
        raise DataError(f"{source}: has no image in a class folder (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    return of_files(rows, paths, source)


def _refuse_strays(folder: Path) -> None:
    strays = sorted(path.name for path in folder.iterdir() if path.is_file() and is_image(path.name))
    if strays:
        found = plural(len(strays), "image")
        raise DataError(f"{folder}: {found} beside the class folders (first: '{strays[0]}'); which class are they of?")
