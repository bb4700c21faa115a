"""The share of wrong labels, estimated from losses alone: a two-component mixture within each given class.

Small-loss mixtures are from Arazo et al. 2019 and Li et al. 2020 (DivideMix); taking them by given class keeps a rare
class, whose losses are all large, from being counted as noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

_FEWEST = 10  # samples of a class under which its mixture says nothing


def noise_rate_by_class(
    loss: NDArray[np.float64], label: NDArray[np.int64], classes: int, seed: int
) -> NDArray[np.float64]:
    """Return the estimated share of wrong labels among the samples given each class.

    Args:
        loss: (N,) cross-entropy of the given label, in nats.
        label: (N,) given classes.
        classes: K.
        seed: of the mixtures' start.

    Returns:
        (K,) shares; a class of fewer than ten samples takes the rate of all.
    """
    rates = np.full(classes, np.nan)
    for index in range(classes):
        members = loss[label == index]
        if len(members) >= _FEWEST:
            rates[index] = _share_of_large(members, seed)
    sizes = np.bincount(label, minlength=classes)
    known = np.isfinite(rates)
    overall = float(np.average(rates[known], weights=sizes[known])) if known.any() else 0.0
    return np.where(known, rates, overall)


def noise_rate(loss: NDArray[np.float64], label: NDArray[np.int64], classes: int, seed: int) -> float:
    """Return the estimated share of wrong labels over all samples, the mean of `noise_rate_by_class` by class size."""
    sizes = np.bincount(label, minlength=classes)
    return float(np.average(noise_rate_by_class(loss, label, classes, seed), weights=sizes))


def _share_of_large(loss: NDArray[np.float64], seed: int) -> float:
    """Return the weight of the component of larger losses; 0 where losses do not differ."""
    spread = float(loss.max() - loss.min())
    if spread < 1e-6:
        return 0.0
    scaled = ((loss - loss.min()) / spread)[:, None]
    mixture = GaussianMixture(2, reg_covar=5e-4, max_iter=100, tol=1e-3, random_state=seed).fit(scaled)
    larger = int(np.argmax(mixture.means_.ravel()))
    return float(mixture.weights_[larger])
