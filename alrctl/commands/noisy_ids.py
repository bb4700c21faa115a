"""`alrctl noisy-ids`: the labels that are probably wrong, and how much noise there is, by estimate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer

from alrctl import manifest
from alrctl.artifacts import recorded_input
from alrctl.console import cell
from alrctl.dataset import CLASSES, read_classes
from alrctl.job import Job
from alrctl.options import as_command
from alrctl.parameters import Out
from alrctl.scores import read_scores
from alrctl.session import Outcome, Session, Summary
from alrctl.summary import tell
from alrctl.target import Target
from schemas.errors import UsageError
from schemas.noise import ALL, NOISE
from schemas.noisy_ids import NOISY_IDS
from schemas.scores import SCORES
from stages import noisy_ids as stage

EXAMPLE = "alrctl noisy-ids work/r1/scores -o work/r1/noisy-ids"
_MOST = 10  # of the list, at the terminal
_SHOWN = ("sample_id", "given_label", "suggested_label", "probability_wrong", "loss")


def noisy_ids(
    session: Session,
    config: stage.NoisyIdsConfig,
    scores: Annotated[
        Path, typer.Argument(help="scores: the directory of `score`, or a parquet file", metavar="SCORES")
    ],
    out: Out,
    data: Annotated[Path, typer.Option("--data", help="the data set, where it is not recorded with the scores")]
    | None = None,
) -> Outcome:
    """List the labels that are probably wrong."""
    job = Job(session, "noisy-ids", out, config)
    path = job.need("scores", scores, SCORES.file_name)
    place = data if data is not None else recorded_input(path, "classes")
    if place is None:
        raise UsageError(f"{path}: the order of its classes is not recorded; give --data")
    classes_path = job.need("classes", place, CLASSES)

    def work(target: Target) -> Summary:
        classes = read_classes(classes_path)
        table = read_scores(path, stage.COLUMNS, classes, classes_path)
        label = np.array(classes.indices(table["given_label"].to_list(), str(path), "given_label"), dtype=np.int64)
        inputs = stage.NoisyIdsInputs(table, label, classes.names, _out_of_sample(path))
        outputs = stage.run(config, inputs, target.report)
        target.table(outputs.noisy_ids, NOISY_IDS)
        target.csv(outputs.noisy_ids, "noisy_ids.csv")
        target.table(_noise(outputs, classes.names), NOISE)
        target.csv(_transition(outputs, classes.names), "transition.csv")
        first = outputs.noisy_ids.head(_MOST).select(_SHOWN)
        return {**outputs.facts, "first": [list(row) for row in first.iter_rows()]}

    return tell(session, job.run(work), _story)


def _out_of_sample(path: Path) -> bool | None:
    """Return whether the scores are of networks that had not learnt from the samples; None where nothing tells."""
    found = manifest.read(path.parent)
    if found is None or found.stage != "score" or path.name not in found.outputs:
        return None
    folds, split = found.options.get("cross_validate"), found.options.get("split", "train")
    return None if folds is None else folds > 0 or split != "train"


def _noise(outputs: stage.NoisyIdsOutputs, names: tuple[str, ...]) -> pl.DataFrame:
    """Return the table `noise`: a row a given class, and one for all."""
    size = np.append(outputs.size, outputs.size.sum())
    value, low, high = (
        np.append(getattr(outputs.by_given, end), getattr(outputs.overall, end)) for end in ("value", "low", "high")
    )
    columns = {"noise_rate": value, "low": low, "high": high}
    errors = np.where(size > 0, size * np.nan_to_num(value), 0.0)
    table = pl.DataFrame({"label": [*names, ALL], "samples": size, "estimated_errors": errors, **columns})
    return NOISE.make(table.fill_nan(None).to_dict())


def _transition(outputs: stage.NoisyIdsOutputs, names: tuple[str, ...]) -> pl.DataFrame:
    """Return the transition matrix in the form that `corrupt` writes its own, and the ends of the intervals."""
    columns: dict[str, list[float]] = {}
    for end, before in (("value", ""), ("low", "low "), ("high", "high ")):
        matrix, by_true = getattr(outputs.transition, end), getattr(outputs.by_true, end)
        unknown = float("nan")  # in the row of all classes
        columns |= {f"{before}given {name}": [*matrix[:, index], unknown] for index, name in enumerate(names)}
        columns[f"{before}noise_rate"] = [*by_true, float(getattr(outputs.overall, end))]
    return pl.DataFrame({"true_label": [*names, ALL], **columns}).fill_nan(None)


def _story(session: Session, summary: Summary) -> None:
    if not summary["first"]:
        session.voice.say("no label is probably wrong, by estimate")
        return
    shown = f"the first {len(summary['first'])} of {summary['probably_wrong']:,}, by estimate"
    header = ["sample id", "given", "suggested", "chance wrong", "loss"]
    session.voice.table(shown, header, [[cell(value) for value in row] for row in summary["first"]])


COMMAND = as_command(noisy_ids, stage.NoisyIdsConfig)
