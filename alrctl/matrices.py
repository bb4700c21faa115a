"""Matrices with a row and a column a class, as people write them: confusions, costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from alrctl import files
from schemas.classes import Classes
from schemas.errors import DataError


def read_matrix(path: Path, classes: Classes) -> NDArray[np.float64]:
    """Read a CSV with the classes as columns, and as rows in its first column, in any order; return it (K, K).

    Raises:
        DataError: other classes, or a cell that is no finite number.
    """
    found = files.read_csv(path)
    names = found.columns[1:]
    rows = found[found.columns[0]].to_list()
    for told, kind in ((names, "columns"), (rows, "rows")):
        if sorted(map(str, told)) != sorted(classes.names):
            raise DataError(f"{path}: {kind} must be the classes, each once: {', '.join(classes.names)}")
    ordered = found[[rows.index(name) for name in classes.names]].select(classes.names)
    try:
        matrix = ordered.select(pl.all().cast(pl.Float64)).to_numpy()
    except pl.exceptions.InvalidOperationError as error:
        raise DataError(f"{path}: holds a cell that is no number") from error
    if not np.isfinite(matrix).all():
        raise DataError(f"{path}: holds a cell that is empty or no finite number")
    return np.asarray(matrix, dtype=np.float64)
