"""Safetensors files: read in whole or refused, and the head of one whose values are written behind it bit by bit."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError

from schemas.errors import DataError, shown

_BYTES = {"U8": 1, "F32": 4}


@contextmanager
def explained(path: Path, kind: str = "safetensors file") -> Iterator[None]:
    """Turn any failure to read a safetensors file into one clear line, which calls it a `kind`.

    Raises:
        DataError: the file is not there, or not whole.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: is no whole {kind} ({shown(str(error), 200)})") from error


def room(name: str, kind: Literal["U8", "F32"], shape: Sequence[int]) -> int:
    """Return how many bytes the head takes, a multiple of 8."""
    return 8 + (len(_text(name, kind, shape)) + 7) // 8 * 8


def head(name: str, kind: Literal["U8", "F32"], shape: Sequence[int], room: int) -> bytes:
    """Return the head of a tensor, padded with spaces to `room` bytes in all."""
    return struct.pack("<Q", room - 8) + _text(name, kind, shape).ljust(room - 8)


def _text(name: str, kind: str, shape: Sequence[int]) -> bytes:
    size = math.prod(shape) * _BYTES[kind]
    return json.dumps({name: {"dtype": kind, "shape": list(shape), "data_offsets": [0, size]}}).encode()
