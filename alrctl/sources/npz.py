"""MedMNIST's `.npz`: `{train,val,test}_images` (N, H, W[, 3]) uint8 and `{train,val,test}_labels` (N, 1)."""

from __future__ import annotations

import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import MAGIC_PREFIX, read_array_header_1_0, read_array_header_2_0, read_magic
from numpy.typing import NDArray

from alrctl import limits
from alrctl.files import explained_read
from alrctl.sources.collection import Collection, Row, of_arrays
from schemas.errors import DataError
from schemas.samples import SPLITS
from stages.ingest import IngestConfig

_HEADERS = {(1, 0): read_array_header_1_0, (2, 0): read_array_header_2_0}


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
        limits.check_bytes(str(source), _unpacked(source), source.stat().st_size)
        for split in SPLITS:
            if f"{split}_images" not in archive.files:
                continue
            if f"{split}_labels" not in archive.files:
                raise DataError(f"{source}: has {split}_images and no {split}_labels")
            pixels, labels = _array(archive, f"{split}_images", source), _array(archive, f"{split}_labels", source)
            check_arrays(pixels, labels, str(source), split)
            groups = _groups(archive, split, len(pixels), source)
            for index, label in enumerate(labels.ravel()):
                name = f"{split}-{index:06d}"
                rows.append((name, str(int(label)), split, None if groups is None else groups[index], name))
            images.extend(pixels)
    if not rows:
        raise DataError(f"{source}: holds none of train_images, val_images, test_images")
    return rows, images


def _unpacked(source: Path) -> int:
    """Return how many bytes the entries of the archive claim to unpack to; more than that is never read of them."""
    with zipfile.ZipFile(source) as packed:
        return sum(entry.file_size for entry in packed.infolist())


def _array(archive: Any, name: str, source: Path) -> NDArray[np.generic]:
    """Return an array, once it is known that it claims no more than the archive has of it.

    Raises:
        DataError: it claims more, or it is none.
    """
    entry = archive.zip.NameToInfo.get(f"{name}.npy") or archive.zip.NameToInfo[name]
    with archive.zip.open(entry) as stream:
        is_array = stream.read(len(MAGIC_PREFIX)) == MAGIC_PREFIX
        stream.seek(0)
        read = _HEADERS.get(read_magic(stream)) if is_array else None
        if read is None:
            raise DataError(f"{source}: {name} is no numpy array")
        shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise DataError(f"{source}: {name} holds Python objects; a pickle can run code, and none is ever loaded")
    if math.prod(shape) * dtype.itemsize > entry.file_size or any(length < 0 for length in shape):
        raise DataError(f"{source}: {name} claims to be {dtype} {shape}, and holds {entry.file_size:,} bytes")
    found: NDArray[np.generic] = archive[name]
    return found


def _groups(archive: Any, split: str, count: int, source: Path) -> list[str] | None:
    """Return the group of each sample, if the archive tells it.

    Raises:
        DataError: it tells another number of them, or what is no text.
    """
    if f"{split}_source" not in archive.files:
        return None
    found = _array(archive, f"{split}_source", source).ravel()
    if len(found) != count:
        raise DataError(f"{source}: has {count:,} {split}_images and {len(found):,} of {split}_source")
    return [str(group) for group in found]


def check_arrays(pixels: NDArray[np.generic], labels: NDArray[np.generic], source: str, split: str) -> None:
    """Hold an image array and its labels to their shapes.

    Raises:
        DataError: they do not fit.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in {3, 4} or (pixels.ndim == 4 and pixels.shape[3] not in {1, 3, 4}):
        raise DataError(f"{source}: the {split} images are {pixels.dtype} {pixels.shape}; wanted: uint8 (N, H, W[, 3])")
    if 0 in pixels.shape[1:]:
        raise DataError(f"{source}: the {split} images are {pixels.shape}, without a pixel")
    if labels.dtype.kind not in "iuf" or labels.size != len(pixels):
        raise DataError(
            f"{source}: the {split} labels are {labels.dtype} {labels.shape}; wanted: {len(pixels)} class indices"
        )
    if not (np.isfinite(labels) & (labels == np.floor(labels))).all():
        raise DataError(f"{source}: the {split} labels hold values that are no whole numbers; wanted: class indices")
