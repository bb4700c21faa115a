"""`alrctl score`: what a network makes of each sample."""

from __future__ import annotations

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from alrctl import signals
from alrctl.allocator import keep_freed_memory
from alrctl.dataset import DataSet, read_labels
from alrctl.job import Job
from alrctl.judgement import need_clean, read_clean, read_true_posterior
from alrctl.options import as_command
from alrctl.parameters import CheckpointPath, Clean, Data, Labels, Out
from alrctl.resume import DiskStore
from alrctl.session import Outcome, Session, Summary
from alrctl.summary import tell
from alrctl.target import Target
from alrctl.teaching import need_recipe, read_teaching
from alrctl.trained import Trained, need_trained, read_trained, whole
from schemas.errors import NothingToDoError
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.scores import SCORES
from stages import score as stage
from stages.methods.samples import posterior_lists
from stages.training.recipe import JUDGING

EXAMPLE = "alrctl score work/data --labels work/noisy --checkpoint work/lnl -o work/r1/scores"


def score(
    session: Session,
    config: stage.ScoreConfig,
    data: Data,
    labels: Labels,
    checkpoint: CheckpointPath,
    out: Out,
    clean: Clean | None = None,
) -> Outcome:
    """Score samples."""
    job = Job(session, "score", out, config)
    paths = need_trained(job, data, checkpoint)
    labels_path = job.need("labels", labels, LABELS.file_name)
    clean_path = need_clean(job, paths.checkpoint, clean)
    signals_path = signals.need_signals(job, paths.checkpoint)
    recipe = need_recipe(job, config, paths.checkpoint) if config.cross_validate else None
    judges = recipe is not None and recipe.options.method in JUDGING
    ledger = job.want("ledger", labels_path, LEDGER.file_name) if judges else None

    def work(target: Target) -> Summary:
        keep_freed_memory()
        augmentation = "none" if recipe is None else recipe.options.augmentation
        trained = read_trained(paths, config.device, config.precision, target.report, augmentation)
        dataset = trained.data
        rows = dataset.rows(config.split)
        if not len(rows):
            raise NothingToDoError(f"the data set has no {config.split} split")
        everything = read_labels(labels_path, dataset)
        table = everything[rows]
        teaching = None if recipe is None else read_teaching(recipe, trained, everything, ledger, target)
        frozen, asked = whole(trained, paths.pack, config.device) if _views_of_frozen(config, trained) else (None, None)
        inputs = stage.ScoreInputs(
            networks=trained.networks,
            inputs=asked or trained.inputs,
            rows=torch.from_numpy(rows),
            labels=table["index"].to_numpy(),
            frozen=frozen,
            teaching=teaching,
            store=lambda fold: DiskStore(target.state / f"fold-{fold}"),
        )
        outputs = stage.run(config, inputs, target.report)
        target.begin_writing()
        target.device = outputs.device
        judged = read_clean(clean_path, dataset, rows)
        course = None if signals_path is None else signals.dynamics(signals_path, dataset, rows)
        truth = read_true_posterior(clean_path, dataset, rows)
        target.table(_table(dataset, rows, table, judged, truth, course, outputs), SCORES)
        save_file({"embeddings": outputs.embeddings.contiguous()}, target.path("embeddings.safetensors"))
        return {**outputs.facts, "judged_clean": int((judged == 1).sum()) if (judged >= 0).any() else None}

    return tell(session, job.run(work))


def _views_of_frozen(config: stage.ScoreConfig, trained: Trained) -> bool:
    """Say whether views of images are asked for, and the backbone's features are of the images alone."""
    return config.test_time_augmentation != "none" and bool(trained.backbone)


def _table(
    dataset: DataSet,
    rows: NDArray[np.int64],
    table: pl.DataFrame,
    judged: NDArray[np.int8],
    truth: pl.Series | None,
    course: pl.DataFrame | None,
    outputs: stage.ScoreOutputs,
) -> pl.DataFrame:
    names = np.array(dataset.classes.names)
    predicted = names[outputs.predicted].tolist()
    known = pl.Series(judged)
    found = pl.DataFrame(
        {
            "sample_id": table["sample_id"],
            "group_id": dataset.samples["group_id"][rows],
            "given_label": table["label"],
            "relabelled": table["relabelled"],
            "judged_clean": pl.select(pl.when(known >= 0).then(known == 1)).to_series(),
            "true_posterior": truth,
            "posterior": posterior_lists(outputs.posterior),
            "predicted_label": predicted,
            "peer_label": None if outputs.peer is None else names[outputs.peer].tolist(),
            **{name: values.astype(np.float32) for name, values in outputs.columns.items()},
            "suggested_label": predicted,
            "suggested_certainty": outputs.posterior.max(axis=1).astype(np.float32),
        }
    )
    return found if course is None else pl.concat([found, course], how="horizontal")


COMMAND = as_command(score, stage.ScoreConfig, shared=True)
