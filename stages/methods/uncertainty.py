"""How unsure a posterior is, and what it says of a given label. All take (N, K) posteriors whose rows sum to 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def entropy(posterior: Floats) -> Floats:
    """Return the Shannon entropy of each row, in nats, (N,); 0 log 0 is 0."""
    terms = posterior * np.log(np.where(posterior > 0, posterior, 1))
    return np.asarray(np.maximum(0.0, -terms.sum(axis=1)))


def least_confidence(posterior: Floats) -> Floats:
    """Return 1 less the largest posterior (Lewis and Gale 1994), (N,)."""
    return np.asarray(1 - posterior.max(axis=1))


def margin(posterior: Floats) -> Floats:
    """Return the largest posterior less the second (Scheffer et al. 2001), (N,); small is unsure."""
    top = np.partition(posterior, -2, axis=1)[:, -2:]
    return np.asarray(top[:, 1] - top[:, 0])


def given_loss(posterior: Floats, label: NDArray[np.int64]) -> Floats:
    """Return the cross-entropy of the given labels, in nats, (N,), bounded by a posterior of 1e-12."""
    return np.asarray(-np.log(np.clip(posterior[np.arange(len(label)), label], 1e-12, 1)))


def disagreement(first: Floats, second: Floats) -> Floats:
    """Return the Jensen-Shannon divergence of two posteriors (N, K), in nats, (N,): 0 alike, at most ln 2.

    Lin 1991; as disagreement in a committee: McCallum and Nigam 1998.
    """
    mean = entropy((first + second) / 2)
    return np.asarray(np.maximum(0.0, mean - (entropy(first) + entropy(second)) / 2))


def bald(mean_posterior: Floats, mean_entropy: Floats) -> Floats:
    """Return the mutual information of label and weights, in nats, (N,) (Houlsby et al. 2011; Gal et al. 2017).

    Args:
        mean_posterior: (N, K) mean of the posteriors of several draws of the weights.
        mean_entropy: (N,) mean of their entropies, in nats.
    """
    return np.asarray(np.maximum(0.0, entropy(mean_posterior) - mean_entropy))
