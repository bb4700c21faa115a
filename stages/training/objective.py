"""What each network's step lowers: a loss by sample, for every method of one shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from stages.methods import losses
from stages.methods.class_imbalance import ClassWeights, class_weights, log_prior
from stages.training.team import Team

Loss = Callable[[Tensor, Tensor], Tensor]
"""Takes logits (B, K) and classes (B,), gives losses (B,)."""


class Objective(Protocol):
    """Gives the losses to learn from, and may remember samples from epoch to epoch."""

    def losses(self, network: int, places: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (B,) losses of logits (B, K) under classes (B,); `places` (B,) are the samples' places."""

    def share(self, places: Tensor, team: Team, /) -> None:
        """Let every process of the team have what the batch of these samples left to remember."""

    def tensors(self) -> dict[str, Tensor]:
        """Return what must be kept for a run that goes on later."""

    def restore(self, tensors: Mapping[str, Tensor], /) -> None:
        """Take up what was kept."""


class Memoryless:
    """A loss of logits and labels alone."""

    def __init__(self, loss: Loss = losses.cross_entropy) -> None:
        self._loss = loss

    def losses(self, network: int, places: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each sample."""
        return self._loss(logits, labels)

    def share(self, places: Tensor, team: Team) -> None:
        """Share nothing."""

    def tensors(self) -> dict[str, Tensor]:
        """Keep nothing."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up nothing."""


class EarlyLearning:
    """Cross-entropy with early-learning regularisation; the targets are one network's running posteriors."""

    def __init__(self, samples: int, classes: int, strength: float, momentum: float) -> None:
        self._targets = torch.zeros(samples, classes)
        self._strength = strength
        self._momentum = momentum

    def losses(self, network: int, places: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the regularised loss of each sample, and move its target on."""
        posterior = logits.softmax(dim=1)
        before = self._targets[places].to(logits.device)
        target = losses.running_target(before, posterior, self._momentum)
        self._targets[places] = target.cpu()
        regulariser = losses.early_learning_regularisation(posterior, target)
        return losses.cross_entropy(logits, labels) + self._strength * regulariser

    def share(self, places: Tensor, team: Team) -> None:
        """Share the targets that moved."""
        if not team.alone:
            own = places[team.share(len(places))]
            self._targets[places] = team.gather(self._targets[own], len(places))

    def tensors(self) -> dict[str, Tensor]:
        """Keep the targets."""
        return {"targets": self._targets}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up the targets."""
        self._targets = tensors["targets"].clone()


class Balance:
    """Evens out the classes in the loss: logits adjusted by the prior, losses weighed by class."""

    def __init__(self, labels: Tensor, classes: int, weights: ClassWeights, tau: float, device: torch.device) -> None:
        """Take the given classes (N,) of all samples learnt from."""
        found = class_weights(labels, classes, weights)
        self._weights = None if found is None else found.to(device)
        self._offset = tau * log_prior(labels, classes).to(device) if tau else None

    def adjusted(self, logits: Tensor) -> Tensor:
        """Return the logits that learn, (B, K)."""
        return logits if self._offset is None else logits + self._offset

    def mean(self, losses: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss, weighed by class, of a batch."""
        if self._weights is None:
            return losses.mean()
        weights = self._weights[labels]
        return (weights * losses).sum() / weights.sum()

    def part_of_mean(self, losses: Tensor, labels: Tensor, everyone: Tensor) -> Tensor:
        """Return what some of a batch add to its mean; `everyone` are the classes of all of it."""
        if self._weights is None:
            return losses.sum() / len(everyone)
        return (self._weights[labels] * losses).sum() / self._weights[everyone].sum()
