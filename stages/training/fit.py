"""The one training loop: every method is a way to pick, within each batch, the samples each network learns from.

An epoch is a function of the state before it and of (seed, epoch) alone, so that a run that goes on from a saved state
gives the same bytes as one that was never interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from schemas.errors import DataError
from stages.methods import metrics
from stages.report import Report, Store, Unfinished
from stages.training.device import Precision, autocast
from stages.training.inputs import Inputs
from stages.training.options import TrainingOptions
from stages.training.picking import Picker
from stages.training.predict import predict
from stages.training.randomness import island, torch_generator
from stages.training.signals import EpochSignals, GradientWindow

Row = dict[str, Any]


@dataclass(frozen=True)
class FitPlan:
    """How long and how fast to learn."""

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    seed: int
    precision: Precision
    device: torch.device
    keep_best: bool = False

    @classmethod
    def of(cls, options: TrainingOptions, device: torch.device, keep_best: bool = False) -> FitPlan:
        """Take the plan from a stage's options."""
        names = ("epochs", "batch_size", "learning_rate", "momentum", "weight_decay", "seed", "precision")
        return cls(**{name: getattr(options, name) for name in names}, device=device, keep_best=keep_best)


@dataclass(frozen=True)
class Examples:
    """The samples learnt from, and those that epochs are judged by.

    Attributes:
        inputs: gives batches by row of the data set.
        rows: (N,) rows to learn from.
        labels: (N,) their given classes.
        val_rows: (V,) rows of the validation split; may be empty.
        val_labels: (V,) their labels.
        classes: K.
    """

    inputs: Inputs
    rows: Tensor
    labels: Tensor
    val_rows: Tensor
    val_labels: Tensor
    classes: int


@dataclass(frozen=True)
class Fitted:
    """What training leaves, beside the networks themselves, which are trained in place.

    Attributes:
        history: a row an epoch.
        signals: what was seen of each sample, by epoch.
        best_epoch: the epoch whose weights the networks hold now.
    """

    history: list[Row]
    signals: list[EpochSignals]
    best_epoch: int


@dataclass
class _State:
    """All that an epoch needs of those before it."""

    networks: Sequence[nn.Module]
    optimizers: list[torch.optim.SGD]
    window: GradientWindow
    history: list[Row] = field(default_factory=list)
    signals: list[EpochSignals] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = -1

    def saved(self, picker: Picker) -> Unfinished:
        parts: dict[str, dict[str, Tensor]] = {"networks": _tensors(self.networks), "optimizers": self._momenta()}
        if self.best:
            parts["best"] = self.best
        for epoch, signals in enumerate(self.signals):
            parts[f"epoch-{epoch:05d}-signals"] = signals.tensors()
        for epoch, gradients in self.window.entries.items():
            parts[f"epoch-{epoch:05d}-gradients"] = gradients
        facts = {"history": self.history, "best_epoch": self.best_epoch, "picker": picker.facts()}
        return Unfinished(len(self.history), facts, parts)

    def restore(self, kept: Unfinished, picker: Picker) -> None:
        _load(self.networks, kept.parts["networks"])
        self._load_momenta(kept.parts["optimizers"])
        self.best = dict(kept.parts.get("best", {}))
        self.best_epoch = kept.facts["best_epoch"]
        self.history = list(kept.facts["history"])
        for name in sorted(kept.parts):
            if name.endswith("-signals"):
                self.signals.append(EpochSignals(**kept.parts[name]))
            elif name.endswith("-gradients"):
                self.window.entries[int(name.split("-")[1])] = dict(kept.parts[name])
        picker.restore(kept.facts["picker"], self.window, len(self.history))

    def _momenta(self) -> dict[str, Tensor]:
        found = {}
        for number, optimizer in enumerate(self.optimizers):
            for index, parameter in enumerate(optimizer.param_groups[0]["params"]):
                buffer = optimizer.state[parameter].get("momentum_buffer")
                if buffer is not None:
                    found[f"{number}.{index}"] = buffer.cpu()
        return found

    def _load_momenta(self, kept: Any) -> None:
        for name, buffer in kept.items():
            number, index = map(int, name.split("."))
            parameter = self.optimizers[number].param_groups[0]["params"][index]
            self.optimizers[number].state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(buffer)


def fit(
    networks: Sequence[nn.Module], examples: Examples, picker: Picker, plan: FitPlan, report: Report, store: Store
) -> Fitted:
    """Train networks in place, from where a killed run with the same options stopped.

    Raises:
        DataError: the loss is no longer a number.
    """
    optimizers = [
        torch.optim.SGD(n.parameters(), plan.learning_rate, momentum=plan.momentum, weight_decay=plan.weight_decay)
        for n in networks
    ]
    state = _State([network.to(plan.device) for network in networks], optimizers, GradientWindow())
    kept = store.load()
    if kept is not None:
        state.restore(kept, picker)
    for epoch in range(len(state.history), plan.epochs):
        with island(plan.seed, "epoch", epoch):
            row = _epoch(epoch, state, examples, picker, plan, report)
        row |= _validate(state.networks, examples, plan)
        state.history.append(row)
        _remember_best(state, epoch, plan)
        store.save(state.saved(picker))
        report.progress(epoch + 1, plan.epochs, _told(row), "epochs")
    if plan.keep_best and state.best:
        _load(state.networks, state.best)
    return Fitted(state.history, state.signals, state.best_epoch if plan.keep_best else plan.epochs - 1)


def learning_rate(epoch: int, plan: FitPlan) -> float:
    """Return the cosine-annealed rate of an epoch; the period is the run's epochs."""
    return plan.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / plan.epochs))


