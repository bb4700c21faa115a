"""Embeddings on disk: `embeddings.safetensors`, a row a row of the scores beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open

from alrctl import tensor_file
from schemas.errors import DataError, MismatchError

if TYPE_CHECKING:
    from torch import Tensor

EMBEDDINGS = "embeddings.safetensors"
_TENSOR = "embeddings"


def read_embeddings(path: Path, rows: int) -> Tensor:
    """Return the embeddings, (N, H), memory-mapped.

    Raises:
        DataError: the file is not whole, or holds something else.
        MismatchError: it has another number of rows than the scores.
    """
    with tensor_file.explained(path, "file of embeddings"), safe_open(path, framework="pt") as file:
        found: Tensor = file.get_tensor(_TENSOR)
    if found.ndim != 2 or not found.is_floating_point():
        raise DataError(f"{path}: holds {found.dtype} {tuple(found.shape)}; wanted: floats (N, H)")
    if len(found) != rows:
        raise MismatchError(f"{path}: has {len(found):,} rows; the scores beside it have {rows:,}")
    return found
