"""A trained network together with what it takes in, ready to be applied or trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from alrctl import checkpoints, features
from alrctl.checkpoints import CHECKPOINT
from alrctl.dataset import DataSet, need_data, read_data, read_images
from alrctl.job import Job
from schemas.checkpoint import CheckpointMetadata
from stages.report import Report
from stages.training import device as devices
from stages.training.augmentation import Augmentation
from stages.training.backbones import build_backbone
from stages.training.device import Device, Precision
from stages.training.inputs import ImageInputs, Inputs
from stages.training.network import load_weights


@dataclass(frozen=True)
class TrainedPaths:
    """The input files of a stage that applies a checkpoint to a data set."""

    samples: Path
    classes: Path
    pack: Path
    checkpoint: Path


@dataclass(frozen=True)
class Trained:
    """What those files hold.

    Attributes:
        data: the data set.
        metadata: of the checkpoint.
        networks: one or two, as trained.
        backbone: the frozen backbone's tensors; empty where it was trained.
        inputs: gives batches by row of the data set.
    """

    data: DataSet
    metadata: CheckpointMetadata
    networks: list[nn.Module]
    backbone: dict[str, Tensor]
    inputs: Inputs


def need_trained(job: Job, data: Path, checkpoint: Path) -> TrainedPaths:
    """Record the data set's and the checkpoint's files as inputs of a stage."""
    samples, classes, pack = need_data(job, data)
    assert pack is not None
    return TrainedPaths(samples, classes, pack, job.need("checkpoint", checkpoint, CHECKPOINT))


def read_trained(
    paths: TrainedPaths, device: Device, precision: Precision, report: Report, augmentation: Augmentation = "none"
) -> Trained:
    """Read the data set and the networks, and make ready what they take in.

    Raises:
        DataError: a file is not readable.
        MismatchError: the checkpoint was trained for other classes.
    """
    data = read_data(paths.samples, paths.classes)
    found = checkpoints.read(paths.checkpoint)
    found.metadata.check_classes(data.classes.names, str(paths.checkpoint))
    frozen = found.frozen_backbone()
    inputs = features.network_inputs(
        found.metadata.spec, frozen, paths.pack, data, device, precision, report, augmentation
    )
    return Trained(data, found.metadata, found.networks(), frozen, inputs)


def whole(trained: Trained, pack: Path, device: Device) -> tuple[nn.Module, Inputs]:
    """Return the frozen backbone as a module, and images as what it takes: for heads that are asked about images."""
    spec = trained.metadata.spec
    backbone = build_backbone(spec.backbone, 0, image_size=spec.image_size, channels=spec.channels)
    load_weights(backbone, trained.backbone, "the frozen backbone")
    images = read_images(pack, trained.data)
    return backbone.to(memory_format=torch.channels_last), ImageInputs(images, spec, devices.choose(device), "none")
