"""Reading what phase 1 saw of each sample, which may be far more than memory holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from alrctl import table_files
from alrctl.artifacts import find_optional, recorded_input
from alrctl.dataset import DataSet, check_known
from alrctl.job import Job
from schemas.signals import SIGNALS
from stages.methods.judgement import Seen
from stages.methods.training_dynamics import training_dynamics


def need_signals(job: Job, checkpoint: Path) -> Path | None:
    """Record as an input the signals of the phase 1 that the checkpoint came from; None where none are found."""
    found = find_optional(checkpoint, SIGNALS.file_name)
    if found is None:
        clean = recorded_input(checkpoint, "clean")
        found = None if clean is None else find_optional(clean, SIGNALS.file_name)
    return None if found is None else job.need("signals", found, SIGNALS.file_name)


def by_epoch(path: Path, data: DataSet, rows: NDArray[np.int64]) -> Iterator[Seen]:
    """Give what network 1 saw of the samples of `rows`, epoch by epoch."""
    signals = _first_network(path)
    wanted = data.samples.select("sample_id")[rows]
    for epoch in signals.select(pl.col("epoch").unique().sort()).collect()["epoch"]:
        seen = signals.filter(pl.col("epoch") == epoch).select("sample_id", "kept", "loss").collect()
        joined = wanted.join(seen, on="sample_id", how="left", maintain_order="left")
        loss = joined["loss"].cast(pl.Float64).fill_null(float("nan"))
        yield Seen(epoch, joined["kept"].fill_null(False).to_numpy(), loss.to_numpy())


def dynamics(path: Path, data: DataSet, rows: NDArray[np.int64]) -> pl.DataFrame:
    """Return what the course of training tells of the samples of `rows`, (N,), in their order.

    Raises:
        MismatchError: the signals know samples that the data set does not.
    """
    found = training_dynamics(_first_network(path)).collect(engine="streaming")
    check_known(found["sample_id"], data.samples["sample_id"], path)
    wanted = data.samples.select("sample_id")[rows]
    return wanted.join(found, on="sample_id", how="left", maintain_order="left").drop("sample_id")


def _first_network(path: Path) -> pl.LazyFrame:
    return table_files.scan_table(path, SIGNALS).filter(pl.col("network") == 1)
