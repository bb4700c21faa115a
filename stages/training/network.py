"""Networks: a backbone, and a head that also gives the penultimate features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from schemas.checkpoint import NetworkSpec
from schemas.errors import DataError, listing
from stages.training.backbones import IMAGENET_MEAN as IMAGENET_MEAN
from stages.training.backbones import IMAGENET_STD as IMAGENET_STD
from stages.training.backbones import build_backbone as build_backbone
from stages.training.inputs import FeatureRows, moments
from stages.training.narrow_convolutions import keep_narrow_convolutions_exact
from stages.training.randomness import island

_LARGE = 1 << 16  # of a layer, or pixels a side: wider than any backbone's


class Head(nn.Module):
    """Standardises the backbone's features, and classifies them, with one hidden layer where `hidden` > 0.

    Dropout is before each of its layers.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, width: int, classes: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.neck = nn.Sequential(nn.Linear(width, hidden), nn.ReLU()) if hidden else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(hidden or width, classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return penultimate features (B, H) and logits (B, K) of backbone features (B, D)."""
        standard = (features - self.shift) * self.scale
        penultimate = standard if isinstance(self.neck, nn.Identity) else self.neck(self.dropout(standard))
        return penultimate, self.last(self.dropout(penultimate))


class Network(nn.Module):
    """A backbone with its head."""

    def __init__(self, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return penultimate features (B, H) and logits (B, K) of images (B, C, S, S)."""
        penultimate, logits = self.head(self.backbone(images))
        return penultimate, logits


def build_network(spec: NetworkSpec, classes: int, seed: int, *purpose: str | int) -> nn.Module:
    """Return what is trained: a whole network, or a head where the backbone is frozen; freshly initialised."""
    with island(seed, "head", *purpose):
        head = Head(spec.feature_width, classes, spec.hidden, spec.dropout)
    if spec.train == "head":
        return head
    backbone = build_backbone(spec.backbone, seed, *purpose, image_size=spec.image_size, channels=spec.channels)
    keep_narrow_convolutions_exact(backbone)
    return Network(backbone, head).to(memory_format=torch.channels_last)


def fit_standardisation(network: nn.Module, features: Tensor | FeatureRows) -> None:
    """Let a head standardise by the mean and deviation of these features, (N, D)."""
    head = network.head if isinstance(network, Network) else network
    assert isinstance(head, Head)
    mean, deviation = moments(features)
    head.shift.copy_(mean)
    head.scale.copy_(1 / deviation.clamp_min(1e-6))


def check_weights(spec: NetworkSpec, classes: int, tensors: Mapping[str, Tensor], source: str) -> None:
    """Refuse tensors that do not fit a specification, before a network is built that may be far larger than they are.

    Raises:
        DataError: names or shapes do not fit, or no network can be so large.
    """
    try:
        with torch.device("meta"):  # shapes alone
            module = build_network(spec, classes, 0)
    except RuntimeError as error:
        if spec.train == "all" and max(spec.hidden, spec.feature_width, spec.image_size) < _LARGE:
            return  # not every backbone can do without real numbers
        raise DataError(f"{source}: no network can be built as its metadata say") from error
    _check_fit(module, tensors, source)


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Fill a module with tensors by name.

    Raises:
        DataError: names or shapes do not fit.
    """
    _check_fit(module, tensors, source)
    module.load_state_dict(dict(tensors))


def _check_fit(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in tensors]
    unknown = [name for name in tensors if name not in wanted]
    shapes = [name for name in wanted if name in tensors and wanted[name].shape != tensors[name].shape]
    if missing or unknown or shapes:
        told = [
            f"{what}: {listing(names, 3)}"
            for what, names in (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
            if names
        ]
        raise DataError(f"{source}: the weights do not fit ({'; '.join(told)})")
