"""What is judged: the references of N samples, and what a network, or another program, says of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_SMALLEST = float(np.finfo(np.float64).eps)  # as scikit-learn's log_loss cuts probabilities off


@dataclass(frozen=True)
class Predictions:
    """Predictions and references.

    Attributes:
        label: (N,) references, class indices.
        posterior: (N, K), rows sum to 1; None where only the classes said are known.
        said: (N,) class indices; None for those of the largest posterior.
        classes: K; needed where there is no posterior.
    """

    label: Ints
    posterior: Floats | None
    said: Ints | None = None
    classes: int = 0

    @cached_property
    def predicted(self) -> Ints:
        """(N,) the class said of each."""
        if self.said is not None:
            return self.said
        assert self.posterior is not None
        return np.asarray(self.posterior.argmax(axis=1), dtype=np.int64)

    @property
    def count(self) -> int:
        """K."""
        return self.classes if self.posterior is None else self.posterior.shape[1]

    def at(self, places: NDArray[np.int64]) -> Predictions:
        """Return those of some samples."""
        posterior = None if self.posterior is None else self.posterior[places]
        said = None if self.said is None else self.said[places]
        return Predictions(self.label[places], posterior, said, self.classes)

    def rank_of_label(self) -> Ints:
        """Return how many classes are said to be likelier than the reference, (N,); of equals the later one is."""
        assert self.posterior is not None
        own = np.take_along_axis(self.posterior, self.label[:, None], axis=1)
        found = np.zeros(len(self.label), dtype=np.int64)
        for index in range(self.count):
            other = self.posterior[:, index]
            found += (other > own[:, 0]) | ((other == own[:, 0]) & (index > self.label))
        return found

    def log_loss(self) -> Floats:
        """Return the negative log-likelihood of each reference, (N,), in nats."""
        assert self.posterior is not None
        own = np.take_along_axis(self.posterior, self.label[:, None], axis=1)[:, 0]
        return np.asarray(-np.log(np.clip(own, _SMALLEST, 1)))

    def brier_score(self) -> Floats:
        """Return the squared distance of each posterior from its reference, (N,), from 0 to 2 (Brier 1950)."""
        assert self.posterior is not None
        own = np.take_along_axis(self.posterior, self.label[:, None], axis=1)[:, 0]
        return np.asarray(np.einsum("nk,nk->n", self.posterior, self.posterior) - 2 * own + 1)
