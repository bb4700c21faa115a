"""What a batch is made from: uint8 images, augmented as tensors, or features of a frozen backbone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional as vision

from schemas.checkpoint import NetworkSpec
from stages.training.ahead import Ahead, sender
from stages.training.augmentation import Augmentation, augment

Train = Literal["all", "head"]

_ALL = slice(None)
_AT_ONCE = 8_192
"""Samples whose features are held at a time."""


class Inputs(Protocol):
    """Gives batches of what a network takes."""

    def batch(self, rows: Tensor, generator: torch.Generator | None, own: slice = _ALL) -> Tensor:
        """Return the batch of these rows, or those of it that `own` tells; augmented where a generator is given."""

    def expect(self, rows: Tensor) -> None:
        """Take note that the batch of these rows, (b,), all of them this process's own, is asked for next."""


def in_turn(inputs: Inputs, rows: Tensor, size: int) -> Iterator[tuple[int, Tensor]]:
    """Give the batches of rows one after the other, none augmented, each with the place of its first row."""
    for start in range(0, len(rows), size):
        if start + size < len(rows):
            inputs.expect(rows[start + size : start + 2 * size])
        yield start, inputs.batch(rows[start : start + size], None)


class ImageInputs:
    """Images that stay uint8 until the batch."""

    def __init__(self, images: Tensor, spec: NetworkSpec, device: torch.device, augmentation: Augmentation) -> None:
        """Take images (N, H, W, 3) uint8, and how many channels a batch has and how they are normalised.

        One channel is the luminance (ITU-R BT.601), normalised by the means of `spec.mean` and `spec.std`.
        """
        self.images = images
        self.device = device
        self.augmentation = augmentation
        self._grey = spec.channels == 1
        mean, std = (torch.tensor(values, device=device)[None, :, None, None] for values in (spec.mean, spec.std))
        self._mean, self._std = (mean.mean(1, True), std.mean(1, True)) if self._grey else (mean, std)
        self._ahead = Ahead(sender(images, device)) if device.type == "cuda" else None

    def expect(self, rows: Tensor) -> None:
        """Send for the images of these rows, where they go to a GPU."""
        if self._ahead is not None:
            self._ahead.expect(rows)

    def batch(self, rows: Tensor, generator: torch.Generator | None, own: slice = _ALL) -> Tensor:
        """Return (B, C, H, W) float32, normalised, channels last in memory."""
        mine = rows[own]
        pixels = self.images[mine] if self._ahead is None else self._ahead.take(mine)  # (B, H, W, 3) uint8
        images = pixels.permute(0, 3, 1, 2).float().div_(255)
        if generator is not None:
            images = augment(images, self.augmentation, generator, len(rows), own)
        if self._grey:
            images = vision.rgb_to_grayscale(images)
        return ((images - self._mean) / self._std).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class FeatureRows:
    """Features of some samples, read when they are asked for: all together may be larger than memory.

    Attributes:
        whole: (M, D), memory-mapped where they are many.
        rows: (N,) of it.
    """

    whole: Tensor
    rows: Tensor

    def __len__(self) -> int:
        """Return N."""
        return len(self.rows)

    def __getitem__(self, places: slice | NDArray[np.int64] | Tensor) -> Tensor:
        """Return the features at some places among the N."""
        return self.whole[self.rows[places]]


def moments(features: Tensor | FeatureRows) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each of D columns, (D,) both; of many samples, block by block."""
    if len(features) <= _AT_ONCE:
        held = features[:]
        return held.mean(dim=0), held.std(dim=0, correction=0)
    blocks = [slice(start, start + _AT_ONCE) for start in range(0, len(features), _AT_ONCE)]
    mean = torch.stack([features[block].double().sum(dim=0) for block in blocks]).sum(dim=0) / len(features)
    squares = torch.stack([(features[block] - mean).square().sum(dim=0) for block in blocks]).sum(dim=0)
    return mean.float(), (squares / len(features)).sqrt().float()


class FeatureInputs:
    """Features of a frozen backbone, computed once."""

    def __init__(self, features: Tensor, device: torch.device) -> None:
        """Take features (N, D) float32."""
        self.features = features
        self.device = device

    def expect(self, rows: Tensor) -> None:
        """Do nothing: features are small."""

    def batch(self, rows: Tensor, generator: torch.Generator | None, own: slice = _ALL) -> Tensor:
        """Return (B, D) float32; features are not augmented."""
        return self.features[rows[own]].to(self.device, non_blocking=True)
