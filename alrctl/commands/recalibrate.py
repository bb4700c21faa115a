"""`alrctl recalibrate`: phase 2."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from alrctl import checkpoints, first_labels, first_weights, noise_files
from alrctl.allocator import keep_freed_memory
from alrctl.checkpoints import CHECKPOINT, LAST_EPOCHS
from alrctl.dataset import read_labels
from alrctl.job import Job
from alrctl.judgement import need_clean, read_clean
from alrctl.options import as_command
from alrctl.parameters import CheckpointPath, Clean, Data, Labels, Out
from alrctl.resume import DiskStore
from alrctl.session import Outcome, Session, Summary
from alrctl.summary import by_class, tell
from alrctl.target import Target
from alrctl.trained import Trained, TrainedPaths, need_trained, read_trained
from schemas.clean import CLEAN
from schemas.errors import UsageError
from schemas.history import HISTORY
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from stages import recalibrate as stage
from stages.methods.samples import group_numbers
from stages.report import Report

EXAMPLE = "alrctl recalibrate work/data --labels work/r1/labels --checkpoint work/lnl -o work/r1/model"


@dataclass(frozen=True)
class _Paths:
    """The input files."""

    trained: TrainedPaths
    labels: Path
    clean: Path | None
    weights: first_weights.Found | None
    ledger: Path | None


def recalibrate(
    session: Session,
    config: stage.RecalibrateConfig,
    data: Data,
    labels: Labels,
    checkpoint: CheckpointPath,
    out: Out,
    clean: Clean | None = None,
) -> Outcome:
    """Retrain on trusted samples."""
    job = Job(session, "recalibrate", out, config)
    config, paths = _need(job, config, data, labels, checkpoint, clean)

    def work(target: Target) -> Summary:
        keep_freed_memory()
        trained = read_trained(paths.trained, config.device, config.precision, target.report, config.augmentation)
        target.report.classes = trained.data.classes.names
        inputs = _inputs(config, paths, trained, target.report)
        told = {"stage": "recalibrate", "config": config.model_dump(mode="json")}
        first = {"first_weights": trained.metadata.started_from}
        metadata = trained.metadata.model_copy(update=told | first)
        with checkpoints.last_good_kept(out, trained.backbone, metadata):
            outputs = stage.run(config, inputs, target.report, DiskStore(target.state))
        target.begin_writing()
        target.device = outputs.device
        checkpoints.write(target.path(CHECKPOINT), [outputs.network], trained.backbone, metadata)
        checkpoints.write_epochs(target.path(LAST_EPOCHS), outputs.tail)
        if outputs.clean is not None and outputs.noise is not None:
            target.table(outputs.clean, CLEAN)
            counts = np.array(list(outputs.facts["trusted_by_class"].values()))  # of the labels that were learnt: all
            noise_files.write(target, outputs.noise, counts, inputs.classes)
        target.table(HISTORY.rows(outputs.history), HISTORY)
        return outputs.facts

    return tell(session, job.run(work, tracked=True), by_class("trusted samples", "trusted_by_class"))


def _need(
    job: Job, config: stage.RecalibrateConfig, data: Path, labels: Path, checkpoint: Path, clean: Path | None
) -> tuple[stage.RecalibrateConfig, _Paths]:
    """Record the input files, and settle what is trusted by the checkpoint's method.

    Raises:
        UsageError: the judged clean are to be trusted, and nothing tells which they are.
        DataError: a file is not there; the first weights or first labels among them, where they are asked for.
        MismatchError: an input is stale, or the first weights are not those that were recorded.
    """
    trained = need_trained(job, data, checkpoint)
    labels_path = job.need("labels", labels, LABELS.file_name)
    config = config.settled(checkpoints.read(trained.checkpoint).metadata.method)
    weighted = config.trust == "weighted"
    clean_path = None if weighted else need_clean(job, trained.checkpoint, clean)
    if clean_path is None and config.trust == "clean":
        raise UsageError(f"{checkpoint}: which samples were judged clean is not recorded with it; give --clean")
    weights = first_weights.need(job, trained.checkpoint) if config.from_ == "scratch" else None
    if config.correct:
        ledger = job.want("ledger", labels_path, LEDGER.file_name) if weighted else None
    else:
        ledger = first_labels.need(job, labels_path)
    return config, _Paths(trained, labels_path, clean_path, weights, ledger)


def _inputs(
    config: stage.RecalibrateConfig, paths: _Paths, trained: Trained, report: Report
) -> stage.RecalibrateInputs:
    dataset, spec = trained.data, trained.metadata.spec
    table = read_labels(paths.labels, dataset)
    train, val = torch.from_numpy(dataset.rows("train")), torch.from_numpy(dataset.rows("val"))
    index = _tensor(table)
    first = None
    if not config.correct:
        before = first_labels.read(table, paths.ledger, dataset)
        first_labels.check(before[train.numpy()], paths.labels)
        first = _tensor(before)[train]
    elif paths.ledger is not None:
        first = _tensor(first_labels.read(table, paths.ledger, dataset))[train]
    return stage.RecalibrateInputs(
        sample_ids=dataset.samples["sample_id"][train.numpy()].to_list(),
        rows=train,
        labels=index[train],
        first_labels=first,
        judged_clean=read_clean(paths.clean, dataset, train.numpy()),
        relabelled=table["relabelled"].to_numpy()[train.numpy()],
        val_rows=val,
        val_labels=index[val],
        classes=dataset.classes.names,
        network=trained.networks[0],
        spec=spec,
        backbone_weights={} if paths.weights is None else paths.weights.load(spec, report),
        inputs=trained.inputs,
        units=group_numbers(dataset.samples[train.numpy()]),
    )


def _tensor(labels: pl.DataFrame) -> Tensor:
    return torch.from_numpy(labels["index"].to_numpy().copy())


COMMAND = as_command(recalibrate, stage.RecalibrateConfig, tracked=True, shared=True)
