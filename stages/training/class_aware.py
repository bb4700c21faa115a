"""The class-aware method: estimate the noise, then learn what stands behind the labels, and judge class by class.

No noise rate is told. Once features are there (at once with a frozen backbone; else after a warm-up by cross-entropy on
the labels as they are) the transition matrix is estimated (`stages.methods.noise_estimate`). From then on the network
learns every sample's posterior of the true class, by features and given label, of heads that have not learnt from the
sample: no wrong label is learnt by heart, and no sample is thrown away. Logits are adjusted by the class shares that
the estimate holds for true (Menon et al. 2021), not by those of the noisy labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.methods import losses
from stages.methods.clean_floor import judge
from stages.training.noise_watch import NoiseWatch
from stages.training.picking import Gradients
from stages.training.signals import EpochSignals, GradientWindow
from stages.training.team import Team

_SMALLEST = 1e-3  # share under which a class's prior is not taken to fall


@dataclass(frozen=True)
class ClassAwareOptions:
    """Options of the method.

    Attributes:
        warm_up: epochs of cross-entropy before the estimate; unused where features are given.
        floor: share of those expected to be right that each class keeps, at least.
        balance: tau of the adjustment by the estimated class shares.
    """

    warm_up: int
    floor: float
    balance: float


class ClassAware:
    """Which labels count as right: by the estimate, and a floor for each class."""

    learns_from_all = True

    def __init__(self, options: ClassAwareOptions, watch: NoiseWatch) -> None:
        """Take the options, and what makes the estimate."""
        self.options = options
        self.watch = watch
        self.forget_rate = 0.0
        self.observes: Gradients = "none"
        self._clean: Tensor | None = None

    @property
    def noise_rate_estimate(self) -> float | None:
        """The overall rate; None before it is estimated."""
        return self.watch.rate

    @property
    def truth(self) -> Tensor | None:
        """As it is estimated."""
        return self.watch.truth

    @property
    def judged(self) -> tuple[NDArray[np.bool_], NDArray[np.float64]] | None:
        """(N,) which labels count as right, and (N,) the chance of each; None before the estimate."""
        if self._clean is None or self.truth is None:
            return None
        return self._clean.numpy(), self._probability_right(self.truth)

    def begin(self, epoch: int) -> None:
        """Estimate the noise where the features are given; else look at them at the warm-up's end."""
        if self.watch.known.features is not None:
            self._estimate()
        last_of_warm_up = self.watch.waits_for_features and epoch >= self.options.warm_up - 1
        self.observes = "clean-pass" if last_of_warm_up else "none"

    def pick(self, network: int, places: Tensor, loss: Tensor) -> Tensor:
        """Return the places in the batch whose label counts as right; all of them in the warm-up."""
        if self._clean is None:
            return torch.arange(len(places))
        return torch.nonzero(self._clean[places]).flatten()

    def observe(
        self, network: int, places: Tensor, penultimate: Tensor, posterior: Tensor, labels: Tensor, samples: int
    ) -> None:
        """Keep the features of a batch."""
        self.watch.take(places, penultimate)

    def end(self, epoch: int, signals: EpochSignals, labels: Tensor, window: GradientWindow) -> None:
        """Estimate the noise at the warm-up's end."""
        if self.observes == "clean-pass":
            self._estimate()

    def facts(self) -> dict[str, Any]:
        """Keep the estimate's summary."""
        return {"noise": self.watch.summary}

    def tensors(self) -> dict[str, Tensor]:
        """Keep the posterior of the true classes."""
        return self.watch.tensors()

    def restore(self, facts: dict[str, Any], tensors: Mapping[str, Tensor], window: GradientWindow) -> None:
        """Take up the estimate."""
        self.watch.restore(facts["noise"], tensors)
        self._judge()

    def _estimate(self) -> None:
        self.watch.estimate()
        self._judge()

    def _judge(self) -> None:
        if self._clean is None and self.truth is not None:
            right = self._probability_right(self.truth)
            self._clean = torch.from_numpy(judge(right, self.watch.known.now, self.options.floor))

    def _probability_right(self, truth: Tensor) -> NDArray[np.float64]:
        label = torch.from_numpy(self.watch.known.now)[:, None]
        return np.asarray(truth.gather(1, label).flatten().double().numpy())


class TruthLoss:
    """Cross-entropy by the posterior of the true class, logits adjusted by the estimated class shares."""

    def __init__(self, watch: NoiseWatch, balance: float) -> None:
        """Take what makes the estimate, and tau of the adjustment."""
        self._watch = watch
        self._balance = balance
        self._log_prior: Tensor | None = None

    def losses(self, network: int, places: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the losses, (B,); by the given label before the estimate."""
        truth = self._watch.truth
        if truth is None:
            return losses.cross_entropy(logits, labels)
        if self._log_prior is None:
            shares = truth.double().mean(dim=0)
            self._log_prior = shares.clamp_min(_SMALLEST).log().float().to(logits.device)
        adjusted = logits + self._balance * self._log_prior
        return losses.soft_cross_entropy(adjusted, truth[places].to(logits.device))

    def share(self, places: Tensor, team: Team) -> None:
        """Share nothing."""

    def tensors(self) -> dict[str, Tensor]:
        """Keep nothing: the estimate is the picker's."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up nothing."""


def class_aware(options: ClassAwareOptions, watch: NoiseWatch) -> tuple[ClassAware, TruthLoss]:
    """Return the method's picker and its objective, which go by the same estimate."""
    return ClassAware(options, watch), TruthLoss(watch, options.balance)
