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
    """Picker and objective in one: both go by the same estimate."""

    learns_from_all = True

    def __init__(self, options: ClassAwareOptions, watch: NoiseWatch) -> None:
        """Take the options, and what makes the estimate."""
        self.options = options
        self.watch = watch
        self.forget_rate = 0.0
        self.observes: Gradients = "none"
        self._truth = torch.zeros(0)
        self._clean = torch.zeros(0, dtype=torch.bool)
        self._log_prior = torch.zeros(0)

    @property
    def noise_rate_estimate(self) -> float | None:
        """The overall rate; None before it is estimated."""
        return self.watch.rate

    @property
    def judged(self) -> tuple[NDArray[np.bool_], NDArray[np.float64]] | None:
        """(N,) which labels count as right, and (N,) the chance of each; None before the estimate."""
        if not len(self._truth):
            return None
        return self._clean.numpy(), self._probability_right()

    def begin(self, epoch: int) -> None:
        """Estimate the noise where the features are given; else look at them at the warm-up's end."""
        if self.watch.known.features is not None:
            self._estimate()
        last_of_warm_up = self.watch.waits_for_features and epoch >= self.options.warm_up - 1
        self.observes = "clean-pass" if last_of_warm_up else "none"

    def pick(self, network: int, places: Tensor, loss: Tensor) -> Tensor:
        """Return the places in the batch whose label counts as right; all of them in the warm-up."""
        if not len(self._clean):
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

    def losses(self, network: int, places: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy by the posterior of the true class, (B,); by the given label in the warm-up."""
        if not len(self._truth):
            return losses.cross_entropy(logits, labels)
        adjusted = logits + self.options.balance * self._log_prior.to(logits.device)
        return losses.soft_cross_entropy(adjusted, self._truth[places].to(logits.device))

    def tensors(self) -> dict[str, Tensor]:
        """Keep the estimate of each sample."""
        if not len(self._truth):
            return {}
        return {"truth": self._truth, "clean": self._clean, "log_prior": self._log_prior}

    def facts(self) -> dict[str, Any]:
        """Keep the estimate's summary."""
        return {"noise": self.watch.summary}

    def restore(self, kept: Mapping[str, Any], window: GradientWindow | None = None) -> None:
        """Take up what was kept: as an objective the tensors, as a picker the facts."""
        if "noise" in kept:
            self.watch.summary = kept["noise"]
        elif kept:
            self._truth, self._clean, self._log_prior = (kept[name] for name in ("truth", "clean", "log_prior"))

    def _estimate(self) -> None:
        self.watch.estimate()
        found = self.watch.found
        if found is None or len(self._truth):
            return
        self._truth = torch.from_numpy(found.truth).float()
        self._log_prior = torch.from_numpy(np.log(np.maximum(found.shares, _SMALLEST))).float()
        self._clean = torch.from_numpy(judge(self._probability_right(), self.watch.known.now, self.options.floor))

    def _probability_right(self) -> NDArray[np.float64]:
        label = torch.from_numpy(self.watch.known.now)[:, None]
        return np.asarray(self._truth.gather(1, label).flatten().double().numpy())
