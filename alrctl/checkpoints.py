"""Checkpoints on disk: safetensors, with all that is needed to rebuild the networks in the metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from alrctl import files, processes, tensor_file
from schemas.checkpoint import METADATA_KEY, CheckpointMetadata
from schemas.errors import DataError
from stages.report import Array, in_memory
from stages.training.backbones import build_backbone
from stages.training.failures import DivergedError
from stages.training.network import build_network, check_weights, load_weights

CHECKPOINT = "checkpoint.safetensors"
LAST_EPOCHS = "last_epochs.safetensors"
_BACKBONE = "backbone."


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read: what it is, and its tensors by name."""

    metadata: CheckpointMetadata
    tensors: dict[str, Tensor]
    path: Path

    def networks(self) -> list[nn.Module]:
        """Rebuild the networks (or heads, where the backbone is frozen).

        Raises:
            DataError: the tensors are not those of the networks.
        """
        built = []
        check_weights(self.metadata.spec, len(self.metadata.classes), self._part("network1."), str(self.path))
        for number in range(1, self.metadata.networks + 1):
            network = build_network(self.metadata.spec, len(self.metadata.classes), 0, number)
            load_weights(network, self._part(f"network{number}."), str(self.path))
            built.append(network)
        return built

    def frozen_backbone(self) -> dict[str, Tensor]:
        """Return the frozen backbone's tensors; empty where it was trained."""
        return self._part(_BACKBONE)

    def _part(self, prefix: str) -> dict[str, Tensor]:
        return {n.removeprefix(prefix): tensor for n, tensor in self.tensors.items() if n.startswith(prefix)}


def read(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        DataError: not whole, or not one of this program's.
    """
    with tensor_file.explained(path), safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get(METADATA_KEY)
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    if text is None:
        raise DataError(f"{path}: has no '{METADATA_KEY}' metadata that says which network it is")
    try:
        return Checkpoint(CheckpointMetadata.model_validate_json(text), tensors, path)
    except ValidationError as error:
        raise DataError(
            f"{path}: its metadata does not fit this program ({error.error_count()} fields amiss)"
        ) from error


def write(
    path: Path, networks: Sequence[nn.Module], backbone: Mapping[str, Tensor], metadata: CheckpointMetadata
) -> None:
    """Write networks, and the frozen backbone they stand on; the metadata says how many they are."""
    metadata = metadata.model_copy(update={"networks": len(networks)})
    tensors = {f"{_BACKBONE}{name}": tensor for name, tensor in backbone.items()}
    for number, network in enumerate(networks, 1):
        tensors |= {f"network{number}.{name}": tensor for name, tensor in network.state_dict().items()}
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, path, metadata={METADATA_KEY: metadata.model_dump_json()})


@contextmanager
def last_good_kept(out: Path, backbone: Mapping[str, Tensor], metadata: CheckpointMetadata) -> Iterator[None]:
    """Where training within diverges, write its last good weights beside `out`, and say so.

    Raises:
        DataError: training diverged.
    """
    try:
        yield
    except DivergedError as error:
        if not error.networks or not processes.is_first():
            raise
        path = out.with_name(f"{out.name}.last-good.safetensors")
        with files.writing(path) as beside:
            write(beside, error.networks, backbone, metadata)
        raise DataError(f"{error}; the weights of epoch {error.epochs}, the last good one, are in {path}") from error


def write_epochs(path: Path, epochs: Mapping[int, Mapping[str, Array]]) -> None:
    """Write the weights of the last epochs, named `epoch12.network1.<parameter>`; nothing where none are kept."""
    tensors = {
        f"epoch{epoch}.{name}": in_memory(array).contiguous()
        for epoch, arrays in epochs.items()
        for name, array in arrays.items()
    }
    if tensors:
        save_file(tensors, path)


def read_epochs(path: Path, networks: Sequence[nn.Module]) -> Iterator[int]:
    """Fill the networks with the weights of each of the last epochs in turn, and give its number.

    Raises:
        DataError: not readable, or the weights of other networks.
    """
    with files.explained_read(path, "safetensors"), safe_open(path, framework="pt") as file:
        names = list(file.keys())
        for epoch in sorted({int(name.split(".")[0].removeprefix("epoch")) for name in names}):
            for number, network in enumerate(networks, 1):
                prefix = f"epoch{epoch}.network{number}."
                tensors = {n.removeprefix(prefix): file.get_tensor(n) for n in names if n.startswith(prefix)}
                load_weights(network, tensors, f"{path}, epoch {epoch}")
            yield epoch


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of tensors by name."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        found.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        found.update(tensor.flatten().view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return found.hexdigest()


def fresh_backbone(name: str, seed: int, image_size: int | None = None, channels: int = 3) -> dict[str, Tensor]:
    """Return the tensors of a freshly initialised backbone for images of `image_size` pixels a side."""
    return dict(build_backbone(name, seed, "frozen", image_size=image_size, channels=channels).state_dict())
