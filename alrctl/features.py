"""What networks take in: images, or the features of a frozen backbone, computed once and cached.

The cache is keyed by content (images, backbone weights, precision), so it is never stale, and it may be deleted at any
time. It lies in the user's cache folder, or where the environment variable ALRCTL_CACHE points.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from platformdirs import user_cache_path
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from alrctl import checkpoints, files, manifest
from alrctl.dataset import DataSet, read_images
from schemas.checkpoint import NetworkSpec
from schemas.errors import AlrctlError
from stages.report import Report
from stages.training import device as devices
from stages.training.augmentation import Augmentation
from stages.training.backbones import build_backbone
from stages.training.device import Device, Precision
from stages.training.inputs import FeatureInputs, ImageInputs, Inputs
from stages.training.network import load_weights
from stages.training.predict import extract
from stages.training.team import Team


def network_inputs(
    spec: NetworkSpec,
    backbone: Mapping[str, Tensor],
    pack: Path,
    data: DataSet,
    device: Device,
    precision: Precision,
    report: Report,
    augmentation: Augmentation = "none",
) -> Inputs:
    """Return what batches are made from: features where the backbone is frozen, else images."""
    where = devices.choose(device)
    if spec.train == "head":
        return FeatureInputs(features(spec, backbone, pack, data, device, precision, report), where)
    return ImageInputs(read_images(pack, data), spec, where, augmentation)


def features(
    spec: NetworkSpec,
    backbone: Mapping[str, Tensor],
    pack: Path,
    data: DataSet,
    device: Device,
    precision: Precision,
    report: Report,
) -> Tensor:
    """Return the frozen backbone's features of all images, (N, D), from the cache where they lie there."""
    images = read_images(pack, data)
    where = devices.choose(device)
    parts = (manifest.digest(pack), checkpoints.digest(backbone), spec.model_dump_json(), where.type, precision)
    path = _folder() / f"{hashlib.sha256(repr(parts).encode()).hexdigest()}.safetensors"
    found, team = _cached(path, len(images), spec.feature_width), Team.current()
    if team.all(found is not None) and found is not None:
        return found
    module = build_backbone(spec.backbone, 0, image_size=spec.image_size, channels=spec.channels)
    load_weights(module, backbone, "the frozen backbone")
    computed = extract(module, images, spec, where, precision, report)
    if not team.is_first:
        return computed
    try:
        with files.writing(path) as beside:
            save_file({"features": computed}, beside)
    except (AlrctlError, SafetensorError) as error:
        report.warn(f"the features could not be cached and will be computed again next time ({error})")
    return computed


def _folder() -> Path:
    named = os.environ.get("ALRCTL_CACHE")
    return Path(named) if named else user_cache_path("alrctl") / "features"


def _cached(path: Path, count: int, width: int) -> Tensor | None:
    try:
        found: Tensor = load_file(path)["features"]
    except (OSError, SafetensorError, KeyError):
        return None
    return found if found.shape == (count, width) and found.dtype == torch.float32 else None
