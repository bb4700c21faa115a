"""The head of a safetensors file of one tensor whose values are written one after the other behind it."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from typing import Literal

_BYTES = {"U8": 1, "F32": 4}


def room(name: str, kind: Literal["U8", "F32"], shape: Sequence[int]) -> int:
    """Return how many bytes the head takes, a multiple of 8."""
    return 8 + (len(_text(name, kind, shape)) + 7) // 8 * 8


def head(name: str, kind: Literal["U8", "F32"], shape: Sequence[int], room: int) -> bytes:
    """Return the head of a tensor, padded with spaces to `room` bytes in all."""
    return struct.pack("<Q", room - 8) + _text(name, kind, shape).ljust(room - 8)


def _text(name: str, kind: str, shape: Sequence[int]) -> bytes:
    size = math.prod(shape) * _BYTES[kind]
    return json.dumps({name: {"dtype": kind, "shape": list(shape), "data_offsets": [0, size]}}).encode()
