"""Features in which a linear head can fit what a network's features hold: whitened directions, and a kernel on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics import pairwise_distances

Floats = NDArray[np.float64]

_DIRECTIONS = 128
_LANDMARKS = 600
_WIDTH = 256
_FOR_THE_MEDIAN = 800


@dataclass(frozen=True)
class FeatureSpace:
    """A map learnt from features, without labels.

    A Gaussian kernel, as wide as the median distance of samples by default, by landmarks (Williams and Seeger 2001),
    between two reductions to principal components.
    """

    _centre: Floats
    _scale: Floats
    _directions: PCA
    _spread: float
    _kernel: Nystroem
    _mean: Floats
    _components: PCA
    _width: float

    @classmethod
    def of(cls, features: Floats, generator: np.random.Generator, width: float = 1.0) -> FeatureSpace:
        """Learn the map from features (N, D), N at least 2; the kernel's variance is `width` times the median's."""
        count = len(features)
        centre, scale = features.mean(axis=0), features.std(axis=0)
        standard = (features - centre) / np.where(scale > 0, scale, 1)
        seed = int(generator.integers(2**31))
        directions = _components(standard, _DIRECTIONS)
        reduced = directions.fit_transform(standard)
        spread = float(reduced.std()) or 1.0
        reduced = reduced / spread
        gamma = 1 / (width * _median(reduced, generator))
        kernel = Nystroem(gamma=gamma, n_components=min(_LANDMARKS, count), random_state=seed)
        mapped = kernel.fit_transform(reduced)
        mean = mapped.mean(axis=0)
        components = _components(mapped, _WIDTH)
        final = components.fit_transform(mapped - mean)
        return cls(centre, scale, directions, spread, kernel, mean, components, float(final.std()) or 1.0)

    def map(self, features: Floats) -> Floats:
        """Return (N, F) of features (N, D)."""
        standard = (features - self._centre) / np.where(self._scale > 0, self._scale, 1)
        reduced = self._directions.transform(standard) / self._spread
        return np.asarray(self._components.transform(self._kernel.transform(reduced) - self._mean) / self._width)


def _components(values: Floats, most: int) -> PCA:
    """Return the principal components, the first so many at most, not fitted yet; exact, either way."""
    count, width = values.shape
    return PCA(min(most, count - 1, width), svd_solver="covariance_eigh" if count > width else "full")


def _median(reduced: Floats, generator: np.random.Generator) -> float:
    """Return the median squared distance of samples, never 0."""
    some = reduced[np.sort(generator.permutation(len(reduced))[:_FOR_THE_MEDIAN])]
    distances = pairwise_distances(some)[np.triu_indices(len(some), 1)]
    return float(np.median(distances) ** 2) or 1.0
