"""MedMNIST's `.npz`: `{train,val,test}_images` (N, H, W[, 3]) uint8 and `{train,val,test}_labels` (N, 1)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alrctl.files import explained_read
from alrctl.sources.collection import Collection, Row, of_arrays
from schemas.errors import DataError
from schemas.samples import SPLITS
from stages.ingest import IngestConfig


def recognises(source: Path) -> bool:
    """Say whether `source` is named like a numpy archive."""
    return source.is_file() and source.suffix.lower() == ".npz"


def read(source: Path, config: IngestConfig) -> Collection:
    """Read the arrays; an optional `{split}_source` array gives the group.

    Raises:
        DataError: an array is missing, of the wrong shape, or not the length of its labels.
    """
    rows, images = read_arrays(source)
    return replace(of_arrays(rows, lambda index: images[index], source), extra_files=(source,))


def read_arrays(source: Path) -> tuple[list[Row], list[NDArray[np.generic]]]:
    """Return a row and an image, (H, W[, C]) uint8, for each sample; labels are indices (pickled objects are refused).

    Raises:
        DataError: an array is missing, of the wrong shape, or not the length of its labels.
    """
    images: list[NDArray[np.generic]] = []
    rows: list[Row] = []
    with explained_read(source, ".npz"), source.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        for split in SPLITS:
            if f"{split}_images" not in archive.files:
                continue
            if f"{split}_labels" not in archive.files:
                raise DataError(f"{source}: has {split}_images and no {split}_labels")
            pixels, labels = archive[f"{split}_images"], archive[f"{split}_labels"]
            check_arrays(pixels, labels, str(source), split)
            groups = archive[f"{split}_source"].ravel() if f"{split}_source" in archive.files else None
            for index, label in enumerate(labels.ravel()):
                name = f"{split}-{index:06d}"
                rows.append((name, str(int(label)), split, None if groups is None else str(groups[index]), name))
            images.extend(pixels)
    if not rows:
        raise DataError(f"{source}: holds none of train_images, val_images, test_images")
    return rows, images


def check_arrays(pixels: NDArray[np.generic], labels: NDArray[np.generic], source: str, split: str) -> None:
    """Hold an image array and its labels to their shapes.

    Raises:
        DataError: they do not fit.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in {3, 4} or (pixels.ndim == 4 and pixels.shape[3] not in {1, 3, 4}):
        raise DataError(f"{source}: the {split} images are {pixels.dtype} {pixels.shape}; wanted: uint8 (N, H, W[, 3])")
    if not np.issubdtype(labels.dtype, np.number) or labels.size != len(pixels):
        raise DataError(
            f"{source}: the {split} labels are {labels.dtype} {labels.shape}; wanted: {len(pixels)} class indices"
        )
    if not (np.isfinite(labels) & (labels == np.floor(labels))).all():
        raise DataError(f"{source}: the {split} labels hold values that are no whole numbers; wanted: class indices")
