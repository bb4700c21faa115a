"""Reads HDF5 in a process of its own: the library that does so ends its process on some spoilt files.

Run as a script, with nothing of this program, so that it starts at once: `hdf5_child.py FILE MOST TIMES`. On stdout: a
line of JSON for each array, with its bytes after it; or one that says what is wrong.
"""

from __future__ import annotations

import json
import math
import os
import sys
from typing import Any

import h5py
import numpy as np

_BLOCK = 1 << 26  # bytes that are held at a time
NAMES = ("dataset/images", "dataset/targets")


def main(path: str, free: int, times: int) -> None:
    """Write the two arrays, or what is wrong with them, to stdout."""
    out = sys.stdout.buffer
    try:
        with h5py.File(path, "r") as file:
            for name in NAMES:
                wrong = _wrong(file, name, free, times * os.path.getsize(path))
                if wrong:
                    _tell(out, {"wrong": wrong})
                    return
                found = file[name]
                _tell(out, {"dtype": found.dtype.str, "shape": found.shape})
                step = max(1, _BLOCK * len(found) // max(1, found.nbytes)) if found.shape else 1
                for start in range(0, len(found) if found.shape else 1, step):
                    block = found[start : start + step] if found.shape else found[()]
                    out.write(np.asarray(block).tobytes())
    except Exception as error:  # whatever the library raises, in one line
        _tell(out, {"error": (str(error).strip().splitlines() or [type(error).__name__])[0]})


def _tell(out: Any, told: dict[str, Any]) -> None:
    out.write(json.dumps(told).encode() + b"\n")


def _wrong(file: h5py.File, name: str, free: int, most: int) -> str | None:
    """Return what is wrong with an array: it must lie in the file itself, be of numbers, and be no bomb."""
    if name not in file:
        return f"has no {name}"
    if isinstance(file.get(name, getlink=True), h5py.ExternalLink) or not isinstance(file[name], h5py.Dataset):
        return f"{name} is no data set of this file"
    found = file[name]
    if found.is_virtual or found.external:
        return f"{name} lies in other files; copy it into this one"
    if found.dtype.kind not in "iuf" or found.shape is None:
        return f"{name} is of {found.dtype}; wanted: numbers"
    unpacked = math.prod(found.shape) * found.dtype.itemsize
    if unpacked > free and unpacked > most:
        return f"{name} claims to unpack to {unpacked:,} bytes, far more than the file has; if that is meant, unpack it"
    return None


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
