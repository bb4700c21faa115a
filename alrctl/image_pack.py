"""The pack that holds a data set's images decoded: one safetensors file, memory-mapped."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import safe_open

from alrctl import tensor_file
from alrctl.images import Pixels
from schemas.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

PACK = "images.safetensors"
_TENSOR = "images"


def place_of_pixels(count: int, size: int) -> int:
    """Return how many bytes the header takes in all where up to `count` images are packed, a multiple of 8."""
    return tensor_file.room(_TENSOR, "U8", (count, size, size, 3))


def header(count: int, size: int, room: int) -> bytes:
    """Return the header for `count` images of (size, size, 3), padded with spaces to `room` bytes in all."""
    return tensor_file.head(_TENSOR, "U8", (count, size, size, 3), room)


def open_pixels(path: Path) -> Pixels:
    """Return the images, (N, H, W, 3), memory-mapped, for what shows them and need not wait for torch.

    Raises:
        DataError: the file is not whole, or holds something else.
    """
    with tensor_file.explained(path, "image pack"), safe_open(path, framework="numpy") as file:
        images = file.get_slice(_TENSOR)
        _check_pack(path, images.get_dtype(), images.get_shape())
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            begins: int = json.loads(stream.read(length))[_TENSOR]["data_offsets"][0]
    return np.memmap(path, np.uint8, "r", 8 + length + begins, tuple(images.get_shape()))


def open_pack(path: Path) -> Tensor:
    """Return the images, (N, H, W, 3) uint8, memory-mapped.

    Raises:
        DataError: the file is not whole, or holds something else.
    """
    with tensor_file.explained(path, "image pack"), safe_open(path, framework="pt") as file:
        found = file.get_slice(_TENSOR)
        _check_pack(path, found.get_dtype(), found.get_shape())
        images: Tensor = file.get_tensor(_TENSOR)
    return images


def _check_pack(path: Path, kind: str, shape: Sequence[int]) -> None:
    if kind != "U8" or len(shape) != 4 or shape[3] != 3:
        raise DataError(f"{path}: holds {kind} {tuple(shape)}; wanted: U8 (N, H, W, 3)")
