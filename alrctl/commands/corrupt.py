"""`alrctl corrupt`: noisy labels, the truth apart, and what noise was really made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray

from alrctl.console import cell
from alrctl.dataset import need_data, read_data, read_labels
from alrctl.job import Job
from alrctl.matrices import ALL, GIVEN, TRANSITION, read_transition
from alrctl.noise_features import need_features
from alrctl.options import as_command
from alrctl.parameters import Data, Out
from alrctl.session import Outcome, Session, Summary
from alrctl.summary import tell
from alrctl.target import Target
from schemas.classes import Classes
from schemas.labels import LABELS
from schemas.truth import TRUTH
from stages import corrupt as stage
from stages.methods.undefined import none_if_nan

EXAMPLE = "alrctl corrupt work/data --noise symmetric --rate 0.4 --seed 0 -o work/noisy"

MatrixFile = Annotated[
    Path,
    typer.Option(
        "--transition", help="with transition noise, CSV: the share of class (row) that is given class (column)"
    ),
]
FeaturesFile = Annotated[
    Path,
    typer.Option(
        "--features",
        help="with noise by instance: embeddings of `score`, or a parquet of sample_id and lists (default: the images)",
    ),
]


def corrupt(
    session: Session,
    config: stage.CorruptConfig,
    data: Data,
    out: Out,
    transition: MatrixFile | None = None,
    features: FeaturesFile | None = None,
) -> Outcome:
    """Add label noise."""
    stage.check(config, transition is not None, features is not None)
    job = Job(session, "corrupt", out, config)
    samples, classes, _ = need_data(job, data, images=False)
    labels = job.need("labels", data, LABELS.file_name)
    matrix_path = None if transition is None else _need_matrix(job, transition)
    read_features = need_features(job, data, features) if config.noise == "instance" else None

    def work(target: Target) -> Summary:
        dataset = read_data(samples, classes)
        table = read_labels(labels, dataset)
        rows = dataset.rows(*config.splits)
        touched = np.zeros(table.height, dtype=bool)
        touched[rows] = True
        matrix = None if matrix_path is None else _matrix(matrix_path, dataset.classes, target)
        seen = None if read_features is None or not len(rows) else read_features(dataset, rows, target.report)
        names = dataset.classes.names
        outputs = stage.run(config, table["index"].to_numpy(), touched, names, matrix, seen)
        for note in outputs.notes:
            target.report.warn(note)
        called = pl.Series(names).gather(pl.Series(outputs.labels))
        target.table(table.select("sample_id", label=called, relabelled=pl.lit(False)), LABELS)
        target.table(table.select("sample_id", true_label="label"), TRUTH)
        _write_matrices(target, outputs, names)
        return _facts(outputs, names, int((outputs.labels != table["index"].to_numpy()).sum()))

    return tell(session, job.run(work), _story)


def _need_matrix(job: Job, place: Path) -> Path:
    """Record the matrix: that of a directory, or the very file named, as two lie side by side."""
    return job.need("transition", place, place.name if place.is_file() else TRANSITION)


def _matrix(path: Path, classes: Classes, target: Target) -> NDArray[np.float64]:
    found = read_transition(path, classes)
    if found.of_counts:
        target.report.warn(f"{path}: holds counts; each row was divided by its sum")
    return found.matrix


def _write_matrices(target: Target, outputs: stage.CorruptOutputs, names: tuple[str, ...]) -> None:
    """Write the realised transition matrix, with both rates by class, and the nominal one."""
    noise, nominal = np.append(outputs.rates, outputs.rate), np.append(outputs.nominal_rates, outputs.nominal_rate)
    realised = _table(outputs.transition, names, {"noise_rate": noise, "nominal_rate": nominal})
    target.csv(realised, TRANSITION)
    target.csv(_table(outputs.nominal_transition, names, {"nominal_rate": nominal}), f"nominal_{TRANSITION}")


def _table(matrix: NDArray[np.float64], names: tuple[str, ...], rates: dict[str, NDArray[np.float64]]) -> pl.DataFrame:
    """Return a row a class and one for all, which has rates alone."""
    unknown = float("nan")
    shares = {f"{GIVEN}{name}": [*matrix[:, index], unknown] for index, name in enumerate(names)}
    return pl.DataFrame({"true_label": [*names, ALL], **shares, **rates}).fill_nan(None)


def _facts(outputs: stage.CorruptOutputs, names: tuple[str, ...], changed: int) -> Summary:
    def by_class(rates: NDArray[np.float64]) -> dict[str, float | None]:
        return {name: none_if_nan(float(rate)) for name, rate in zip(names, rates, strict=True)}

    return {
        "changed": changed,
        "nominal_rate": outputs.nominal_rate,
        "realised_rate": outputs.rate,
        "samples_by_class": {name: int(size) for name, size in zip(names, outputs.sizes, strict=True)},
        "nominal_rate_by_class": by_class(outputs.nominal_rates),
        "realised_rate_by_class": by_class(outputs.rates),
    }


def _story(session: Session, summary: Summary) -> None:
    sizes, nominal = summary["samples_by_class"], summary["nominal_rate_by_class"]
    found = [(name, sizes[name], nominal[name], rate) for name, rate in summary["realised_rate_by_class"].items()]
    found.append((ALL, sum(sizes.values()), summary["nominal_rate"], summary["realised_rate"]))
    header = ["class", "samples", "nominal rate", "realised rate"]
    session.voice.table("", header, [[cell(value) for value in row] for row in found])
    if not summary["nominal_rate"]:
        session.voice.say("the nominal rate is 0: no label was changed, the labels and the truth are the data set's")


COMMAND = as_command(corrupt, stage.CorruptConfig)
