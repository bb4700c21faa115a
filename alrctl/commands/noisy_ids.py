"""`alrctl noisy-ids`: the labels that are probably wrong, and how much noise there is, by estimate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from alrctl import manifest, noise_files
from alrctl.console import cell
from alrctl.dataset import CLASSES, place_of_classes, read_classes
from alrctl.job import Job
from alrctl.noise_files import Shares
from alrctl.options import as_command
from alrctl.parameters import Out
from alrctl.scores import read_scores
from alrctl.session import Outcome, Session, Summary
from alrctl.summary import tell
from alrctl.target import Target
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
    classes_path = job.need("classes", place_of_classes(path, data), CLASSES)

    def work(target: Target) -> Summary:
        classes = read_classes(classes_path)
        table = read_scores(path, stage.COLUMNS, classes, classes_path)
        label = np.array(classes.indices(table["given_label"].to_list(), str(path), "given_label"), dtype=np.int64)
        inputs = stage.NoisyIdsInputs(table, label, classes.names, _out_of_sample(path))
        outputs = stage.run(config, inputs, target.report)
        target.table(outputs.noisy_ids, NOISY_IDS)
        target.csv(outputs.noisy_ids, "noisy_ids.csv")
        _write_noise(target, outputs, classes.names)
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


def _write_noise(target: Target, outputs: stage.NoisyIdsOutputs, names: tuple[str, ...]) -> None:
    of_all, cells = outputs.overall, outputs.transition

    def with_all(found: stage.Estimate) -> Shares:
        ends = (found.value, of_all.value), (found.low, of_all.low), (found.high, of_all.high)
        return Shares(*(np.append(*end) for end in ends))

    matrix = Shares(cells.value, cells.low, cells.high)
    noise_files.write_shares(target, names, outputs.size, with_all(outputs.by_given), with_all(outputs.by_true), matrix)


def _story(session: Session, summary: Summary) -> None:
    if not summary["first"]:
        session.voice.say("no label is probably wrong, by estimate")
        return
    shown = f"the first {len(summary['first'])} of {summary['probably_wrong']:,}, by estimate"
    header = ["sample id", "given", "suggested", "chance wrong", "loss"]
    session.voice.table(shown, header, [[cell(value) for value in row] for row in summary["first"]])


COMMAND = as_command(noisy_ids, stage.NoisyIdsConfig)
