"""What else is known of samples: columns of a table that somebody keeps beside the images."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from alrctl import table_files
from alrctl.dataset import DataSet
from schemas.errors import DataError, MismatchError, UsageError, listing, nearest


def read_metadata(
    path: Path | None, names: tuple[str, ...], data: DataSet, rows: NDArray[np.int64]
) -> dict[str, pl.Series]:
    """Return columns of the metadata, or of the samples table, for the samples of `rows`, (N,) each.

    The samples' ids stand in column `sample_id`, else in the first column that holds all of them.

    Raises:
        UsageError: no such column.
        MismatchError: no column holds the samples' ids, or one stands twice.
    """
    if not names:
        return {}
    samples = data.samples[rows]
    table, known = samples, [*samples.columns]
    if path is not None:
        found = table_files.read_any(path)
        table = _matched(found, samples, path)
        known = [*found.columns, *known]
    for name in names:
        if name not in table.columns:
            hint = "" if path is not None else "; --metadata names a table that has it"
            raise UsageError(f"--by: no column '{name}'{nearest(name, known)}{hint}")
        if table[name].dtype.is_nested() or table[name].dtype == pl.Binary:
            raise UsageError(f"--by: column '{name}' holds {table[name].dtype}, and no names or numbers")
    return {name: table[name] for name in names}


def _matched(found: pl.DataFrame, samples: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Return the metadata's columns beside those of the samples, a row a sample."""
    ids = samples["sample_id"]
    candidates = ["sample_id"] if "sample_id" in found.columns else found.columns
    texts = {}
    for name in candidates:
        with suppress(DataError):  # lists or bytes are no ids
            texts[name] = table_files.as_text(found[name], path).alias("id")  # '^a$' is a pattern to polars
    key = next((name for name, told in texts.items() if ids.is_in(told.implode()).all()), None)
    if key is None:
        if candidates == ["sample_id"]:
            absent = ids.filter(~ids.is_in(table_files.as_text(found["sample_id"], path).implode()))
            raise MismatchError(f"{path}: lacks {len(absent):,} samples of the split (first: '{absent[0]}')")
        raise MismatchError(f"{path}: no column holds the ids of the split's samples (found: {listing(found.columns)})")
    rest = {name: found[name] for name in found.columns if name != key}
    told = pl.DataFrame({"sample_id": texts[key], **rest})
    told = told.filter(pl.col("sample_id").is_in(ids.implode()))
    if told["sample_id"].n_unique() < told.height:
        twice = told["sample_id"].filter(told["sample_id"].is_duplicated())[0]
        raise MismatchError(f"{path}: '{twice}' stands twice in column '{key}'")
    own = [name for name in samples.columns if name == "sample_id" or name not in told.columns]
    return samples.select(own).join(told, on="sample_id", how="left", maintain_order="left")
