"""How far a posterior bears a given label out. All take (N, K) posteriors whose rows sum to 1, and (N,) class indices.

Honest only where the posterior is out of sample: a network that has learnt a wrong label tells it back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stages.methods.uncertainty import entropy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_LEAST = 1e-12  # posterior below which logarithms and quotients are cut off


def self_confidence(posterior: Floats, label: Ints) -> Floats:
    """Return the posterior of the given label (Northcutt et al. 2021), (N,) from 0 to 1; small is suspicious."""
    return np.asarray(posterior[np.arange(len(label)), label])


def normalised_margin(posterior: Floats, label: Ints) -> Floats:
    """Return half of 1 plus the given label's lead over the largest other posterior, (N,) from 0 to 1.

    Northcutt et al. 2021; Kuan and Mueller 2022. Small is suspicious.
    """
    others = posterior.copy()
    others[np.arange(len(label)), label] = -np.inf
    return np.asarray((self_confidence(posterior, label) - others.max(axis=1) + 1) / 2)


def cross_entropy_less_entropy(posterior: Floats, label: Ints) -> Floats:
    """Return the given label's cross-entropy less the posterior's entropy, in nats, (N,); large is suspicious.

    Bernhardt et al. 2022 (active label cleaning): wrong labels come first, and of those the unambiguous images.
    """
    return np.asarray(-np.log(np.maximum(self_confidence(posterior, label), _LEAST)) - entropy(posterior))


def confidence_weighted_entropy(posterior: Floats, label: Ints) -> Floats:
    """Return the entropy, as a share of its most, over the posterior of the given label, (N,); large is suspicious.

    Kuan and Mueller 2022. It says least where the posterior is sure, also where it is sure of another class.
    """
    share = entropy(posterior) / np.log(posterior.shape[1])
    return np.asarray(share / np.maximum(self_confidence(posterior, label), _LEAST))
