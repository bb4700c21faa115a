"""How noisy the labels are held to be, beside how noisy they are where the truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from alrctl import csv_files, files, table_files
from alrctl.console import cell
from alrctl.lineage import maker
from alrctl.page.parts import Section, Table
from alrctl.page.project import Project
from alrctl.project import Artifact
from schemas.noise import NOISE

Ints = NDArray[np.int64]
HEADER = ["given label", "labels", "estimated share wrong", "95 % interval", "share wrong by the truth"]
_TEXT = (
    "What training and audits hold the labels to be; no truth was told to them. The last column is by the truth, where "
    "an evaluation was given it. The estimate changes as labels are mended: an expert's labels count as right."
)


def estimates(projects: Sequence[Project]) -> list[Section]:
    """Return a section a project on its estimates of the noise: a line each, and a table by given class each."""
    sections = []
    for project in projects:
        lines, tables = [], []
        truths = _by_truth(project)
        for one in project.artifacts:
            if not (one.path / NOISE.file_name).is_file() or one.manifest.stage == "noisy-ids":
                continue
            table = table_files.read_table(one.path / NOISE.file_name, NOISE)
            rows = _rows(table, truths.get(one.path.resolve()))
            name = project.place(one)
            lines.append([name, *rows[-1][1:]])
            tables.append(Table(HEADER, rows[:-1], f"{name}: by given label", folded=True))
        if lines:
            whole = Table(["by", *HEADER[1:]], lines, "all labels")
            title = "Label noise, estimated" + (f": {project.name}" if project.name else "")
            sections.append(Section(title, [_TEXT], tables=[whole, *tables]))
    return sections


def _by_truth(project: Project) -> dict[Path, tuple[tuple[str, ...], Ints]]:
    """Return of each network that was judged with the truth at hand the labels it had: classes, and true by given."""
    found = {}
    for one in project.of_stage("evaluate"):
        path, network = one.path / "transition_after.csv", maker(one, "checkpoint")
        if network is not None and path.is_file() and _labels(network) == _labels(one) is not None:
            found[network.path.resolve()] = read_counts(path)
    return found


def _labels(one: Artifact) -> Path | None:
    found = one.input_directory("labels")
    return None if found is None else found.resolve()


def read_counts(path: Path) -> tuple[tuple[str, ...], Ints]:
    """Return the classes and the matrix (K, K) of a CSV that `evaluate` wrote."""
    table = csv_files.read_csv(path)
    with files.explained_read(path, "CSV of whole numbers"):
        counts = table.select(pl.exclude(table.columns[0]).cast(pl.Int64)).to_numpy()
    return tuple(table[table.columns[0]].to_list()), counts


def _rows(table: pl.DataFrame, truth: tuple[tuple[str, ...], Ints] | None) -> list[list[str]]:
    """Return the table's rows as people read them, all labels together last."""
    known = {} if truth is None else _shares_wrong(*truth)
    rows = []
    for number, row in enumerate(table.iter_rows(named=True), 1):
        real = known.get(None if number == table.height else row["label"])
        interval = "-" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        rows.append([row["label"], cell(row["samples"]), cell(row["noise_rate"]), interval, cell(real)])
    return rows


def _shares_wrong(classes: tuple[str, ...], counts: Ints) -> dict[str | None, float]:
    """Return the share of wrong labels by given class, and under None of all."""
    given = counts.sum(axis=0)
    wrong = given - np.diag(counts)
    found: dict[str | None, float] = {
        name: float(wrong[index] / given[index]) for index, name in enumerate(classes) if given[index]
    }
    return found | {None: float(wrong.sum() / max(given.sum(), 1))}
