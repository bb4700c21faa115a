"""Augmentation of whole batches as tensors, by an explicit generator; every value is drawn anew for each image.

Nothing is drawn once a batch. What is drawn (`draw`) is apart from what is done with it (`apply`).

| preset | area, aspect of the crop | turned | blurred | colours | erased |
|---|---|---|---|---|---|
| `light` | 49/64 | flip left-right | | | |
| `paper` | 49/64 | flip left-right, up to 10 degrees | 1/2 | 1/2: 0.1, 0.1, 0.1, hue 0.01 | |
| `strong` | 1/2 to 1, 3/4 to 4/3 | flips both ways, up to 30 degrees | 1/2 | 4/5: 0.4, 0.4, 0.4, hue 0.05 | 1/4 |
| `histology` | 4/5 to 1 | all eight flips and quarter turns | | all: stains 0.05 | |

- `paper` is the recipe of Khanal et al. 2024 (resized to 256, cropped to 224: 7/8 of the side), with two differences:
  what a rotation takes from outside the image is its mirror image, not black, and the order of the jitter is fixed.
- `strong` is for long trainings on few images: random resized crop (Szegedy et al. 2015, with half the area at least,
  so that a lesion stays in view), jitter of most images (as Chen et al. 2020), random erasing (Zhong et al. 2020).
- `histology` is for stained sections, which have no upright: the dihedral group, and amounts of stain that vary as
  between laboratories (Tellez et al. 2018; 0.05 is their value, "HED-light" in Tellez et al. 2019). The flips and
  quarter turns are part of the one resampling that also crops, and cost no interpolation of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import conv2d, grid_sample, pad
from torchvision.transforms.v2 import functional as vision

Augmentation = Literal["none", "light", "paper", "strong", "histology"]


@dataclass(frozen=True)
class Recipe:
    """How strongly, and how often, images are changed.

    Attributes:
        area: least and greatest share of the image's area that a crop shows.
        aspect: greatest ratio of a crop's sides, either way.
        flip_upright: whether to flip top and bottom; left and right are always flipped half the time.
        quarter_turns: whether to turn by 0, 90, 180 or 270 degrees.
        degrees: greatest rotation, either way.
        blur: share of images blurred, 5x5 Gaussian, sigma 0.1 to 1 pixels.
        jitter: share of images whose colours are jittered.
        colours: greatest change of brightness, contrast and saturation (as shares), and of hue (in turns, at most 1/6).
        stain: greatest change of each stain: of its amount as a share, and by an optical density.
        erase: share of images of which a rectangle is erased: 2 to 15 % of the area, sides up to 1 : 3.3.
    """

    area: tuple[float, float] = (49 / 64, 49 / 64)
    aspect: float = 1.0
    flip_upright: bool = False
    quarter_turns: bool = False
    degrees: float = 0.0
    blur: float = 0.0
    jitter: float = 0.0
    colours: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    stain: float = 0.0
    erase: float = 0.0


RECIPES: dict[Augmentation, Recipe] = {
    "light": Recipe(),
    "paper": Recipe(degrees=10, blur=0.5, jitter=0.5, colours=(0.1, 0.1, 0.1, 0.01)),
    "strong": Recipe(
        area=(0.5, 1),
        aspect=4 / 3,
        flip_upright=True,
        degrees=30,
        blur=0.5,
        jitter=0.8,
        colours=(0.4, 0.4, 0.4, 0.05),
        erase=0.25,
    ),
    "histology": Recipe(area=(0.8, 1), quarter_turns=True, stain=0.05),
}

_SIGMA = (0.1, 1.0)
_ERASED_AREA, _ERASED_ASPECT = (0.02, 0.15), 3.3
_STAINS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
"""Optical density by red, green, blue of haematoxylin, eosin and diaminobenzidine (Ruifrok & Johnston 2001)."""
_DARKEST = 1 / 255
_BLOCK = 2**20
"""Values changed at a time on the CPU (4 MB), so that what lies between two steps mostly stays in its cache."""


@dataclass(frozen=True)
class Draws:
    """What is to be done to each image of a batch.

    Attributes:
        affine: (B, 2, 3) from places in the result to places in the image, x and y from -1 to 1.
        sigma: (B, 1) deviation of the blur in pixels; 0 for none.
        colours: (B, 4) factors of brightness, contrast and saturation, and what is added to the hue, in turns.
        stain: (B, 6) factors of the three stains, and what is added to them.
        box: (B, 4) top, left, height and width of what is erased, as shares of the side; zeros for nothing.
    """

    affine: Tensor
    sigma: Tensor
    colours: Tensor
    stain: Tensor
    box: Tensor

    def part(self, start: int, stop: int) -> Draws:
        """Return the draws of the images from `start` to before `stop`."""
        return Draws(**{name: values[start:stop] for name, values in vars(self).items()})


def augment(
    images: Tensor,
    preset: Augmentation,
    generator: torch.Generator,
    count: int | None = None,
    own: slice = slice(None),
) -> Tensor:
    """Return augmented images.

    Args:
        images: (B, 3, S, S) float, 0 to 1.
        preset: which recipe.
        generator: source of randomness, on the CPU.
        count: images in the whole batch, all of which are drawn for; by default those given are all.
        own: which of them are given.

    Returns:
        (B, 3, S, S) float, 0 to 1, in the memory format of `images`.
    """
    if preset == "none":
        return images
    count = len(images) if count is None else count
    start, stop, _ = own.indices(count)
    return apply(images, draw(RECIPES[preset], count, generator).part(start, stop))


def draw(recipe: Recipe, count: int, generator: torch.Generator) -> Draws:
    """Return what is to be done to `count` images; the same number of values is drawn for every image."""
    colours, (low, high) = torch.tensor(recipe.colours), _SIGMA
    unchanged = torch.tensor([1.0, 1.0, 1.0, 0.0])
    return Draws(
        affine=_affine(recipe, count, generator),
        sigma=_uniform((count, 1), low, high, generator) * _share(count, recipe.blur, generator),
        colours=_uniform((count, 4), -1, 1, generator) * colours * _share(count, recipe.jitter, generator) + unchanged,
        stain=_uniform((count, 6), -1, 1, generator) * recipe.stain + torch.tensor([1.0] * 3 + [0.0] * 3),
        box=_box(count, generator) * _share(count, recipe.erase, generator),
    )


def apply(images: Tensor, draws: Draws) -> Tensor:
    """Return images (B, 3, S, S) changed as drawn, in one resampling, clamped to 0..1; see `augment`."""
    changed = torch.empty_like(images)
    size = len(images) if images.is_cuda else max(1, _BLOCK // images[0].numel())
    for start in range(0, len(images), size):
        stop = start + size
        changed[start:stop] = _apply(images[start:stop], draws.part(start, stop))
    return changed


def _apply(images: Tensor, draws: Draws) -> Tensor:
    images = _resampled(images, draws.affine.to(images.device))
    unchanged = torch.tensor([1.0, 1.0, 1.0, 0.0])
    _change(images, draws.sigma[:, 0] > 0, draws.sigma, _blurred)
    _change(images, (draws.colours != unchanged).any(dim=1), draws.colours, _jittered)
    _change(images, (draws.stain != unchanged[[0, 1, 2, 3, 3, 3]]).any(dim=1), draws.stain, _stained)
    _change(images, draws.box[:, 2] > 0, draws.box, _erased)
    return images.clamp_(0, 1)


def _change(images: Tensor, chosen: Tensor, values: Tensor, by: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Replace the images that are chosen, (B,) on the CPU, by what becomes of them with their values, (B, V)."""
    places = chosen.nonzero().flatten()
    if len(places):
        there = places.to(images.device)
        images.index_copy_(0, there, by(images.index_select(0, there), values[places].to(images.device)))


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator) * (high - low) + low


