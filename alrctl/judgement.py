"""Finding which samples phase 1 judged clean: named, beside the checkpoint, or recorded with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from alrctl import table_files
from alrctl.artifacts import find_optional, recorded_input
from alrctl.dataset import DataSet, check_known
from alrctl.job import Job
from schemas.clean import CLEAN
from schemas.errors import MismatchError


def need_clean(job: Job, checkpoint: Path, named: Path | None) -> Path | None:
    """Record the judgement as an input; None where there is none to be found."""
    if named is not None:
        return job.need("clean", named, CLEAN.file_name)
    found = find_optional(checkpoint, CLEAN.file_name) or recorded_input(checkpoint, "clean")
    return None if found is None else job.need("clean", found, CLEAN.file_name)


def read_clean(path: Path | None, data: DataSet, rows: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return the judgement of the samples of `rows`, (N,): 1 clean, 0 not, -1 no judgement.

    Raises:
        MismatchError: it knows samples that the data set does not.
    """
    if path is None:
        return np.full(len(rows), -1, dtype=np.int8)
    table = table_files.read_table(path, CLEAN)
    check_known(table["sample_id"], data.samples["sample_id"], path)
    joined = data.samples.select("sample_id")[rows].join(table, on="sample_id", how="left", maintain_order="left")
    return joined["judged_clean"].cast(pl.Int8).fill_null(-1).to_numpy()


def read_true_posterior(path: Path | None, data: DataSet, rows: NDArray[np.int64]) -> pl.Series | None:
    """Return the posterior of each sample's true class as training estimated it, lists in the order of `rows`.

    None where there is no judgement, or it tells none. A sample that was not judged has null.

    Raises:
        MismatchError: it is of another number of classes.
    """
    if path is None:
        return None
    table = table_files.read_table(path, CLEAN)
    if not table["true_posterior"].is_not_null().any():
        return None
    lengths = table["true_posterior"].list.len().drop_nulls()
    if (lengths != len(data.classes)).any():
        raise MismatchError(f"{path}: true_posterior is not of the {len(data.classes)} classes of {data.path.parent}")
    joined = data.samples.select("sample_id")[rows].join(table, on="sample_id", how="left", maintain_order="left")
    return joined["true_posterior"]
