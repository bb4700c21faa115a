"""Keeps a training's state between epochs, so that a killed run goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from alrctl import files
from stages.report import Unfinished

_INDEX = "index.json"
_FIXED = "epoch-"  # parts with this beginning never change, and are written once


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
            parts = {part: load_file(self.directory / name) for part, name in index["parts"].items()}
        except (OSError, ValueError, KeyError, SafetensorError):
            return None
        return Unfinished(index["epochs"], index["facts"], parts)

    def save(self, state: Unfinished) -> None:
        """Write new parts, then the index, then remove what no index names any more."""
        with files.explained_write(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            names = {part: self._write(part, tensors, state.epochs) for part, tensors in state.parts.items()}
            index = {"epochs": state.epochs, "facts": state.facts, "parts": names}
            temporary = self.directory / f"{_INDEX}.new"
            temporary.write_text(json.dumps(index))
            os.replace(temporary, self.directory / _INDEX)
            for path in self.directory.glob("*.safetensors"):
                if path.name not in names.values():
                    path.unlink()

    def _write(self, part: str, tensors: Mapping[str, Tensor], epochs: int) -> str:
        if part.startswith(_FIXED):
            name = f"{part}.safetensors"
            if (self.directory / name).is_file():
                return name
        else:
            name = f"{part}-{epochs:05d}.safetensors"
        temporary = self.directory / f"{name}.new"
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, temporary)
        os.replace(temporary, self.directory / name)
        return name
