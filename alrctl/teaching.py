"""How the networks of a cross-validation learn: read from the checkpoint, which says how its own did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch

from alrctl import checkpoints, first_labels, weights
from alrctl.job import Job
from alrctl.session import require
from alrctl.target import Target
from alrctl.trained import Trained
from schemas.errors import MismatchError
from stages.score import ScoreConfig
from stages.training.folds import Teaching
from stages.training.inputs import FeatureInputs, FeatureRows
from stages.training.learning import Examples
from stages.training.recipe import MethodOptions


@dataclass(frozen=True)
class Recipe:
    """Method and training of a fold's networks, and the name of the weights that their backbone starts from."""

    options: MethodOptions
    weights: str


def need_recipe(job: Job, config: ScoreConfig, checkpoint: Path) -> Recipe:
    """Return how the checkpoint's networks learnt; the weights they started from become an input of the stage.

    Raises:
        UsageError: another split than train is to be scored.
        MismatchError: the checkpoint does not say how it was made from nothing.
    """
    require(config.split == "train", "--cross-validate is for --split train: no other split was learnt from")
    metadata = checkpoints.read(checkpoint).metadata
    if metadata.stage != "train-lnl" or metadata.method == "scratch":
        raise MismatchError(
            f"{checkpoint}: --cross-validate trains anew as `train-lnl` did, and this is no checkpoint of a training "
            "by it; name that one (the labels may be newer)"
        )
    known = {name: value for name, value in metadata.config.items() if name in MethodOptions.model_fields}
    changed = {"precision": config.precision, "device": config.device, "seed": config.seed, "keep_epochs": 0}
    epochs = {} if config.cross_validate_epochs is None else {"epochs": config.cross_validate_epochs}
    options = MethodOptions.model_validate({**known, **changed, **epochs})
    named = str(metadata.config.get("weights", "none"))
    path = weights.locate(named, metadata.spec.backbone) if metadata.spec.train == "all" else None
    if path is not None:
        job.need_raw("weights", path)
    return Recipe(options, named)


def read_teaching(
    recipe: Recipe, trained: Trained, labels: pl.DataFrame, ledger: Path | None, target: Target
) -> Teaching:
    """Return how a fold's networks learn from the train split of `labels`, a row a sample of the data set.

    Args:
        recipe: of the checkpoint.
        trained: the checkpoint and its data set.
        labels: as of `read_labels`.
        ledger: that led to them; None where there is none.
        target: of the stage.
    """
    dataset, spec = trained.data, trained.metadata.spec
    index = torch.from_numpy(labels["index"].to_numpy().copy())
    train, val = torch.from_numpy(dataset.rows("train")), torch.from_numpy(dataset.rows("val"))
    frozen = spec.train == "head"
    start = {}
    if not frozen:
        loaded = weights.load(recipe.weights, spec.backbone, spec.image_size, spec.channels)
        start = loaded.tensors
        for note in loaded.notes:
            target.report.warn(note)
    features = FeatureRows(trained.inputs.features, train) if isinstance(trained.inputs, FeatureInputs) else None
    examples = Examples(trained.inputs, train, index[train], val, index[val], len(dataset.classes))
    known = first_labels.evidence(labels, ledger, dataset, features)
    return Teaching(recipe.options, spec, examples, known, start)
