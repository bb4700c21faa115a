"""What networks take in: images, or the features of a frozen backbone, computed once and cached.

The cache is keyed by content (images, backbone weights, precision), so it is never stale, and it may be deleted at any
time. It lies in the user's cache folder, or where the environment variable ALRCTL_CACHE points.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from platformdirs import user_cache_path
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from alrctl import checkpoints, files, manifest, tensor_file
from alrctl.dataset import DataSet, read_images
from schemas.checkpoint import NetworkSpec
from schemas.errors import AlrctlError, UsageError
from stages.report import Report
from stages.training import device as devices
from stages.training.augmentation import Augmentation
from stages.training.backbones import build_backbone
from stages.training.device import Device, Precision
from stages.training.inputs import FeatureInputs, ImageInputs, Inputs
from stages.training.network import load_weights
from stages.training.predict import extract, extracted
from stages.training.team import Team

_HELD = 1 << 30
"""Bytes of features past which they are written as they are computed, and read from disk by rows."""


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
    if team.alone and (stored := _stored(path, module, images, spec, where, precision, report)) is not None:
        return stored
    computed = extract(module, images, spec, where, precision, report)
    if not team.is_first:
        return computed
    try:
        with files.writing(path) as beside:
            save_file({"features": computed}, beside)
    except (AlrctlError, SafetensorError) as error:
        report.warn(f"the features could not be cached and will be computed again next time ({error})")
    return computed


def _stored(
    path: Path,
    module: nn.Module,
    images: Tensor,
    spec: NetworkSpec,
    device: torch.device,
    precision: Precision,
    report: Report,
) -> Tensor | None:
    """Compute the features into the cache, and return them mapped; None where there they find no room.

    None too where they are few: then they are held, and a cache that cannot be written costs a warning alone.
    """
    shape = (len(images), spec.feature_width)
    bytes_of_all = math.prod(shape) * 4
    if bytes_of_all <= _HELD or not _has_room(path.parent, bytes_of_all):
        return None
    try:
        with files.writing(path) as beside, beside.open("wb") as stream:
            stream.write(tensor_file.head("features", "F32", shape, tensor_file.room("features", "F32", shape)))
            for part in extracted(module, images, torch.arange(len(images)), spec, device, precision, report):
                stream.write(part.contiguous().numpy().data)
    except UsageError as error:
        report.warn(f"the features find no room on the disk, and are computed again to be held in memory ({error})")
        return None
    return _cached(path, len(images), spec.feature_width)


def _has_room(folder: Path, wanted: int) -> bool:
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(folder).free > wanted
    return False


def _folder() -> Path:
    named = os.environ.get("ALRCTL_CACHE")
    return Path(named) if named else user_cache_path("alrctl") / "features"


def _cached(path: Path, count: int, width: int) -> Tensor | None:
    try:
        found: Tensor = load_file(path)["features"]
    except (OSError, SafetensorError, KeyError):
        return None
    return found if found.shape == (count, width) and found.dtype == torch.float32 else None
