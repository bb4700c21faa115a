"""`alrctl train-lnl`: phase 1."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from alrctl import checkpoints, features, first_labels, manifest, noise_files, weights
from alrctl.allocator import keep_freed_memory
from alrctl.checkpoints import CHECKPOINT, LAST_EPOCHS
from alrctl.console import cell
from alrctl.dataset import DataSet, need_data, read_data, read_images, read_labels
from alrctl.job import Job
from alrctl.matrices import ALL
from alrctl.options import as_command
from alrctl.parameters import Data, Labels, Out
from alrctl.resume import DiskStore
from alrctl.session import Outcome, Session, Summary
from alrctl.summary import by_class, tell
from alrctl.target import Target
from schemas.checkpoint import CheckpointMetadata, FirstWeights, NetworkSpec
from schemas.clean import CLEAN
from schemas.history import HISTORY
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.signals import SIGNALS
from stages import train_lnl as stage
from stages.training.backbones import IMAGENET_MEAN, IMAGENET_STD, feature_width
from stages.training.inputs import FeatureRows
from stages.training.recipe import JUDGING

EXAMPLE = "alrctl train-lnl work/data --labels work/noisy --method coteaching-vog -o work/lnl"


def train_lnl(session: Session, config: stage.TrainLnlConfig, data: Data, labels: Labels, out: Out) -> Outcome:
    """Learn with noisy labels."""
    job = Job(session, "train-lnl", out, config)
    samples, classes, pack = need_data(job, data)
    labels_path = job.need("labels", labels, LABELS.file_name)
    ledger = job.want("ledger", labels_path, LEDGER.file_name) if config.method in JUDGING else None
    weights_path = weights.locate(config.weights, config.backbone)
    if weights_path is not None:
        job.need_raw("weights", weights_path)

    def work(target: Target) -> Summary:
        keep_freed_memory()
        dataset = read_data(samples, classes)
        target.report.classes = dataset.classes.names
        assert pack is not None
        spec = _spec(config, read_images(pack, dataset).shape[1])
        backbone = _backbone(config, spec, target)
        inputs = _inputs(config, dataset, _Labels(labels_path, ledger), pack, spec, backbone, target)
        frozen = backbone if config.train == "head" else {}
        metadata = CheckpointMetadata(
            stage="train-lnl",
            method=config.method,
            networks=1,
            classes=dataset.classes.names,
            spec=spec,
            backbone_sha256=checkpoints.digest(frozen) if frozen else None,
            first_weights=_first_weights(config, weights_path),
            config=config.model_dump(mode="json"),
        )
        with checkpoints.last_good_kept(out, frozen, metadata):
            outputs = stage.run(config, inputs, target.report, DiskStore(target.state))
        target.begin_writing()
        target.device = outputs.device
        checkpoints.write(target.path(CHECKPOINT), outputs.networks, frozen, metadata)
        target.table(outputs.clean, CLEAN)
        if outputs.noise is not None:
            counts = inputs.labels.bincount(minlength=len(inputs.classes)).numpy()
            noise_files.write(target, outputs.noise, counts, inputs.classes)
        target.tables(outputs.signals, SIGNALS)
        checkpoints.write_epochs(target.path(LAST_EPOCHS), outputs.tail)
        target.table(HISTORY.rows(outputs.history), HISTORY)
        return outputs.facts

    return tell(session, job.run(work, tracked=True), _story)


@dataclass(frozen=True)
class _Labels:
    """The labels, and the ledger that tells what they were before an expert looked."""

    path: Path
    ledger: Path | None


def _spec(config: stage.TrainLnlConfig, image_size: int) -> NetworkSpec:
    return NetworkSpec(
        backbone=config.backbone,
        train=config.train,
        hidden=config.hidden_width,
        dropout=config.dropout_share,
        image_size=image_size,
        channels=config.channels,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        feature_width=feature_width(config.backbone, image_size, config.channels),
    )


def _first_weights(config: stage.TrainLnlConfig, path: Path | None) -> FirstWeights:
    return FirstWeights(name=config.weights, sha256=None if path is None else manifest.digest(path))


def _backbone(config: stage.TrainLnlConfig, spec: NetworkSpec, target: Target) -> dict[str, torch.Tensor]:
    """Return the weights that the backbone starts from; where it is frozen, there must be some."""
    loaded = weights.load(config.weights, config.backbone, spec.image_size, spec.channels)
    for note in loaded.notes:
        target.report.warn(note)
    if config.train == "head" and not loaded.tensors:
        return checkpoints.fresh_backbone(config.backbone, config.seed, spec.image_size, spec.channels)
    return loaded.tensors


def _inputs(
    config: stage.TrainLnlConfig,
    dataset: DataSet,
    labels: _Labels,
    pack: Path,
    spec: NetworkSpec,
    backbone: dict[str, torch.Tensor],
    target: Target,
) -> stage.TrainLnlInputs:
    table = read_labels(labels.path, dataset)
    index = torch.from_numpy(table["index"].to_numpy().copy())
    train, val = torch.from_numpy(dataset.rows("train")), torch.from_numpy(dataset.rows("val"))
    frozen = config.train == "head"
    if frozen and config.weights == "none":
        target.report.warn("the backbone is frozen and has no trained weights: its features are random; give --weights")
    found = (
        features.features(spec, backbone, pack, dataset, config.device, config.precision, target.report)
        if frozen
        else None
    )
    return stage.TrainLnlInputs(
        sample_ids=dataset.samples["sample_id"][train.numpy()].to_list(),
        rows=train,
        labels=index[train],
        known=first_labels.evidence(
            table, labels.ledger, dataset, None if found is None else FeatureRows(found, train)
        ),
        val_rows=val,
        val_labels=index[val],
        classes=dataset.classes.names,
        images=None if frozen else read_images(pack, dataset),
        features=found,
        spec=spec,
        backbone_weights=backbone,
    )


def _story(session: Session, summary: Summary) -> None:
    """Show by class what was judged clean, beside the labels held to be wrong where that was estimated."""
    noise, kept = summary["noise"], summary["kept_share_by_class"]
    if noise is None:
        by_class("share judged clean", "kept_share_by_class")(session, summary)
        return
    rows = [[name, *_rate(rate), cell(kept[name])] for name, rate in noise["by_given_class"].items()]
    rows.append([ALL, *_rate(noise["rate"]), ""])
    session.voice.table(
        "labels held to be wrong, by given class", ["class", "share", "95 % interval", "share judged clean"], rows
    )
    session.voice.say(f"the noise, by estimate: {noise['structure']}")


def _rate(rate: dict[str, float] | None) -> list[str]:
    return ["-", "-"] if rate is None else [cell(rate["value"]), f"{rate['low']:.3f} to {rate['high']:.3f}"]


COMMAND = as_command(train_lnl, stage.TrainLnlConfig, tracked=True, shared=True)
