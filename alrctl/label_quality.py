"""Reading what the labels of the training samples are judged by: the truth, or labels looked at by chance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from alrctl import artifacts, first_labels, manifest, queue_files, signals, table_files
from alrctl.dataset import DataSet, read_labels
from alrctl.job import Job
from alrctl.judgement import need_clean, read_clean
from alrctl.truths import is_truth, need_truth
from schemas.errors import UsageError
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.queue import QUEUE
from schemas.signals import SIGNALS
from schemas.strata import STRATA
from schemas.truth import TRUTH
from stages.methods.judgement import Seen
from stages.methods.label_audit import Audit, Labels, parts_of
from stages.methods.stratified import Stratum


@dataclass(frozen=True)
class Queued:
    """A queue that was answered.

    Attributes:
        path: the queue.
        pool: how many samples it was drawn from at random; None of an audit's, and where none were so drawn.
        strata: of an audit, the file that tells what it drew from.
    """

    path: Path
    pool: int | None
    strata: Path | None


@dataclass(frozen=True)
class LabelPaths:
    """The files that tell of the labels; None for those that are not there."""

    labels: Path | None
    ledger: Path | None
    truth: Path | None = None
    clean: Path | None = None
    signals: Path | None = None
    queues: tuple[Queued, ...] = ()


def need_label_quality(
    job: Job, checkpoint: Path | None, truth: Path | None, labels: Path | None, clean: Path | None
) -> LabelPaths:
    """Record the files that tell of the labels as inputs of a stage.

    Raises:
        UsageError: the truth is given, and which labels to judge is not to be found out.
    """
    named = labels or (None if checkpoint is None else artifacts.recorded_input(checkpoint, "labels"))
    if truth is not None and named is None:
        raise UsageError("--truth: give --labels too; none are recorded with the checkpoint")
    if named is None:
        return LabelPaths(None, None)
    labels_path = job.need("labels", named, LABELS.file_name)
    ledger = job.want("ledger", labels_path, LEDGER.file_name)
    queues = tuple(_queues(job, labels_path)) if ledger is not None else ()
    if truth is None:
        return LabelPaths(labels_path, ledger, queues=queues)
    truth_path = need_truth(job, truth)
    judged = clean or checkpoint
    return LabelPaths(
        labels_path,
        ledger,
        truth_path,
        None if judged is None else need_clean(job, judged, clean),
        None if checkpoint is None else job.want("signals", checkpoint, SIGNALS.file_name),
        queues,
    )


def _queues(job: Job, labels: Path) -> Iterable[Queued]:
    """Give the queues that were answered, the last one first, as far as they are recorded and still there.

    One that was answered in several sittings is given once.
    """
    place: Path | None = labels
    seen: set[Path] = set()
    known: set[Path] = set()
    while place is not None and place not in seen:
        seen.add(place)
        answered = artifacts.recorded_input(place, "queue")
        if answered is not None:
            queue = queue_files.as_drawn(answered)
            made = manifest.read(queue.parent)
            if queue not in known and made is not None and made.stage in ("select", "audit"):
                known.add(queue)
                path = job.need(f"queue {len(seen)}", queue, QUEUE.file_name)
                strata = job.want(f"strata {len(seen)}", path, STRATA.file_name)
                if made.stage == "select" or strata is not None:
                    pool = int(made.summary["pool"]) if made.summary.get("drawn_at_random") else None
                    yield Queued(path, pool, strata)
        place = artifacts.recorded_input(place, "labels")


def read_truth(path: Path, data: DataSet) -> pl.DataFrame:
    """Return the true labels, a row a sample of the data set, with their class index in column `index`."""
    return read_labels(path, data, TRUTH, "true_label") if is_truth(path) else read_labels(path, data)


def read_label_quality(paths: LabelPaths, data: DataSet) -> Labels | None:
    """Return the labels of the training samples and the truth; None where it is not given."""
    if paths.truth is None or paths.labels is None:
        return None
    rows = data.rows("train")
    now, first = _now_and_first(paths, data)
    return Labels(
        true_label=read_truth(paths.truth, data)["index"].to_numpy()[rows],
        first_label=first[rows],
        label=now["index"].to_numpy()[rows],
        relabelled=now["relabelled"].to_numpy()[rows],
        judged_clean=read_clean(paths.clean, data, rows),
    )


def read_seen(paths: LabelPaths, data: DataSet) -> Iterable[Seen]:
    """Give what phase 1 saw of the training samples, epoch by epoch; nothing where it judged none."""
    rows = data.rows("train")
    if paths.signals is None or not (read_clean(paths.clean, data, rows) >= 0).any():
        return ()
    return signals.by_epoch(paths.signals, data, rows)


def read_audits(paths: LabelPaths, data: DataSet) -> list[Audit]:
    """Return the labels that were drawn at random and looked at, an audit a round."""
    if paths.labels is None or not paths.queues:
        return []
    now, first = _now_and_first(paths, data)
    labels = pl.DataFrame(
        {
            "sample_id": now["sample_id"],
            "first": first,
            "relabelled": now["relabelled"],
            "wrong": now["index"].to_numpy() != first,
            "split": data.samples["split"],
        }
    )
    audits = []
    for number, queued in enumerate(reversed(paths.queues), 1):
        if queued.pool is None and queued.strata is None:  # chance had no part in it, or something else had a say too
            continue
        drawn = table_files.read_table(queued.path, QUEUE).filter(pl.col("strategy").is_in(["random", "audit"]))
        asked = drawn.select("sample_id").join(labels, on="sample_id", how="inner")
        looked_at = asked.filter("relabelled")
        if looked_at.height and (asked["split"] == "train").all():
            audits.append(Audit(number, _strata(queued, looked_at, data), len(data.rows("train"))))
    return audits


def _strata(queued: Queued, looked_at: pl.DataFrame, data: DataSet) -> tuple[Stratum, ...]:
    """Return what was looked at of the pool that a queue was drawn from."""
    wrong = looked_at["wrong"].to_numpy()
    if queued.strata is None:
        assert queued.pool is not None
        return (Stratum(queued.pool, len(wrong), int(wrong.sum())),)
    strata = table_files.read_table(queued.strata, STRATA)
    return tuple(parts_of(looked_at["first"].to_numpy(), wrong, strata, data.classes.names))


def _now_and_first(paths: LabelPaths, data: DataSet) -> tuple[pl.DataFrame, np.ndarray[Any, np.dtype[np.int64]]]:
    """Return the labels as they are, and the class index that each sample first bore."""
    assert paths.labels is not None
    now = read_labels(paths.labels, data)
    if paths.ledger is None:
        return now, now["index"].to_numpy()
    return now, first_labels.read(now, paths.ledger, data)["index"].to_numpy()