def _share(count: int, share: float, generator: torch.Generator) -> Tensor:
    """Return (B, 1) ones for about this share of images, zeros for the others."""
    return (torch.rand(count, 1, generator=generator) < share).float()


def _affine(recipe: Recipe, count: int, generator: torch.Generator) -> Tensor:
    """Draw a crop, then flips and quarter turns, then a rotation, as one map from result to image, (B, 2, 3)."""
    area = _uniform((count,), *recipe.area, generator)
    aspect = torch.exp(_uniform((count,), -1, 1, generator) * math.log(recipe.aspect))
    sides = torch.stack([area * aspect, area / aspect], dim=1).sqrt().clamp_max(1)  # (B, 2) width, height
    shift = _uniform((count, 2), -1, 1, generator) * (1 - sides)
    flips = 1 - 2 * torch.randint(2, (count, 2), generator=generator)
    if not recipe.flip_upright:
        flips[:, 1] = 1
    quarters = torch.randint(4, (count,), generator=generator) * recipe.quarter_turns
    angle = _uniform((count,), -recipe.degrees, recipe.degrees, generator) * (math.pi / 180)
    turns = torch.tensor([[[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[0, 1], [-1, 0]]])[quarters]
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).reshape(count, 2, 2)
    linear = sides[:, :, None] * (turns * flips[:, None, :]).float() @ rotation
    return torch.cat([linear, shift[:, :, None]], dim=2)


def _box(count: int, generator: torch.Generator) -> Tensor:
    """Draw rectangles within the image: top, left, height and width, (B, 4)."""
    area = _uniform((count,), *_ERASED_AREA, generator)
    aspect = torch.exp(_uniform((count,), -1, 1, generator) * math.log(_ERASED_ASPECT))
    size = torch.stack([area * aspect, area / aspect], dim=1).sqrt()
    return torch.cat([torch.rand(count, 2, generator=generator) * (1 - size), size], dim=1)


