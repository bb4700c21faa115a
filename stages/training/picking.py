"""Which samples of a batch a network learns from: a picker for each method, all of one shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from stages.methods import coteaching
from stages.methods.variance_of_gradients import residuals
from stages.training.noise_watch import NoiseWatch
from stages.training.signals import EpochSignals, GradientWindow
from stages.training.team import Team

Gradients = Literal["training-pass", "clean-pass", "none"]


class Picker(Protocol):
    """Picks within batches, and may learn from each epoch how to."""

    forget_rate: float
    """Share of each batch left out in the epoch that was begun last."""
    observes: Gradients
    """Where it sees gradients from: each training batch as it comes, a clean pass at the epoch's end, or nowhere."""
    learns_from_all: bool
    """Whether the network learns from what was not picked, too."""

    @property
    def noise_rate_estimate(self) -> float | None:
        """The overall share of wrong labels; None where it is not estimated (yet)."""

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

    @property
    def truth(self) -> Tensor | None:
        """Posterior of the true class of each sample, (N, K); None where it is not estimated (yet)."""

    def facts(self) -> dict[str, Any]:
        """Return what must be kept for a run that goes on later."""

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that must be kept, too."""

    def restore(self, facts: dict[str, Any], tensors: Mapping[str, Tensor], window: GradientWindow, /) -> None:
        """Take up what was kept."""


class PickAll:
    """Plain cross-entropy: every sample, under its label as it is."""

    noise_rate_estimate: float | None = None
    truth: Tensor | None = None
    forget_rate: float = 0.0
    observes: Gradients = "none"
    learns_from_all = False

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

    def tensors(self) -> dict[str, Tensor]:
        """Keep nothing."""
        return {}

    def restore(self, facts: dict[str, Any], tensors: Mapping[str, Tensor], window: GradientWindow) -> None:
        """Take up nothing."""


@dataclass(frozen=True)
class SmallLossOptions:
    """Options of the small-loss picker.

    Attributes:
        noise_rate: the forget rate aimed at; None for the noise's rate as it is estimated.
        num_gradual: epochs over which it rises.
        exponent: c of the paper.
        mix_ratio: share of the picks made by variance of gradients; 0 for co-teaching alone.
        all_classes: gradients of all classes' rows, not of the given class's alone.
        window: precision in which the features of the last epochs are kept.
        look_after: epochs after which network 1's features show the noise: soon, before labels are learnt by heart.
        gradients: from the augmented training pass itself, or from a clean pass at each epoch's end.
    """

    noise_rate: float | None
    num_gradual: int
    exponent: float
    mix_ratio: float
    all_classes: bool
    look_after: int
    gradients: Literal["training-pass", "clean-pass"] = "training-pass"
    window: torch.dtype = torch.float16


class PickSmallLoss:
    """Co-teaching, and its mix with variance of gradients.

    The noise is estimated from a frozen backbone's features before the first epoch, or from network 1's own after the
    first epochs, when a sample has hardly been seen; where no rate is given, its rate is the forget rate.
    """

    learns_from_all = False

    def __init__(self, options: SmallLossOptions, watch: NoiseWatch) -> None:
        """Take the options, and what makes the estimate."""
        self.options = options
        self.watch = watch
        self._team = Team.current()
        self.forget_rate = 0.0
        self.observes: Gradients = "none"
        self._epoch = 0
        self._window = GradientWindow()
        self._variance: dict[int, Tensor] = {}
        self._gradients: dict[str, Tensor] = {}

    @property
    def noise_rate_estimate(self) -> float | None:
        """The overall rate; None before it is estimated."""
        return self.watch.rate

    @property
    def truth(self) -> Tensor | None:
        """As it is estimated."""
        return self.watch.truth

    def begin(self, epoch: int) -> None:
        """Set R(e), and take the variance of gradients of the epochs before."""
        self._epoch = epoch
        if self.watch.known.features is not None:
            self.watch.estimate()
        mixes, looks = self.options.mix_ratio > 0, self._looks_at_features
        self.observes = self.options.gradients if mixes or looks else "none"
        given = self.options.noise_rate
        rate = given if given is not None else (self.noise_rate_estimate or 0.0)
        self.forget_rate = coteaching.forget_rate(epoch, rate, self.options.num_gradual, self.options.exponent)
        self._gradients, self._variance = {}, {}
        if self.options.mix_ratio > 0:
            samples = len(self.watch.known.given)
            found = {network: self._window.variance(network) for network in range(2)}
            known = {network: variance for network, variance in found.items() if variance is not None}
            self._variance = {network: self._team.gather(own, samples) for network, own in known.items()}

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
        """Keep the batch's gradients, factored: which is K times less than the gradients; each process its samples'."""
        if network == 0 and self._looks_at_features:
            self.watch.take(places, penultimate)
        if not self.options.mix_ratio:
            return
        residual = residuals(posterior, labels, self.options.all_classes)
        largest = torch.finfo(self.options.window).max
        features = penultimate.clamp(-largest, largest).to(self.options.window)
        own = self._team.share(samples)
        mine = (places >= own.start) & (places < own.stop)
        for name, values in ((f"features{network}", features), (f"residual{network}", residual)):
            if name not in self._gradients:
                self._gradients[name] = torch.zeros(own.stop - own.start, values.shape[1], dtype=values.dtype)
            self._gradients[name][places[mine] - own.start] = values[mine]

    def end(self, epoch: int, signals: EpochSignals, labels: Tensor, window: GradientWindow) -> None:
        """Take the epoch's gradients into the window, and estimate the noise once the features are good enough."""
        for network, variance in self._variance.items():
            signals.variance[network] = variance
        if self._gradients:
            window.add(epoch, self._gradients)
            self._window = window
        if self._looks_at_features:
            self.watch.estimate()

    def facts(self) -> dict[str, Any]:
        """Keep the estimate's summary."""
        return {"noise": self.watch.summary}

    def tensors(self) -> dict[str, Tensor]:
        """Keep the posterior of the true classes."""
        return self.watch.tensors()

    def restore(self, facts: dict[str, Any], tensors: Mapping[str, Tensor], window: GradientWindow) -> None:
        """Take up the estimate and the window."""
        self.watch.restore(facts["noise"], tensors)
        self._window = window

    @property
    def _looks_at_features(self) -> bool:
        return self.watch.waits_for_features and self._epoch >= self.options.look_after - 1
