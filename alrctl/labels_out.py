"""What the commands that change labels share: the classes they belong to, and the files they leave."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from alrctl import artifacts
from alrctl.dataset import CLASSES
from alrctl.job import Job
from alrctl.target import Target
from schemas.conflicts import CONFLICTS
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.queue import QUEUE


def need_classes(job: Job, labels: Path, named: Path | None) -> Path | None:
    """Record the data set's classes: of the data set named, beside the labels, or recorded with them."""
    place = named if named is not None and artifacts.find_optional(named, CLASSES) else recorded_classes(labels)
    return None if place is None else job.need("classes", place, CLASSES)


def recorded_classes(labels: Path) -> Path | None:
    """Return `classes.yaml` beside the labels, or the one recorded with them."""
    return artifacts.find_optional(labels, CLASSES) or artifacts.recorded_input(labels, "classes")


def write(
    target: Target, labels: pl.DataFrame, ledger: pl.DataFrame, conflicts: pl.DataFrame, queue: pl.DataFrame
) -> None:
    """Write labels and ledger, what needs a decision and, if anything does, the queue for an adjudicator."""
    target.table(labels, LABELS)
    target.table(ledger, LEDGER)
    target.table(conflicts, CONFLICTS)
    if queue.height:
        target.table(queue, QUEUE)
        empty = {name: pl.lit(None, pl.String) for name in ("label", "annotator", "comment")}
        order = ("rank", "sample_id", "given_label", "label", "annotator", "comment", "reason")
        target.csv(queue.with_columns(**empty).select(order), "queue.csv")
