"""Which samples of a batch a network learns from: a picker for each method, all of one shape."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from stages.methods import coteaching
from stages.methods.noise_rate import noise_rate
from stages.methods.variance_of_gradients import residuals
from stages.training.signals import EpochSignals, GradientWindow

_EARLY = 3
"""Epochs whose losses the noise rate is estimated from."""


Gradients = Literal["training-pass", "clean-pass", "none"]


class Picker(Protocol):
    """Picks within batches, and may learn from each epoch how to."""

    noise_rate_estimate: float | None
    forget_rate: float
    """Share of each batch left out in the epoch that was begun last."""
    observes: Gradients
    """Where it sees gradients from: each training batch as it comes, a clean pass at the epoch's end, or nowhere."""

    def begin(self, epoch: int) -> None:
        """Make ready for an epoch."""

    def pick(self, network: int, places: Tensor, loss: Tensor) -> Tensor:
        """Return the places within the batch that `network` picks, given the batch's losses (B,)."""

    def observe(
        self, network: int, places: Tensor, penultimate: Tensor, posterior: Tensor, labels: Tensor, samples: int
    ) -> None:
        """See what the network made of a batch."""

    def end(self, epoch: int, signals: EpochSignals, labels: Tensor, window: GradientWindow) -> None:
        """Learn from a finished epoch."""

    def facts(self) -> dict[str, Any]:
        """Return what must be kept for a run that goes on later."""

    def restore(self, facts: dict[str, Any], window: GradientWindow) -> None:
        """Take up what was kept."""


class PickAll:
    """Plain cross-entropy: every sample, under its label as it is."""

    noise_rate_estimate: float | None = None
    forget_rate: float = 0.0
    observes: Gradients = "none"

    def begin(self, epoch: int) -> None:
        """Nothing to make ready."""

    def pick(self, network: int, places: Tensor, loss: Tensor) -> Tensor:
        """Return all places."""
        return torch.arange(len(places))

    def observe(
        self, network: int, places: Tensor, penultimate: Tensor, posterior: Tensor, labels: Tensor, samples: int
    ) -> None:
        """See nothing."""

    def end(self, epoch: int, signals: EpochSignals, labels: Tensor, window: GradientWindow) -> None:
        """Learn nothing."""

    def facts(self) -> dict[str, Any]:
        """Keep nothing."""
        return {}

    def restore(self, facts: dict[str, Any], window: GradientWindow) -> None:
        """Take up nothing."""


@dataclass(frozen=True)
class SmallLossOptions:
    """Options of the small-loss picker.

    Attributes:
        noise_rate: the forget rate aimed at; None to estimate it from the losses.
        num_gradual: epochs over which it rises.
        exponent: c of the paper.
        mix_ratio: share of the picks made by variance of gradients; 0 for co-teaching alone.
        all_classes: gradients of all classes' rows, not of the given class's alone.
        window: precision in which the features of the last epochs are kept.
        gradients: from the augmented training pass itself, or from a clean pass at each epoch's end.
        classes: K.
        seed: of the mixtures.
    """

    noise_rate: float | None
    num_gradual: int
    exponent: float
    mix_ratio: float
    all_classes: bool
    classes: int
    seed: int
    gradients: Literal["training-pass", "clean-pass"] = "training-pass"
    window: torch.dtype = torch.float16


class PickSmallLoss:
    """Co-teaching, and its mix with variance of gradients.

    Where no noise rate is given it is the median of the mixtures' estimates over the first epochs, when a sample has
    hardly been seen; later, memorised labels lower the estimate.
    """

    def __init__(self, options: SmallLossOptions) -> None:
        self.options = options
        self.noise_rate_estimate: float | None = None
        self.forget_rate = 0.0
        self.observes: Gradients = options.gradients if options.mix_ratio > 0 else "none"
        self._estimates: list[float] = []
        self._epoch = 0
        self._window = GradientWindow()
        self._variance: dict[int, Tensor] = {}
        self._gradients: dict[str, Tensor] = {}

    def begin(self, epoch: int) -> None:
        """Set R(e), and take the variance of gradients of the epochs before."""
        self._epoch = epoch
        given = self.options.noise_rate
        rate = given if given is not None else (self.noise_rate_estimate or 0.0)
        self.forget_rate = coteaching.forget_rate(epoch, rate, self.options.num_gradual, self.options.exponent)
        self._gradients, self._variance = {}, {}
        if self.options.mix_ratio > 0:
            found = {network: self._window.variance(network) for network in range(2)}
            self._variance = {network: variance for network, variance in found.items() if variance is not None}

    def pick(self, network: int, places: Tensor, loss: Tensor) -> Tensor:
        """Return the picks by small loss, mixed with small variance of gradients past the warm-up."""
        count = coteaching.how_many(self.forget_rate, len(places))
        if self._epoch > self.options.num_gradual and network in self._variance:
            variance = self._variance[network][places]
            return coteaching.small_loss_and_variance(loss, variance, count, self.options.mix_ratio)
        return coteaching.small_loss(loss, count)

    def observe(
        self, network: int, places: Tensor, penultimate: Tensor, posterior: Tensor, labels: Tensor, samples: int
    ) -> None:
        """Keep the batch's gradients, factored: which is K times less than the gradients."""
        residual = residuals(posterior, labels, self.options.all_classes)
        largest = torch.finfo(self.options.window).max
        features = penultimate.clamp(-largest, largest).to(self.options.window)
        for name, values in ((f"features{network}", features), (f"residual{network}", residual)):
            if name not in self._gradients:
                self._gradients[name] = torch.zeros(samples, values.shape[1], dtype=values.dtype)
            self._gradients[name][places] = values

    def end(self, epoch: int, signals: EpochSignals, labels: Tensor, window: GradientWindow) -> None:
        """Estimate the noise rate where none is given, and take the epoch's gradients into the window."""
        for network, variance in self._variance.items():
            signals.variance[network] = variance
        if self._gradients:
            window.add(epoch, self._gradients)
            self._window = window
        if self.options.noise_rate is None and epoch < _EARLY:
            loss = signals.loss.mean(dim=0).numpy().astype(np.float64)
            self._estimates.append(noise_rate(loss, labels.numpy(), self.options.classes, self.options.seed))
            self.noise_rate_estimate = median(self._estimates)

    def facts(self) -> dict[str, Any]:
        """Keep the estimates."""
        return {"estimates": self._estimates, "noise_rate": self.noise_rate_estimate}

    def restore(self, facts: dict[str, Any], window: GradientWindow) -> None:
        """Take up the estimates and the window."""
        self._estimates = list(facts["estimates"])
        self.noise_rate_estimate = facts["noise_rate"]
        self._window = window
