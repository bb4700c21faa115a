"""The seed program's layout: `train.hdf5`, `val.hdf5`, `test.hdf5`, each `dataset/images` and `dataset/targets`."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from alrctl import limits
from alrctl.files import explained_read
from alrctl.sources.collection import Collection, of_arrays
from alrctl.sources.npz import check_arrays
from schemas.errors import DataError
from schemas.samples import SPLITS
from stages.ingest import IngestConfig


def recognises(source: Path) -> bool:
    """Say whether the folder holds `train.hdf5`, or `source` is such a file."""
    return (source / "train.hdf5").is_file() or (source.is_file() and source.suffix.lower() in {".hdf5", ".h5"})


def read(source: Path, config: IngestConfig) -> Collection:
    """Read the three files of a folder, or one file as samples without splits.

    Raises:
        DataError: a data set is missing, or of the wrong shape.
    """
    files = {None: source} if source.is_file() else {split: source / f"{split}.hdf5" for split in SPLITS}
    images: list[NDArray[np.generic]] = []
    rows = []
    read_files = []
    for split, path in files.items():
        if split is not None and not path.is_file():
            continue
        pixels, labels = _read_one(path)
        check_arrays(pixels, labels, str(path), split or "file's")
        name = split or "sample"
        rows += [
            (f"{name}-{index:06d}", str(int(label)), split, None, f"{path.name}:{index}")
            for index, label in enumerate(labels.ravel())
        ]
        images.extend(pixels)
        read_files.append(path)
    return replace(of_arrays(rows, lambda index: images[index], source), extra_files=tuple(read_files))


def _read_one(path: Path) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    with explained_read(path, "HDF5"), h5py.File(path, "r") as file:
        return _array(file, "dataset/images", path), _array(file, "dataset/targets", path)


def _array(file: h5py.File, name: str, path: Path) -> NDArray[np.generic]:
    """Return an array that lies in the file itself, once it is known that it is one of numbers and not a bomb.

    Raises:
        DataError: there is none of that name, or one of these does not hold.
    """
    if name not in file:
        raise DataError(f"{path}: has no {name}")
    if isinstance(file.get(name, getlink=True), h5py.ExternalLink) or not isinstance(file[name], h5py.Dataset):
        raise DataError(f"{path}: {name} is no data set of this file")
    found = file[name]
    if found.is_virtual or found.external:
        raise DataError(f"{path}: {name} lies in other files; copy it into this one")
    if found.dtype.kind not in "iuf" or found.shape is None:
        raise DataError(f"{path}: {name} is of {found.dtype}; wanted: numbers")
    limits.check_bytes(f"{path}: {name}", math.prod(found.shape) * found.dtype.itemsize, path.stat().st_size)
    return np.asarray(found)
