"""`alrctl undo`: answers taken back, by new events in the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alrctl import __version__, answers, artifacts, files, labels_out, ledgers, table_files
from alrctl.console import LiveReport
from alrctl.dataset import classes_of
from alrctl.job import Job
from alrctl.options import as_command
from alrctl.parameters import Out
from alrctl.relabel_story import QUIET, story
from alrctl.session import Outcome, Session, Summary
from alrctl.summary import tell
from alrctl.target import Target
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from stages import undo as stage

EXAMPLE = "alrctl undo work/r1/labels --annotator ann@example.org -o work/r1/labels-without-ann"


def undo(
    session: Session,
    config: stage.UndoConfig,
    labels: Annotated[
        Path, typer.Argument(help="labels with their ledger: the directory of `relabel` or `undo`", metavar="LABELS")
    ],
    out: Out,
) -> Outcome:
    """Take answers back."""
    named = _digest_of_file(config, labels)
    job = Job(session, "undo", out, named)
    labels_path = job.need("labels", labels, LABELS.file_name)
    ledger_path = job.need("ledger", labels_path.parent, LEDGER.file_name)
    classes_path = labels_out.need_classes(job, labels_path, None)

    def compute(report: LiveReport) -> stage.UndoOutputs:
        current, ledger = ledgers.load(labels_path, ledger_path)
        inputs = stage.UndoInputs(
            current, ledger, classes_of(classes_path, current, ledger), __version__, str(ledger_path)
        )
        return stage.run(named, inputs, report)

    def work(target: Target) -> Summary:
        outputs = compute(target.report)
        labels_out.write(target, outputs.labels, outputs.ledger, outputs.conflicts, outputs.queue)
        return outputs.facts

    return tell(session, job.run(work, preview=lambda report: compute(report).facts), story, QUIET)


def _digest_of_file(config: stage.UndoConfig, labels: Path) -> stage.UndoConfig:
    """Name a file or folder of answers that is there as it was taken in by its digest."""
    place = None if config.file is None else Path(config.file)
    if place is None or not place.exists():
        return config
    digest = answers.open_bundle(place).sha256 if place.is_dir() else files.sha256(place)
    there = artifacts.find_optional(labels, LEDGER.file_name)
    if there is None or digest not in table_files.read_columns(there, LEDGER, ["source_sha256"])["source_sha256"]:
        return config
    return config.model_copy(update={"file": digest})


COMMAND = as_command(undo, stage.UndoConfig)
