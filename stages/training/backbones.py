"""Backbones by name, from timm and torchvision: without their classifier, for images of any size that they take."""

from __future__ import annotations

from typing import Any, Literal

import timm
import torch
import torchvision.models as vision
from torch import Tensor, nn

from schemas.errors import UsageError, nearest
from stages.training.randomness import island

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Library = Literal["timm", "torchvision"]

_REFUSALS = (AssertionError, RuntimeError, ValueError, IndexError, TypeError, ZeroDivisionError)
_SIZES = (32, 48, 56, 64, 75, 96, 112, 128, 160, 192, 224, 240, 256, 299, 384, 448, 518)
_OF_HALVES = ("googlenet", "inception_v3")  # torchvision's weights for them were trained on images from -1 to 1


def resolve(name: str) -> tuple[Library, str]:
    """Return whose model a name means, and its name there: timm's unless only torchvision has it, or it is said.

    Raises:
        UsageError: neither library, or not the one that is said, has a model of that name.
    """
    said, slash, bare = name.rpartition("/")
    if said in ("", "timm") and timm.is_model(bare):
        return "timm", bare
    if said in ("", "torchvision") and bare in _torchvision_names():
        return "torchvision", bare
    known = {"timm": timm.list_models(), "torchvision": _torchvision_names()}
    if said in known:
        mend = nearest(name, (f"{said}/{other}" for other in known[said]))
        raise UsageError(f"--backbone: {said} has no model '{bare}'{mend}")
    if slash:
        mend = nearest(name, (f"{library}/{other}" for library, names in known.items() for other in names))
    else:
        mend = nearest(name, (*known["timm"], *known["torchvision"]))
    raise UsageError(f"--backbone: neither timm nor torchvision has a model '{name}'{mend}")


def build_backbone(
    name: str, seed: int, *purpose: str | int, image_size: int | None = None, channels: int = 3
) -> nn.Module:
    """Return a model without its classifier, freshly initialised: images (B, channels, S, S) to features (B, D).

    Args:
        name: of a timm model, else of a torchvision one; `timm/NAME` and `torchvision/NAME` say whose.
        seed: of the initialisation.
        purpose: what the model is for; another gives other weights.
        image_size: pixels a side, for models that are built for one size; None for the size they were made for.
        channels: 1 or 3, of the images.

    Raises:
        UsageError: there is no such model, or it cannot be built for images of that size.
    """
    try:
        return _built(name, seed, purpose, image_size, channels)
    except _REFUSALS as error:
        if image_size is None or _takes(name, image_size, channels):
            raise
        raise _refused(name, image_size, channels, error) from error


def feature_width(name: str, image_size: int, channels: int = 3) -> int:
    """Return the width D of a model's pooled features of images (B, channels, S, S), as seen by applying it.

    Raises:
        UsageError: there is no such model, or it does not take images of that size.
    """
    resolve(name)
    try:
        return _applied(name, image_size, channels, "meta")
    except _REFUSALS:  # not every model can do without real numbers
        pass
    try:
        return _applied(name, image_size, channels, "cpu")
    except _REFUSALS as error:
        raise _refused(name, image_size, channels, error) from error


def _built(name: str, seed: int, purpose: tuple[str | int, ...], image_size: int | None, channels: int) -> nn.Module:
    library, bare = resolve(name)
    if library == "torchvision":
        with island(seed, "backbone", *purpose):
            return _torchvision(bare, image_size, channels)
    if image_size is not None:
        try:
            with island(seed, "backbone", *purpose):
                return _timm(bare, channels, img_size=image_size)
        except TypeError as error:
            if "img_size" not in str(error):  # else the model takes images of any size
                raise
    with island(seed, "backbone", *purpose):
        return _timm(bare, channels)


def _timm(name: str, channels: int, **size: Any) -> nn.Module:
    model: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, in_chans=channels, **size)
    return model


def _torchvision_names() -> list[str]:
    names: list[str] = vision.list_models(module=vision)
    return names


def _torchvision(name: str, image_size: int | None, channels: int) -> nn.Module:
    given: dict[str, Any] = {"aux_logits": False, "init_weights": True} if name in _OF_HALVES else {}
    if image_size is not None and name.startswith("vit_"):
        given["image_size"] = image_size
    if image_size is not None and name.startswith("maxvit_"):
        given["input_size"] = (image_size, image_size)
    model: nn.Module = vision.get_model(name, weights=None, **given)
    _drop_classifier(model)
    if channels == 1:
        _take_one_channel(model)
    if name in _OF_HALVES:
        model.register_forward_pre_hook(_normalised_by_halves)
    return model


def _drop_classifier(model: nn.Module) -> None:
    """Put nothing in the place of the last layer with weights, and of dropout just before it."""
    leaves = [(name, module) for name, module in model.named_modules() if not list(module.children())]
    last = max(place for place, (_, module) in enumerate(leaves) if isinstance(module, nn.Linear | nn.Conv2d))
    model.set_submodule(leaves[last][0], nn.Identity())
    if isinstance(leaves[last - 1][1], nn.Dropout):
        model.set_submodule(leaves[last - 1][0], nn.Identity())


def _take_one_channel(model: nn.Module) -> None:
    """Let the first convolution give for a grey image what it gave for the same image in three channels."""
    name, first = next((name, module) for name, module in model.named_modules() if isinstance(module, nn.Conv2d))
    first.in_channels = 1
    first.weight = nn.Parameter(first.weight.detach().sum(dim=1, keepdim=True))  # (out, 3, k, k) to (out, 1, k, k)
    model.set_submodule(name, first)


def _normalised_by_halves(_: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:
    """Turn images (B, C, H, W) normalised by ImageNet's figures into images from -1 to 1."""
    (images,) = given
    mean, std = (images.new_tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    if images.shape[1] == 1:
        mean, std = mean.mean(), std.mean()
    return ((images * std + mean - 0.5) / 0.5,)


def _applied(name: str, image_size: int, channels: int, device: str) -> int:
    with torch.device(device), torch.inference_mode():
        model = _built(name, 0, (), image_size, channels).eval()
        features = model(torch.zeros(2, channels, image_size, image_size))
    if not isinstance(features, Tensor) or features.dim() != 2:
        raise UsageError(f"--backbone: '{name}' gives no pooled features; choose another model")
    return int(features.shape[1])


def _takes(name: str, image_size: int, channels: int) -> bool:
    try:
        return _applied(name, image_size, channels, "meta") > 0
    except _REFUSALS:
        return False


def _refused(name: str, image_size: int, channels: int, error: Exception) -> UsageError:
    """Say which size a model takes: the next larger one of those in use, or else the next smaller one."""
    reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
    told = f"--backbone: '{name}' does not take images of {image_size} x {image_size} px"
    larger = [size for size in _SIZES if size > image_size]
    for size in (*larger, *reversed(_SIZES[: -len(larger) or None])):
        if _takes(name, size, channels):
            return UsageError(f"{told}; it takes {size} x {size} px: alrctl ingest --image-size {size}")
    return UsageError(f"{told} ({reason})")
