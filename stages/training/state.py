"""All that an epoch needs of those before it, and its keeping between epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from stages.report import Array, Store, Unfinished
from stages.training.objective import Objective
from stages.training.picking import Picker
from stages.training.signals import GradientWindow
from stages.training.team import Team

Row = dict[str, Any]


@dataclass
class TrainingState:
    """Networks, optimisers and what was seen so far.

    Attributes:
        networks: one or two, on the device.
        optimizers: one for each.
        window: the gradients of the last epochs.
        history: a row a finished epoch.
        signals: tables of each finished epoch, as `EpochSignals.tensors` names them.
        best: the best epoch's weights, where they are wanted.
        best_epoch: -1 where there is none.
        tail: the last epochs' weights by epoch.
        team: the processes that train together.
    """

    networks: Sequence[nn.Module]
    optimizers: list[torch.optim.SGD]
    window: GradientWindow
    history: list[Row] = field(default_factory=list)
    signals: list[dict[str, Array]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = -1
    tail: dict[int, dict[str, Array]] = field(default_factory=dict)
    team: Team = field(default_factory=Team)

    def save(self, picker: Picker, objective: Objective, store: Store) -> None:
        """Keep the state; of what is large, hold only what reads it back from where it lies.

        Of several processes the first writes; all must call it.
        """
        window = self._whole_window()
        if not self.team.is_first:
            self.signals = [{"kept": tables["kept"]} for tables in self.signals]
            return
        parts: dict[str, dict[str, Array]] = {
            "networks": dict(tensors_of(self.networks)),
            "optimizers": dict(self._momenta()),
        }
        for name, tensors in (("picker", picker.tensors()), ("objective", objective.tensors()), ("best", self.best)):
            if tensors:
                parts[name] = dict(tensors)
        for epoch, signals in enumerate(self.signals):
            parts[_part(epoch, "signals")] = signals
        for epoch, gradients in window.items():
            parts[_part(epoch, "gradients")] = gradients
        for epoch, weights in self.tail.items():
            parts[_part(epoch, "weights")] = weights
        facts = {"history": self.history, "best_epoch": self.best_epoch, "picker": picker.facts()}
        kept = store.save(Unfinished(len(self.history), facts, parts))
        self.signals = [dict(kept.get(_part(epoch, "signals"), tables)) for epoch, tables in enumerate(self.signals)]
        self.tail = {epoch: dict(kept.get(_part(epoch, "weights"), found)) for epoch, found in self.tail.items()}
        if not self.team.alone:
            return
        for epoch in self.window.entries:
            self.window.entries[epoch] = dict(kept.get(_part(epoch, "gradients"), self.window.entries[epoch]))

    def _whole_window(self) -> dict[int, dict[str, Array]]:
        """Return the window with the samples of every process, in the first one.

        Parts of an epoch are written once, and so only the last epoch's have to be brought together.
        """
        found = dict(self.window.entries)
        last = len(self.history) - 1
        if not self.team.alone and last in found:
            samples = self.signals[last]["kept"].shape[1]
            whole = {name: self.team.collect(part, samples) for name, part in found[last].items()}
            found[last] = {name: part for name, part in whole.items() if part is not None}
        return found

    def restore(self, kept: Unfinished, picker: Picker, objective: Objective) -> None:
        """Take up a state that was kept."""
        fill(self.networks, kept.tensors("networks"))
        self._load_momenta(kept.tensors("optimizers"))
        objective.restore(kept.tensors("objective"))
        self.best = kept.tensors("best")
        self.best_epoch = kept.facts["best_epoch"]
        self.history = list(kept.facts["history"])
        for name in sorted(kept.parts):
            if name.endswith("-signals"):
                self.signals.append(dict(kept.parts[name]))
            elif name.endswith("-gradients"):
                self.window.entries[int(name.split("-")[1])] = self._own(kept.parts[name])
            elif name.endswith("-weights"):
                self.tail[int(name.split("-")[1])] = dict(kept.parts[name])
        picker.restore(kept.facts["picker"], kept.tensors("picker"), self.window)

    def _own(self, whole: Mapping[str, Array]) -> dict[str, Array]:
        """Return this process's samples of an epoch's gradients."""
        if self.team.alone:
            return dict(whole)
        return {name: array[self.team.share(array.shape[0])] for name, array in whole.items()}

    def finite(self) -> bool:
        """Say whether every weight is a number."""
        return all(bool(torch.isfinite(p).all()) for network in self.networks for p in network.parameters())

    def _momenta(self) -> dict[str, Tensor]:
        found = {}
        for number, optimizer in enumerate(self.optimizers):
            for index, parameter in enumerate(optimizer.param_groups[0]["params"]):
                buffer = optimizer.state[parameter].get("momentum_buffer")
                if buffer is not None:
                    found[f"{number}.{index}"] = buffer.cpu()
        return found

    def _load_momenta(self, kept: dict[str, Tensor]) -> None:
        for name, buffer in kept.items():
            number, index = map(int, name.split("."))
            parameter = self.optimizers[number].param_groups[0]["params"][index]
            self.optimizers[number].state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(buffer)


def tensors_of(networks: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Return the networks' tensors, on the CPU, named `network1.<parameter>` and so on."""
    return {
        f"network{number}.{name}": tensor.detach().cpu()
        for number, network in enumerate(networks, 1)
        for name, tensor in network.state_dict().items()
    }


def fill(networks: Sequence[nn.Module], tensors: dict[str, Tensor]) -> None:
    """Fill the networks with tensors so named."""
    for number, network in enumerate(networks, 1):
        prefix = f"network{number}."
        network.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})


def _part(epoch: int, kind: str) -> str:
    return f"epoch-{epoch:05d}-{kind}"
