"""`alrctl recalibrate`: phase 2."""

from __future__ import annotations

import torch

from alrctl import checkpoints
from alrctl.allocator import keep_freed_memory
from alrctl.checkpoints import CHECKPOINT, LAST_EPOCHS
from alrctl.dataset import read_labels
from alrctl.job import Job, Outcome, Session, Summary, Target
from alrctl.judgement import need_clean, read_clean
from alrctl.options import as_command
from alrctl.parameters import CheckpointPath, Clean, Data, Labels, Out
from alrctl.resume import DiskStore
from alrctl.summary import by_class, tell
from alrctl.trained import need_trained, read_trained
from schemas.errors import UsageError
from schemas.history import HISTORY
from schemas.labels import LABELS
from stages import recalibrate as stage

EXAMPLE = "alrctl recalibrate work/data --labels work/r1/labels --checkpoint work/lnl -o work/r1/model"


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
    paths = need_trained(job, data, checkpoint)
    labels_path = job.need("labels", labels, LABELS.file_name)
    clean_path = need_clean(job, paths.checkpoint, clean)
    if clean_path is None and config.trust == "clean":
        raise UsageError(f"{checkpoint}: which samples were judged clean is not recorded with it; give --clean")

    def work(target: Target) -> Summary:
        keep_freed_memory()
        trained = read_trained(paths, config.device, config.precision, target.report, config.augmentation)
        dataset = trained.data
        target.report.classes = dataset.classes.names
        table = read_labels(labels_path, dataset)
        index = torch.from_numpy(table["index"].to_numpy().copy())
        train, val = dataset.rows("train"), dataset.rows("val")
        inputs = stage.RecalibrateInputs(
            rows=torch.from_numpy(train),
            labels=index[train],
            judged_clean=read_clean(clean_path, dataset, train),
            relabelled=table["relabelled"].to_numpy()[train],
            val_rows=torch.from_numpy(val),
            val_labels=index[val],
            classes=dataset.classes.names,
            network=trained.networks[0],
            inputs=trained.inputs,
        )
        told = {"stage": "recalibrate", "config": config.model_dump(mode="json")}
        metadata = trained.metadata.model_copy(update=told)
        with checkpoints.last_good_kept(out, trained.backbone, metadata):
            outputs = stage.run(config, inputs, target.report, DiskStore(target.state))
        target.device = outputs.device
        checkpoints.write(target.path(CHECKPOINT), [outputs.network], trained.backbone, metadata)
        checkpoints.write_epochs(target.path(LAST_EPOCHS), outputs.tail)
        target.table(HISTORY.rows(outputs.history), HISTORY)
        return outputs.facts

    return tell(session, job.run(work, tracked=True), by_class("trusted samples", "trusted_by_class"))


COMMAND = as_command(recalibrate, stage.RecalibrateConfig, tracked=True)
