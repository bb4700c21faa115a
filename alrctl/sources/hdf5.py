"""The seed program's layout: `train.hdf5`, `val.hdf5`, `test.hdf5`, each `dataset/images` and `dataset/targets`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from alrctl import limits
from alrctl.files import explained_read
from alrctl.sources import hdf5_child
from alrctl.sources.collection import Collection, of_arrays
from alrctl.sources.npz import check_arrays
from schemas.errors import DataError, shown
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
    """Return images and labels, read by another process: spoilt files can end the one that reads them.

    Raises:
        DataError: no HDF5, or without two arrays of numbers.
    """
    with explained_read(path, "HDF5"), path.open("rb"):
        command = [sys.executable, "-I", hdf5_child.__file__, str(path.resolve())]
        limit = [str(limits.UNPACKED), str(limits.TIMES)]
        with subprocess.Popen([*command, *limit], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            arrays = [_array(process.stdout, path) for _ in hdf5_child.NAMES]
    return arrays[0], arrays[1]


def _array(stream: IO[bytes], path: Path) -> NDArray[np.generic]:
    """Return the next array that the other process tells.

    Raises:
        DataError: it tells what is wrong, or has ended.
    """
    told = json.loads(stream.readline() or b'{"error": "reading it breaks the HDF5 library"}')
    if "wrong" in told:
        raise DataError(f"{path}: {told['wrong']}")
    if "error" in told:
        raise DataError(f"{path}: is no readable HDF5 file ({shown(told['error'], 200)})")
    found: NDArray[np.generic] = np.empty(told["shape"], dtype=told["dtype"])
    if found.size and stream.readinto(found.reshape(-1).view(np.uint8).data) < found.nbytes:  # type: ignore[attr-defined]
        raise DataError(f"{path}: is no readable HDF5 file (it breaks off)")
    return found