def batches(count: int, size: int, generator: torch.Generator) -> list[Tensor]:
    """Return a permutation of 0..count-1 in batches of nearly equal size, at most `size`; no small one is left over."""
    order = torch.randperm(count, generator=generator)
    return list(order.tensor_split(math.ceil(count / size)))


def _epoch(epoch: int, state: _State, examples: Examples, picker: Picker, plan: FitPlan, report: Report) -> Row:
    generator = torch_generator(plan.seed, "batches", epoch)
    rate = learning_rate(epoch, plan)
    signals = EpochSignals.empty(len(state.networks), len(examples.rows))
    picker.begin(epoch)
    for network, optimizer in zip(state.networks, state.optimizers, strict=True):
        network.train()
        optimizer.param_groups[0]["lr"] = rate
    total, learnt = 0.0, 0
    parts = batches(len(examples.rows), plan.batch_size, generator)
    for number, places in enumerate(parts):
        loss, count = _step(places, state, examples, picker, plan, signals, generator)
        total, learnt = total + loss, learnt + count
        if not math.isfinite(total):
            raise DataError(
                f"the loss became {loss} in epoch {epoch + 1}; a smaller --learning-rate helps "
                f"(it is {plan.learning_rate:g}); the last finished epoch is kept, and a changed run begins anew"
            )
        if number % 8 == 7:
            report.progress(epoch, plan.epochs, f"epoch {epoch + 1}, loss {total / learnt:.3f}", "epochs")
    picker.end(epoch, signals, examples.labels, state.window)
    state.signals.append(signals)
    return {
        "epoch": epoch,
        "learning_rate": rate,
        "forget_rate": picker.forget_rate,
        "noise_rate_estimate": picker.noise_rate_estimate,
        "train_loss": total / learnt,
        "kept_share": float(signals.kept[0].float().mean()),
        "kept_share_by_class": _kept_by_class(signals.kept[0], examples),
    }


def _step(
    places: Tensor,
    state: _State,
    examples: Examples,
    picker: Picker,
    plan: FitPlan,
    signals: EpochSignals,
    generator: torch.Generator,
) -> tuple[float, int]:
    """Learn from one batch: each network from the samples that its peer picked (its own picks if it is alone)."""
    x = examples.inputs.batch(examples.rows[places], generator)
    labels = examples.labels[places].to(plan.device)
    losses, picks = [], []
    for index, network in enumerate(state.networks):
        with autocast(plan.device, plan.precision):
            penultimate, logits = network(x)
        logits = logits.float()
        loss = cross_entropy(logits, labels, reduction="none")  # (B,)
        losses.append(loss)
        picks.append(picker.pick(index, places, loss.detach().cpu()))
        posterior = signals.record(
            index, places, logits.detach().cpu(), loss.detach().cpu(), picks[index], labels.cpu()
        )
        picker.observe(index, places, penultimate.detach().float().cpu(), posterior, labels.cpu(), len(examples.rows))
    total, learnt = 0.0, 0
    for index, optimizer in enumerate(state.optimizers):
        chosen = picks[len(picks) - 1 - index]
        mean = losses[index][chosen.to(plan.device)].mean()
        optimizer.zero_grad(set_to_none=True)
        mean.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total, learnt = total + float(mean.detach()) * len(chosen), learnt + len(chosen)
    return total, learnt


def _kept_by_class(kept: Tensor, examples: Examples) -> list[float | None]:
    sizes = torch.bincount(examples.labels, minlength=examples.classes)
    found = torch.bincount(examples.labels[kept], minlength=examples.classes)
    return [int(n) / int(size) if size else None for n, size in zip(found, sizes, strict=True)]


def _validate(networks: Sequence[nn.Module], examples: Examples, plan: FitPlan) -> Row:
    names = {"val_loss": "log_loss", "val_accuracy": "accuracy"}
    names |= {"val_balanced_accuracy": "balanced_accuracy", "val_macro_f1": "macro_f1"}
    if not len(examples.val_rows):
        return dict.fromkeys(names)
    predicted = predict(networks, examples.inputs, examples.val_rows, plan.device, plan.precision)
    found = metrics.overall(examples.val_labels.numpy(), predicted.posterior.numpy().astype(np.float64))
    return {name: found[metric] for name, metric in names.items()}


def _remember_best(state: _State, epoch: int, plan: FitPlan) -> None:
    """Keep the weights of the best epoch by validation macro-F1; of equals, the earlier."""
    if not plan.keep_best:
        return
    before = state.history[state.best_epoch]["val_macro_f1"] if state.best_epoch >= 0 else None
    now = state.history[epoch]["val_macro_f1"]
    if before is None or now is None or now > before:
        state.best = {name: tensor.clone() for name, tensor in _tensors(state.networks).items()}
        state.best_epoch = epoch


def _tensors(networks: Sequence[nn.Module]) -> dict[str, Tensor]:
    return {
        f"network{number}.{name}": tensor.detach().cpu()
        for number, network in enumerate(networks, 1)
        for name, tensor in network.state_dict().items()
    }


def _load(networks: Sequence[nn.Module], tensors: Any) -> None:
    for number, network in enumerate(networks, 1):
        prefix = f"network{number}."
        network.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})


def _told(row: Row) -> str:
    score = "" if row["val_macro_f1"] is None else f", val macro-F1 {row['val_macro_f1']:.3f}"
    return f"epoch {row['epoch'] + 1}, loss {row['train_loss']:.3f}{score}"
