"""`alrctl select`: the queue for an expert."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from alrctl import csv_files, files, queue_files, table_files
from alrctl.artifacts import recorded_input
from alrctl.dataset import CLASSES, read_classes
from alrctl.embeddings import EMBEDDINGS, read_embeddings
from alrctl.job import Job
from alrctl.options import as_command
from alrctl.parameters import Out
from alrctl.pictures import need_pictures
from alrctl.scores import read_scores
from alrctl.session import Outcome, Session, Summary
from alrctl.summary import by_class, tell
from alrctl.target import Target
from schemas.errors import DataError, UsageError, listing, nearest
from schemas.queue import QUEUE
from schemas.scores import SCORES
from stages import select as stage

EXAMPLE = "alrctl select work/r1/scores --strategy entropy --budget 70 -o work/r1/queue"


@dataclass(frozen=True)
class _Paths:
    """The input files."""

    scores: Path
    classes: Path | None
    embeddings: Path | None
    excluded: Path | None


def select(
    session: Session,
    config: stage.SelectConfig,
    scores: Annotated[
        Path, typer.Argument(help="scores: the directory of `score`, or a parquet file", metavar="SCORES")
    ],
    out: Out,
    exclude: Annotated[
        Path, typer.Option("--exclude", help="ids never to be chosen: a table with sample_id, or a text, one a line")
    ]
    | None = None,
    data: Annotated[Path, typer.Option("--data", help="the data set, where it is not recorded with the scores")]
    | None = None,
) -> Outcome:
    """Choose samples."""
    _check_columns(config)
    job = Job(session, "select", out, config)
    paths = _need(job, config, scores, exclude, data)
    pictures = need_pictures(job, paths.scores, data, config.images)

    def work(target: Target) -> Summary:
        classes = None if paths.classes is None else read_classes(paths.classes)
        table = read_scores(paths.scores, config.columns, classes, paths.classes)
        names = stage.names(table) if classes is None else classes.names
        inputs = stage.SelectInputs(
            scores=table,
            classes=None if classes is None else names,
            embeddings=None if paths.embeddings is None else read_embeddings(paths.embeddings, table.height),
            excluded=() if paths.excluded is None else _ids(paths.excluded),
        )
        outputs = stage.run(config, inputs, target.report)
        _warn_if_short(config, outputs, target)
        target.table(outputs.queue.select(QUEUE.schema.column_names()), QUEUE)
        queue_files.write(target, outputs.queue, pictures, names, config, config.suggest)
        return {**outputs.facts, "to_fill_in": queue_files.TO_FILL_IN}

    return tell(session, job.run(work), by_class("queued by given label", "by_given_label"))


def _check_columns(config: stage.SelectConfig) -> None:
    """Refuse a condition on a column that the scores do not have."""
    known = SCORES.schema.column_names()
    for name in config.where_columns:
        if name not in known:
            raise UsageError(f"--where: no column '{name}' in the scores{nearest(name, known)}")


def _need(job: Job, config: stage.SelectConfig, scores: Path, exclude: Path | None, data: Path | None) -> _Paths:
    """Record the input files."""
    path = job.need("scores", scores, SCORES.file_name)
    place = data if data is not None else recorded_input(path, "classes")
    embeddings = None
    if config.needs_embeddings:
        embeddings = job.want("embeddings", path, EMBEDDINGS)
        if embeddings is None:
            wanted = "--diversity" if config.diversity else f"--strategy {listing(config.strategies)}"
            raise DataError(f"{path.parent}: holds no {EMBEDDINGS}, which {wanted} goes by; `alrctl score` writes it")
    return _Paths(
        path,
        None if place is None else job.need("classes", place, CLASSES),
        embeddings,
        None if exclude is None else job.need_raw("exclude", exclude),
    )


def _ids(path: Path) -> tuple[str, ...]:
    """Return the sample ids of a list: column `sample_id` of a table, or the lines of a text."""
    if path.suffix.lower() == ".parquet":
        table = table_files.read_parquet(path)
    elif path.suffix.lower() in {".csv", ".tsv"}:
        table = csv_files.read_csv(path)
    else:
        with files.explained_read(path, "UTF-8 text"):
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        return tuple(line.strip() for line in lines if line.strip())
    if "sample_id" not in table.columns:
        raise DataError(f"{path}: column 'sample_id' missing (found: {listing(table.columns)})")
    return tuple(table_files.as_text(table["sample_id"].drop_nulls(), path))


def _warn_if_short(config: stage.SelectConfig, outputs: stage.SelectOutputs, target: Target) -> None:
    """Say so where the budget is not used up because there is nothing left to ask."""
    left = config.budget - outputs.facts["cost"]
    usual = outputs.facts["cost"] / outputs.queue.height
    if left >= usual:
        wider = "; --pool all looks at the judged clean too" if outputs.facts["chosen_from"] == "noisy" else ""
        asked, found = f"{config.budget:g} {config.unit} asked for", f"{outputs.facts['pool']:,}"
        limited = config.quota or config.group != "any"
        what = f"quotas and groups leave {outputs.queue.height:,} of the pool of {found}" if limited else ""
        target.report.warn(f"{asked}, and {what or f'the pool holds {found}'}{wider}")


COMMAND = as_command(select, stage.SelectConfig)
