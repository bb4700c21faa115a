"""What noise by instance goes by: the images themselves, or features from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from alrctl import files, table_files
from alrctl.dataset import DataSet, read_images
from alrctl.job import Job
from schemas.errors import DataError, listing, plural
from schemas.scores import SCORES
from stages.methods.instance_noise import Features, thumbnails
from stages.report import Report

_BLOCK = 1 << 14

Read = Callable[[DataSet, NDArray[np.int64], Report], Features]


def need_features(job: Job, data: Path, features: Path | None) -> Read:
    """Record what the features are made from, and return what reads them, for the samples of some rows.

    Args:
        job: takes the inputs down.
        data: the data set; its images are taken where no file is given.
        features: a directory or file of `score`, or a parquet file with a column of lists.
    """
    if features is None:
        pack = job.need("images", data, "images.safetensors")
        return lambda dataset, rows, report: _of_images(pack, dataset, rows, report)
    from alrctl.embeddings import EMBEDDINGS

    path = job.need("features", features, EMBEDDINGS)
    if path.suffix.lower() == ".parquet":
        return lambda dataset, rows, _: _of_table(path, dataset, rows)
    scores = job.need("scores", path.parent, SCORES.file_name)
    return lambda dataset, rows, _: _of_embeddings(path, scores, dataset, rows)


def _of_images(pack: Path, dataset: DataSet, rows: NDArray[np.int64], report: Report) -> Features:
    return Features(thumbnails(read_images(pack, dataset), rows, report), np.arange(len(rows)))


def _of_embeddings(path: Path, scores: Path, dataset: DataSet, rows: NDArray[np.int64]) -> Features:
    """Return embeddings, left on disk; the scores beside them say whose they are.

    Raises:
        DataError: a file is not whole, or holds a number that is not finite.
        MismatchError: samples of another data set, or samples without a row.
    """
    import torch

    from alrctl.embeddings import read_embeddings

    ids = table_files.read_columns(scores, SCORES, ["sample_id"])
    tensor = read_embeddings(path, ids.height)
    values = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    aligned = dataset.aligned(ids.with_row_index("row"), scores, rows)
    return _finite(Features(values, aligned["row"].cast(pl.Int64).to_numpy()), aligned["sample_id"], path)


def _of_table(path: Path, dataset: DataSet, rows: NDArray[np.int64]) -> Features:
    """Return the lists of a parquet file.

    Raises:
        DataError: not readable, no or several columns of lists, of unequal length, or with what is no finite number.
        MismatchError: samples of another data set, or samples without a row.
    """
    with files.explained_read(path, "parquet"):
        schema = pl.read_parquet_schema(path)
    lists = [name for name, kind in schema.items() if isinstance(kind, pl.List | pl.Array) and kind.inner.is_numeric()]
    if "sample_id" not in schema or len(lists) != 1:
        wanted = "a column 'sample_id' and one column of lists of numbers are needed"
        raise DataError(f"{path}: {wanted} (found: {listing(schema)})")
    table = table_files.read_parquet(path, ["sample_id", lists[0]])
    with files.explained_read(path, "parquet"):
        table = pl.DataFrame(
            {
                "sample_id": table_files.as_text(table["sample_id"], path),
                "features": table[lists[0]].cast(pl.List(pl.Float32)),
            }
        )
    if table["sample_id"].n_unique() < table.height:
        twice = table["sample_id"].filter(table["sample_id"].is_duplicated())
        raise DataError(f"{path}: {plural(len(twice), 'row')} with a sample_id that stands twice (first: '{twice[0]}')")
    aligned = dataset.aligned(table, path, rows)
    length = aligned["features"].list.len().fill_null(0)
    most = int(length.to_numpy().max(initial=0))
    bad = ((length != most) | (length == 0)).arg_true()
    if len(bad):
        first = f"first: '{aligned['sample_id'][bad[0]]}' has {length[bad[0]]}, the longest {most}"
        raise DataError(f"{path}: column '{lists[0]}' needs lists of one length, and not empty ({first})")
    values = aligned["features"].explode().to_numpy().reshape(aligned.height, -1)
    return _finite(Features(values, np.arange(aligned.height)), aligned["sample_id"], path)


def _finite(found: Features, ids: pl.Series, path: Path) -> Features:
    """Return the features, once it is known that each is a finite number.

    Raises:
        DataError: naming the first sample with another.
    """
    for start in range(0, len(found.rows), _BLOCK):
        bad = np.flatnonzero(~np.isfinite(found.values[found.rows[start : start + _BLOCK]]).all(axis=1))
        if len(bad):
            first = ids[start + int(bad[0])]
            raise DataError(f"{path}: holds a feature that is empty or no finite number (first: '{first}')")
    return found
