"""Augmentation of whole batches as tensors, each image its own, by an explicit generator.

Two values are drawn once a batch, for speed: the blur's sigma and the shift of hue.

The preset `paper` is the recipe of Khanal et al. 2024: crop of 7/8 of the side, flip, rotation of up to 10 degrees,
half the time a 5x5 Gaussian blur (sigma 0.1 to 1), half the time colour jitter (0.1, 0.1, 0.1, hue 0.01).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample
from torchvision.transforms.v2 import functional as vision

Augmentation = Literal["paper", "light", "none"]

_CROP = 7 / 8
_DEGREES = 10.0


def augment(images: Tensor, preset: Augmentation, generator: torch.Generator) -> Tensor:
    """Return augmented images.

    Args:
        images: (B, 3, H, W) float, 0 to 1.
        preset: which recipe; `light` is crop and flip alone.
        generator: source of randomness, on the CPU.

    Returns:
        (B, 3, H, W) float, 0 to 1.
    """
    if preset == "none":
        return images
    images = _crop_flip_rotate(images, _DEGREES if preset == "paper" else 0.0, generator)
    if preset == "paper":
        images = _blur_half(images, generator)
        images = _jitter_half(images, generator)
    return images


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) * (high - low) + low


def _crop_flip_rotate(images: Tensor, degrees: float, generator: torch.Generator) -> Tensor:
    """Crop, flip and rotate each image in one resampling."""
    count = len(images)
    flip = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    angle = _uniform(count, -degrees, degrees, generator) * (math.pi / 180)
    shift = _uniform(2 * count, -(1 - _CROP), 1 - _CROP, generator).reshape(count, 2)
    cos, sin = torch.cos(angle) * _CROP, torch.sin(angle) * _CROP
    rows = (torch.stack([cos * flip, -sin, shift[:, 0]], 1), torch.stack([sin * flip, cos, shift[:, 1]], 1))
    theta = torch.stack(rows, dim=1).to(images.device)  # (B, 2, 3)
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    return grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _half(count: int, generator: torch.Generator) -> Tensor:
    return torch.nonzero(torch.rand(count, generator=generator) < 0.5).flatten()


def _blur_half(images: Tensor, generator: torch.Generator) -> Tensor:
    chosen = _half(len(images), generator)
    sigma = float(_uniform(1, 0.1, 1.0, generator))
    if not len(chosen):
        return images
    blurred = vision.gaussian_blur(images[chosen], [5, 5], [sigma, sigma])
    return images.index_copy(0, chosen.to(images.device), blurred)


def _jitter_half(images: Tensor, generator: torch.Generator) -> Tensor:
    chosen = _half(len(images), generator)
    factors = (
        _uniform(3 * len(images), 0.9, 1.1, generator).reshape(3, -1)[:, chosen, None, None, None].to(images.device)
    )
    hue = float(_uniform(1, -0.01, 0.01, generator))
    if not len(chosen):
        return images
    part = images[chosen] * factors[0]
    part = _blend(part, vision.rgb_to_grayscale(part).mean(dim=(1, 2, 3), keepdim=True), factors[1])
    part = _blend(part, vision.rgb_to_grayscale(part), factors[2]).clamp(0, 1)
    return images.index_copy(0, chosen.to(images.device), vision.adjust_hue(part, hue))


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return images * factor + other * (1 - factor)
