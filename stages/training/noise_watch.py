"""Estimates the labels' noise once in a training, as soon as there are features to go by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from schemas.errors import NothingToDoError
from stages.methods.noise_estimate import NoiseEstimate, Rate, estimate_noise
from stages.methods.transition_model import UNKNOWN
from stages.training.inputs import FeatureRows
from stages.training.team import Team


@dataclass(frozen=True)
class LabelEvidence:
    """What is known of the training samples' labels.

    Attributes:
        given: (N,) classes as first given; `UNKNOWN` where only an expert's label is left.
        true: (N,) classes that an expert told; else `UNKNOWN`.
        group: (N,) unit of each sample.
        features: (N, D) of a frozen backbone; None where a network must learn some first.
    """

    given: NDArray[np.int64]
    true: NDArray[np.int64]
    group: NDArray[np.int64]
    features: Tensor | FeatureRows | None

    @property
    def now(self) -> NDArray[np.int64]:
        """The labels as they stand, (N,)."""
        return np.where(self.true == UNKNOWN, self.given, self.true)

    def at(self, places: NDArray[np.int64]) -> LabelEvidence:
        """Return what is known of the samples at some places among the N."""
        found = self.features
        if isinstance(found, FeatureRows):
            found = FeatureRows(found.whole, found.rows[places])
        elif found is not None:
            found = found[places]
        return LabelEvidence(self.given[places], self.true[places], self.group[places], found)


class NoiseWatch:
    """Takes features from a network, or has them from the first, and makes the estimate: one process for all of a team.

    Attributes:
        known: what is known of the labels.
        summary: the estimate, as `summary` gives it; None before it is made, empty where it cannot be.
        truth: (N, K) posterior of the true class by features and label; None where there is none.
    """

    def __init__(self, known: LabelEvidence, classes: int, seed: int, team: Team | None = None) -> None:
        """Take what is known of the labels, K, the estimate's seed, and the team (by default the one joined)."""
        self.known = known
        self.summary: dict[str, Any] | None = None
        self.truth: Tensor | None = None
        self._classes = classes
        self._seed = seed
        self._team = team or Team.current()
        self._seen = known.features is not None
        self._features: Tensor | None = None

    @property
    def waits_for_features(self) -> bool:
        """Whether a network must show its features yet."""
        return self.summary is None and self.known.features is None

    @property
    def rate(self) -> float | None:
        """The overall rate, None before it is estimated, or where it cannot be."""
        return None if not self.summary else float(self.summary["rate"]["value"])

    def take(self, places: Tensor, penultimate: Tensor) -> None:
        """Take the features of a batch, (B, H)."""
        self._seen = True
        if not self._team.is_first:
            return
        if self._features is None:
            self._features = torch.zeros(len(self.known.given), penultimate.shape[1])
        self._features[places] = penultimate.float()

    def estimate(self) -> None:
        """Make the estimate, where there are features and it is not made yet; of one class alone there is none."""
        if self.summary is not None or not self._seen:
            return
        self.summary, self.truth = self._team.of_first(self._estimated)
        self._features = None

    def _estimated(self) -> tuple[dict[str, Any], Tensor | None]:
        known = self.known
        features = known.features if known.features is not None else self._features
        assert features is not None
        if isinstance(features, Tensor) and features.dtype == torch.bfloat16:  # of which numpy knows nothing
            features = features.float()
        try:
            found = estimate_noise(features, known.given, known.true, known.group, self._classes, self._seed)
        except NothingToDoError:
            return {}, None
        return summary(found), torch.from_numpy(found.truth).float()

    def tensors(self) -> dict[str, Tensor]:
        """Return what must be kept beside the summary."""
        return {} if self.truth is None else {"truth": self.truth}

    def restore(self, summary: dict[str, Any] | None, tensors: Mapping[str, Tensor]) -> None:
        """Take up an estimate that was made before."""
        self.summary, self.truth = summary, tensors.get("truth")


def summary(found: NoiseEstimate) -> dict[str, Any]:
    """Return what is told and kept of an estimate, as plain numbers."""

    def plain(rate: Rate | None) -> dict[str, float] | None:
        return None if rate is None else asdict(rate)

    return {
        "rate": plain(found.rate),
        "by_true_class": [plain(rate) for rate in found.by_true_class],
        "by_given_class": [plain(rate) for rate in found.by_given_class],
        "transition": found.transition.tolist(),
        "structure": found.structure,
        "used": found.used,
        "told": found.told,
    }
