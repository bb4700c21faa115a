"""`alrctl relabel`: answers in, every change in the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from alrctl import artifacts, files, manifest
from alrctl.dataset import CLASSES, read_classes
from alrctl.job import Job, Outcome, Session, Summary, Target, require
from alrctl.options import as_command
from alrctl.parameters import Out
from alrctl.summary import tell
from schemas.answers import ANSWERS
from schemas.classes import Classes
from schemas.conflicts import CONFLICTS
from schemas.errors import NothingToDoError
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.queue import QUEUE
from schemas.truth import TRUTH
from stages import relabel as stage

EXAMPLE = "alrctl relabel work/noisy --queue work/r1/queue --answers answers.csv -o work/r1/labels"

LabelsPlace = Annotated[
    Path, typer.Argument(help="label table to change: a directory, a parquet file or a CSV", metavar="LABELS")
]
QueuePlace = Annotated[
    Path, typer.Option("--queue", help="what was asked; without it the answers' own ids are the queue")
]
AnswersFile = Annotated[
    Path, typer.Option("--answers", help="CSV (or parquet) of experts' answers: sample_id, label, ...")
]
OraclePlace = Annotated[Path, typer.Option("--oracle", help="for experiments: answer the queue with this truth")]
DataPlace = Annotated[Path, typer.Option("--data", help="the data set, where it is not recorded with the labels")]


def relabel(
    session: Session,
    config: stage.RelabelConfig,
    labels: LabelsPlace,
    out: Out,
    queue: QueuePlace | None = None,
    answers: AnswersFile | None = None,
    oracle: OraclePlace | None = None,
    data: DataPlace | None = None,
) -> Outcome:
    """Take answers in."""
    require((answers is None) != (oracle is None), "give either --answers FILE or --oracle TRUTH")
    require(oracle is None or queue is not None, "--oracle needs --queue: it answers what was asked, and nothing else")
    job = Job(session, "relabel", out, config)
    labels_path = job.need("labels", labels, LABELS.file_name)
    ledger_path = job.want("ledger", labels_path, LEDGER.file_name)
    classes_path = _need_classes(job, labels_path, data or oracle)
    queue_path = None if queue is None else job.need("queue", queue, QUEUE.file_name)
    source = job.need_raw("answers", answers) if answers is not None else _need_truth(job, oracle)

    def work(target: Target) -> Summary:
        current = files.read_table(labels_path, LABELS)
        classes = read_classes(classes_path) if classes_path else _classes_of(current)
        classes.indices(current["label"].to_list(), str(labels_path))
        asked = None if queue_path is None else files.read_table(queue_path, QUEUE)
        given = _read_answers(source) if oracle is None else _ask_oracle(source, asked, current)
        inputs = stage.RelabelInputs(
            labels=current,
            ledger=LEDGER.empty() if ledger_path is None else files.read_table(ledger_path, LEDGER),
            answers=given,
            queue=asked,
            classes=classes.names,
            source_file=source.name,
            source_sha256=manifest.digest(source),
            first_row=2 if source.suffix.lower() != ".parquet" else 1,
        )
        outputs = stage.run(config, inputs, target.report)
        target.table(outputs.labels, LABELS)
        target.table(outputs.ledger, LEDGER)
        target.table(outputs.conflicts, CONFLICTS)
        return outputs.facts

    return tell(session, job.run(work), _story)


def _need_classes(job: Job, labels: Path, named: Path | None) -> Path | None:
    """Find the data set's classes: named, or recorded with the labels."""
    place = named if named is not None and artifacts.find_optional(named, CLASSES) else recorded_classes(labels)
    return None if place is None else job.need("classes", place, CLASSES)


def recorded_classes(labels: Path) -> Path | None:
    """Return `classes.yaml` beside the labels, or the one recorded with them."""
    return artifacts.find_optional(labels, CLASSES) or artifacts.recorded_input(labels, "classes")


def _classes_of(labels: pl.DataFrame) -> Classes:
    """Take the labels in use as the classes, where a foreign table comes without a data set."""
    return Classes(names=tuple(sorted(labels["label"].unique())))


def _need_truth(job: Job, oracle: Path | None) -> Path:
    assert oracle is not None
    has_truth = artifacts.find_optional(oracle, TRUTH.file_name) is not None
    return job.need("truth", oracle, TRUTH.file_name if has_truth else LABELS.file_name)


def _read_answers(path: Path) -> pl.DataFrame:
    answers = files.read_table(path, ANSWERS)
    if answers["label"].is_null().all():
        raise NothingToDoError(f"{path}: no answer to take in (column 'label' is empty in all {answers.height} rows)")
    return answers


def _ask_oracle(path: Path, queue: pl.DataFrame | None, labels: pl.DataFrame) -> pl.DataFrame:
    """Return the truth for the samples asked."""
    truth = _read_truth(path)
    assert queue is not None
    asked = queue.select("sample_id").join(truth, on="sample_id", how="left", maintain_order="left")
    return ANSWERS.check(asked.with_columns(annotator=pl.lit("oracle")), str(path))


def _read_truth(path: Path) -> pl.DataFrame:
    """Return sample_id and label, from a truth table or from the labels a data set came with."""
    if path.name == TRUTH.file_name:
        return files.read_table(path, TRUTH).rename({"true_label": "label"})
    return files.read_table(path, LABELS).select("sample_id", "label")


def _story(session: Session, summary: Summary) -> None:
    if summary["changes"]:
        rows = [[before, after, str(count)] for before, after, count in summary["changes"]]
        session.voice.table("labels changed", ["from", "to", "samples"], rows)


COMMAND = as_command(relabel, stage.RelabelConfig)
