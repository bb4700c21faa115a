"""`alrctl undo`: answers taken back, by new events in the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alrctl import __version__, files, labels_out, ledgers
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
    named = _digest_of_file(config)
    job = Job(session, "undo", out, named)
    labels_path = job.need("labels", labels, LABELS.file_name)
    ledger_path = job.need("ledger", labels_path.parent, LEDGER.file_name)
    classes_path = labels_out.need_classes(job, labels_path, None)

    def compute(report: LiveReport) -> stage.UndoOutputs:
        current, ledger = ledgers.load(labels_path, ledger_path)
        inputs = stage.UndoInputs(current, ledger, classes_of(classes_path, current), __version__, str(ledger_path))
        return stage.run(named, inputs, report)

    def work(target: Target) -> Summary:
        outputs = compute(target.report)
        labels_out.write(target, outputs.labels, outputs.ledger, outputs.conflicts, outputs.queue)
        return outputs.facts

    return tell(session, job.run(work, preview=lambda report: compute(report).facts), story, QUIET)


def _digest_of_file(config: stage.UndoConfig) -> stage.UndoConfig:
    """Name a file that is still there by its digest."""
    if config.file is None or not Path(config.file).is_file():
        return config
    return config.model_copy(update={"file": files.sha256(Path(config.file))})


COMMAND = as_command(undo, stage.UndoConfig)
