"""What the training pass shows of each sample, kept by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stages.methods.variance_of_gradients import EPOCHS, variance_of_gradients
from stages.report import Array


@dataclass(frozen=True)
class EpochSignals:
    """Signals of one epoch, (M, N) each: M networks, N training samples.

    Attributes:
        loss: cross-entropy of the given label, in nats.
        p_given: posterior of the given label.
        margin: its logit less the largest other.
        kept: whether the network picked the sample.
        variance: of gradients over the epochs before; nan where unknown.
    """

    loss: Tensor
    p_given: Tensor
    margin: Tensor
    kept: Tensor
    variance: Tensor

    @classmethod
    def empty(cls, networks: int, samples: int) -> EpochSignals:
        """Return signals to be filled batch by batch."""
        shape = (networks, samples)
        kept, unknown = torch.zeros(shape, dtype=torch.bool), torch.full(shape, torch.nan)
        return cls(torch.zeros(shape), torch.zeros(shape), torch.zeros(shape), kept, unknown)

    def tensors(self) -> dict[str, Tensor]:
        """Return the signals by name."""
        return dict(vars(self))

    def record(
        self, network: int, places: Tensor, logits: Tensor, loss: Tensor, picks: Tensor, labels: Tensor
    ) -> Tensor:
        """Fill in a batch, and return its posterior (B, K)."""
        posterior = logits.softmax(dim=1)
        given = labels[:, None]
        others = logits.scatter(1, given, -torch.inf).amax(dim=1)
        self.loss[network, places] = loss
        self.p_given[network, places] = posterior.gather(1, given).flatten()
        self.margin[network, places] = logits.gather(1, given).flatten() - others
        self.kept[network, places[picks]] = True
        return posterior


@dataclass
class GradientWindow:
    """The factored gradients of the last epochs.

    Attributes:
        entries: by epoch, `features{j}` (N, D) and `residual{j}` (N, C) of each network j; may lie on disk. Of several
            processes each holds its share of the N samples.
    """

    entries: dict[int, dict[str, Array]] = field(default_factory=dict)

    def add(self, epoch: int, gradients: Mapping[str, Array]) -> None:
        """Take in an epoch, and let go of what is too old."""
        self.entries[epoch] = dict(gradients)
        for old in sorted(self.entries)[:-EPOCHS]:
            del self.entries[old]

    def variance(self, network: int) -> Tensor | None:
        """Return the variance of gradients (N,) of the samples held, or None until enough epochs are seen."""
        if len(self.entries) < EPOCHS:
            return None
        epochs = [self.entries[epoch] for epoch in sorted(self.entries)]
        features, residual = ([entry[f"{name}{network}"] for entry in epochs] for name in ("features", "residual"))
        return variance_of_gradients(features, residual)
