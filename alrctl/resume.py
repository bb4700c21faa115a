"""Keeps a training's state between epochs, so that a killed run goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from stages.report import Array, Unfinished, in_memory

_INDEX = "index.json"
_FIXED = "epoch-"  # parts with this beginning never change, and are written once
_HELD = 32 << 20
"""Bytes past which such a part is read back from disk by rows, memory-mapped, instead of held in memory."""


@dataclass(frozen=True)
class SavedArray:
    """An array in a safetensors file, read by rows."""

    path: Path
    name: str
    shape: tuple[int, ...]

    def __getitem__(self, rows: slice) -> Tensor:
        """Return these rows; the file is mapped for as long as that takes."""
        with safe_open(self.path, framework="pt") as file:
            found: Tensor = file.get_slice(self.name)[rows]
        return found


class DiskStore:
    """Saves each part as a safetensors file; the index, written last, says which belong together."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def load(self) -> Unfinished | None:
        """Return the last whole state; None where there is none, or a power cut spoilt it."""
        path = self.directory / _INDEX
        if not path.is_file():
            return None
        try:
            index = json.loads(path.read_text())
            parts = {part: self._read(part, self.directory / name) for part, name in index["parts"].items()}
        except (OSError, ValueError, KeyError, SafetensorError):
            return None
        return Unfinished(index["epochs"], index["facts"], parts)

    def save(self, state: Unfinished) -> Mapping[str, Mapping[str, Array]]:
        """Write new parts, then the index, then remove what no index names (any more), also where the disk is full."""
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            names = {part: self._write(part, tensors, state.epochs) for part, tensors in state.parts.items()}
            temporary = self.directory / f"{_INDEX}.new"
            temporary.write_text(json.dumps({"epochs": state.epochs, "facts": state.facts, "parts": names}))
            os.replace(temporary, self.directory / _INDEX)
        except Exception:
            self._remove_unnamed()
            raise
        self._remove_unnamed()
        return {part: _mapped(path) for part, name in names.items() if _is_large(part, path := self.directory / name)}

    def _remove_unnamed(self) -> None:
        path = self.directory / _INDEX
        named = {_INDEX, *json.loads(path.read_text())["parts"].values()} if path.is_file() else set()
        for path in self.directory.iterdir():
            if path.name not in named:
                path.unlink()

    def _read(self, part: str, path: Path) -> Mapping[str, Array]:
        return _mapped(path) if _is_large(part, path) else load_file(path)

    def _write(self, part: str, arrays: Mapping[str, Array], epochs: int) -> str:
        if part.startswith(_FIXED):
            name = f"{part}.safetensors"
            if (self.directory / name).is_file():
                return name
        else:
            name = f"{part}-{epochs:05d}.safetensors"
        temporary = self.directory / f"{name}.new"
        save_file({key: in_memory(array).contiguous() for key, array in arrays.items()}, temporary)
        os.replace(temporary, self.directory / name)
        return name


def _is_large(part: str, path: Path) -> bool:
    return part.startswith(_FIXED) and path.stat().st_size > _HELD


def _mapped(path: Path) -> dict[str, Array]:
    with safe_open(path, framework="pt") as file:
        return {name: _saved(path, name, tuple(file.get_slice(name).get_shape())) for name in file.keys()}


def _saved(path: Path, name: str, shape: tuple[int, ...]) -> Array:
    """Return an array that is read when it is asked for; a single number has no rows to read by, and is read now."""
    if shape:
        return SavedArray(path, name, shape)
    with safe_open(path, framework="pt") as file:
        found: Tensor = file.get_tensor(name)
    return found