def _resampled(images: Tensor, affine: Tensor) -> Tensor:
    """Take each pixel from its place in the image, between pixels bilinearly, beyond the border mirrored."""
    across, down = (_centres(side, images.device) for side in (images.shape[3], images.shape[2]))
    # x and y lie in planes of their own: torch's affine_grid, which interleaves them, takes longer than the sampling
    x, y, one = affine.permute(2, 1, 0)[..., None, None]  # (2, B, 1, 1) each
    grid = x * across + (y * down[:, None] + one)  # (2, B, H, W)
    return grid_sample(images, grid.permute(1, 2, 3, 0), padding_mode="reflection", align_corners=False)


def _centres(side: int, device: torch.device) -> Tensor:
    """Return where the centres of pixels lie, from -1 to 1."""
    return (torch.arange(side, device=device) * 2 + 1) / side - 1


def _blurred(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur by a 5x5 Gaussian of each image's own sigma, mirrored at the border, as torchvision's `gaussian_blur`."""
    count, channels, height, width = images.shape
    weights = torch.exp(-0.5 * (torch.arange(-2, 3, device=sigma.device) / sigma) ** 2)
    weights = weights / weights.sum(dim=1, keepdim=True)  # (B, 5)
    kernels = (weights[:, :, None] * weights[:, None, :]).repeat_interleave(channels, dim=0)[:, None]  # (3 B, 1, 5, 5)
    padded = pad(images, [2, 2, 2, 2], mode="reflect").reshape(1, count * channels, height + 4, width + 4)
    return conv2d(padded, kernels, groups=count * channels).reshape(images.shape)


def _jittered(images: Tensor, colours: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and hue, in this order, as torchvision's `adjust_*`; may overwrite."""
    brightness, contrast, saturation, hue = colours.T[:, :, None, None, None]
    images = images.mul_(brightness).clamp_(0, 1)
    mean = vision.rgb_to_grayscale(images).mean(dim=(1, 2, 3), keepdim=True)
    images = images.mul_(contrast).add_(mean * (1 - contrast)).clamp_(0, 1)
    grey = vision.rgb_to_grayscale(images)
    images = images.mul_(saturation).add_(grey * (1 - saturation)).clamp_(0, 1)
    return _hue_shifted(images, hue[:, 0])


def _hue_shifted(images: Tensor, turns: Tensor) -> Tensor:
    """Add to the hue of HSV, (B, 1, 1) turns from -1/6 to 1/6; torchvision's `adjust_hue` takes one for all images.

    On the wheel of six sectors pure red lies at 0, green at 2, blue at 4. A channel is at its maximum within one
    sector of its own hue, at its minimum from two sectors on, and linear between.
    """
    red, green, blue = images.unbind(dim=1)
    most = torch.maximum(torch.maximum(red, green), blue)
    chroma = most - torch.minimum(torch.minimum(red, green), blue)
    scale = 1 / chroma.clamp_min(1e-12)  # without chroma there is no hue, and none is needed
    by_blue = torch.where(most == green, (blue - red) * scale + 2, (red - green) * scale + 4)
    hue = torch.where(most == red, (green - blue) * scale, by_blue).add_(6 * turns)  # -2 to 6
    shifted = torch.empty_like(images)
    for channel, own in enumerate((0, 2, 4)):
        away = (hue - own).abs_()
        away = torch.minimum(away, 6 - away)
        shifted[:, channel] = most - chroma * away.sub_(1).clamp_(0, 1)
    return shifted


def _stained(images: Tensor, stain: Tensor) -> Tensor:
    """Scale and shift each image's amounts of stain (Tellez et al. 2018), in optical density to base 10.

    The way from density to stains, the change, and the way back are one 3x3 matrix and one shift by image.
    """
    to_density = torch.tensor(_STAINS, device=images.device)
    factors, added = stain[:, :3], stain[:, 3:]
    matrix = torch.linalg.inv(to_density) * factors[:, None, :] @ to_density  # (B, 3, 3)
    shift = -math.log(10) * added @ to_density  # (B, 3)
    logarithm = images.clamp_min(_DARKEST).log_().flatten(2)  # (B, 3, H W)
    changed = torch.baddbmm(shift[:, :, None], matrix.transpose(1, 2), logarithm)
    return changed.exp_().reshape(images.shape)


def _erased(images: Tensor, box: Tensor) -> Tensor:
    """Fill each image's rectangle with the image's mean colour."""
    height, width = images.shape[2:]
    sides = torch.tensor([height, width, height, width], device=box.device)
    top, left, tall, wide = (box * sides).round().T[:, :, None]  # (B, 1) each
    rows, columns = (torch.arange(side, device=box.device) for side in (height, width))
    across = (columns >= left) & (columns < left + wide.clamp_min(1))  # (B, W)
    down = (rows >= top) & (rows < top + tall.clamp_min(1))  # (B, H)
    inside = (down[:, :, None] & across[:, None, :])[:, None]
    return torch.where(inside, images.mean(dim=(2, 3), keepdim=True), images)
