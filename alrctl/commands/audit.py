"""`alrctl audit`: labels drawn at random, and what an expert's look at them says of all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from alrctl import artifacts, noise_files, queue_files, table_files
from alrctl.console import cell
from alrctl.dataset import check_known, need_data, read_data, read_labels
from alrctl.job import Job
from alrctl.option_values import flag
from alrctl.options import as_command
from alrctl.parameters import Data, Labels, Out
from alrctl.pictures import need_pictures
from alrctl.session import Outcome, Session, Summary, require
from alrctl.summary import by_class, tell
from alrctl.target import Target
from schemas.errors import DataError, listing
from schemas.labels import LABELS
from schemas.queue import QUEUE
from schemas.strata import STRATA
from stages import audit as stage
from stages.methods.stratified import Share

EXAMPLE = (
    "alrctl audit work/data --labels work/noisy --budget 100 -o work/audit; "
    "and, its answers taken in: alrctl audit work/data --labels work/audited --queue work/audit -o work/audit-result"
)

Drawn = Annotated[
    Path, typer.Option("--queue", help="the audit whose answers --labels holds: count them, instead of drawing anew")
]


def audit(
    session: Session, config: stage.AuditConfig, data: Data, labels: Labels, out: Out, queue: Drawn | None = None
) -> Outcome:
    """Draw labels at random, or count what an expert said of them."""
    if queue is None:
        return _draw(session, config, data, labels, out)
    drawing = [flag(name) for name, value in stage.AuditConfig.model_validate({}) if getattr(config, name) != value]
    require(not drawing, f"--queue: counts the answers to what was drawn; {listing(drawing)} is for drawing")
    return _count(session, data, labels, queue, out)


def _draw(session: Session, config: stage.AuditConfig, data: Path, labels: Path, out: Path) -> Outcome:
    job = Job(session, "audit", out, config)
    samples, classes, _ = need_data(job, data, images=False)
    labels_path = job.need("labels", labels, LABELS.file_name)
    pictures = need_pictures(job, samples, data, config.images)

    def work(target: Target) -> Summary:
        dataset = read_data(samples, classes)
        names = dataset.classes.names
        table = read_labels(labels_path, dataset)[dataset.rows(config.split)]
        drawn = stage.draw(config, table, names, target.report)
        target.table(drawn.queue, QUEUE)
        target.table(STRATA.make(drawn.strata.to_dict()), STRATA)
        queue_files.write(target, drawn.queue, pictures, names, config, blind=True)
        return {**drawn.facts, "to_fill_in": queue_files.TO_FILL_IN}

    return tell(session, job.run(work), by_class("drawn by given label", "by_given_label"))


def _count(session: Session, data: Path, labels: Path, queue: Path, out: Path) -> Outcome:
    job = Job(session, "audit", out, stage.CountConfig())
    samples, classes, _ = need_data(job, data, images=False)
    labels_path = job.need("labels", labels, LABELS.file_name)
    queue_path = job.need("queue", queue_files.as_drawn(artifacts.find(queue, QUEUE.file_name)), QUEUE.file_name)
    strata_path = job.want("strata", queue_path, STRATA.file_name)
    if strata_path is None:
        raise DataError(f"{queue_path}: no {STRATA.file_name} beside it; only a queue of `audit` was drawn at random")

    def work(target: Target) -> Summary:
        dataset = read_data(samples, classes)
        names = dataset.classes.names
        asked, strata = table_files.read_table(queue_path, QUEUE), table_files.read_table(strata_path, STRATA)
        dataset.classes.indices(asked["given_label"].to_list(), str(queue_path), "given_label")
        dataset.classes.indices(strata["label"].to_list(), str(strata_path))
        check_known(asked["sample_id"], dataset.samples["sample_id"], queue_path)
        found = stage.count(asked, strata, read_labels(labels_path, dataset), names, target.report)
        noise_files.write(target, found.noise, np.array([part.size for part in found.strata]), names)
        by_label = {
            name: [part.size, part.drawn, part.hits, *_told(rate)]
            for name, part, rate in zip(names, found.strata, found.by_given, strict=True)
        }
        return {**found.facts, "by_given_label": by_label}

    return tell(session, job.run(work), _story)


def _told(rate: Share | None) -> list[float | None]:
    return [None, None, None] if rate is None else [rate.value, rate.low, rate.high]


def _story(session: Session, summary: Summary) -> None:
    header = ["given label", "labels", "looked at", "wrong", "share wrong", "low", "high"]
    rows = [[name, *map(cell, told)] for name, told in summary["by_given_label"].items()]
    session.voice.table("with 95 % intervals", header, rows)


COMMAND = as_command(audit, stage.AuditConfig)
