"""The true labels of an experiment: a table of them, or the labels that a data set came with."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from alrctl import artifacts, ledgers, table_files
from alrctl.job import Job
from schemas.labels import LABELS
from schemas.truth import TRUTH


def need_truth(job: Job, place: Path) -> Path:
    """Record the truth as an input: of a directory its truth, else its labels; or a file of either kind."""
    has_truth = artifacts.find_optional(place, TRUTH.file_name) is not None
    return job.need("truth", place, TRUTH.file_name if has_truth else LABELS.file_name)


def is_truth(path: Path) -> bool:
    """Say whether a file holds a table of the truth, and not of labels; whatever it is called."""
    return "true_label" in table_files.columns(path)


def read_truth(path: Path) -> pl.DataFrame:
    """Return sample_id and label, the true one.

    Raises:
        DataError: not readable, or neither of both tables.
        MismatchError: the labels are not what the ledger beside them leads to.
    """
    if is_truth(path):
        return table_files.read_table(path, TRUTH).select("sample_id", label="true_label")
    return ledgers.read(path, ledgers.beside(path))[0].select("sample_id", "label")
