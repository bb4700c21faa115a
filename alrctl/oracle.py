"""Simulated experts who answer a queue, for experiments with known truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from alrctl.answers.found import Found, table
from alrctl.matrices import read_matrix
from alrctl.truths import read_truth
from schemas.classes import Classes
from schemas.errors import DataError, MismatchError
from stages.methods import experts
from stages.relabel import RelabelConfig


def ask(config: RelabelConfig, truth: Path, confusion: Path | None, queue: pl.DataFrame, classes: Classes) -> Found:
    """Return the experts' answers to a queue.

    Raises:
        DataError: the truth is no class, or the confusion matrix is none.
        MismatchError: the truth of a sample is not known.
    """
    asked = queue.select("sample_id").join(read_truth(truth), on="sample_id", how="left", maintain_order="left")
    unknown = asked.filter(asked["label"].is_null())
    if unknown.height:
        raise MismatchError(f"{truth}: does not have sample '{unknown['sample_id'][0]}' of the queue")
    index = np.array(classes.indices(asked["label"].to_list(), str(truth)), dtype=np.int64)
    skills = _skills(config, confusion, classes)
    perfect = confusion is None and config.oracle_errors == (0.0,)
    rows = []
    for expert, matrix in enumerate(skills, 1):
        name = "oracle" if perfect else f"expert-{expert}"
        said = experts.answer(asked["sample_id"].to_list(), index, matrix, config.seed, expert)
        rows += [
            {"sample_id": sample, "label": classes.names[label], "annotator": name, "place": place}
            | {"seconds": config.oracle_seconds}
            for place, (sample, label) in enumerate(zip(asked["sample_id"], said, strict=True), 1)
        ]
    return Found(table(rows, str(truth)), "sample")


def _skills(config: RelabelConfig, confusion: Path | None, classes: Classes) -> list[NDArray[np.float64]]:
    if confusion is not None:
        return [_read_confusion(confusion, classes)]
    return [experts.even_errors(rate, len(classes)) for rate in config.oracle_errors]


def _read_confusion(path: Path, classes: Classes) -> NDArray[np.float64]:
    """Read a matrix with the classes as columns, and as rows in its first column; counts or shares.

    Raises:
        DataError: other classes, or a row that does not add up.
    """
    matrix = read_matrix(path, classes)
    sums = matrix.sum(axis=1, keepdims=True)
    if (matrix < 0).any() or (sums <= 0).any():
        raise DataError(f"{path}: every row needs shares or counts that are not negative and not all 0")
    return np.asarray(matrix / sums, dtype=np.float64)
