"""Strategies that look at the batch as a whole: each pick depends on those before it."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor
from torch.nn.functional import normalize

from stages.methods.acquisition import Bools, Candidates, Chooser, Floats, Pick, Ranked

_BLOCK = 1 << 25
"""Distances held at a time."""
_MOST_CLUSTERS = 500
_NEIGHBOURS = 20
"""Most clusters, and neighbours that typicality goes by (Hacohen et al. 2022, section 3)."""
_FEW_CLUSTERS = 50
"""Clusters up to which all samples take part in every step of k-means."""


class Diverse:
    """Picks by worth and by how unlike the others picked a candidate is (Carbonell and Goldstein 1998)."""

    def __init__(self, worth: Floats, embeddings: Tensor, weight: float, shortlist: int) -> None:
        """Take worth (N,), embeddings (N, H), the weight of diversity from 0 to 1, and how many are looked at."""
        self._ranked = Ranked(worth)
        self._worth = worth
        self._short = np.argsort(-worth, kind="stable")[:shortlist]
        self._rank = 1 - np.arange(len(self._short)) / len(self._short)
        self._all = embeddings
        self._embeddings = normalize(embeddings[torch.from_numpy(self._short)].float(), dim=1)
        self._likeness = np.zeros(len(self._short))  # cosine similarity to the nearest pick; 0 for unlike, or none yet
        self._weight = weight

    def next(self, allowed: Bools) -> Pick | None:
        """Take the best of the shortlist; what is beyond it goes by worth alone."""
        free = allowed[self._short]
        if not free.any():
            return self._ranked.next(allowed)
        value = (1 - self._weight) * self._rank - self._weight * self._likeness
        place = int(self._short[np.argmax(np.where(free, value, -np.inf))])
        return place, float(self._worth[place])

    def took(self, place: int) -> None:
        """Lower what is like it."""
        similar = self._embeddings @ normalize(self._all[place].float(), dim=0)
        self._likeness = np.maximum(self._likeness, similar.numpy())

    def again(self) -> None:
        """Begin at the top, beyond the shortlist."""
        self._ranked.again()


class KCenter:
    """Greedy k-center, the core-set approach (Sener and Savarese 2018): next is what lies farthest from its centre."""

    def __init__(self, embeddings: Tensor, trusted: Tensor) -> None:
        """Take embeddings (N, H), and those of the trusted set (M, H), which may be empty."""
        origin = embeddings[:1].float()  # taken off, so that distances far from zero keep their digits
        self._embeddings = embeddings.float() - origin
        self._norms = self._embeddings.square().sum(dim=1)
        self._distance = np.full(len(embeddings), np.inf)  # squared
        if len(trusted):
            self._distance = _squared_distance_to_nearest(self._embeddings, trusted.float() - origin)

    def next(self, allowed: Bools) -> Pick | None:
        """Return the farthest; where nothing is trusted yet, the one nearest to the mean."""
        if not allowed.any():
            return None
        if np.isinf(self._distance).all():
            offset = (self._embeddings - self._embeddings[torch.from_numpy(allowed)].mean(dim=0)).square().sum(dim=1)
            return int(np.argmin(np.where(allowed, offset.numpy(), np.inf))), 0.0
        place = int(np.argmax(np.where(allowed, self._distance, -1.0)))
        return place, float(np.sqrt(self._distance[place]))

    def took(self, place: int) -> None:
        """Let the pick be a centre."""
        inner = self._embeddings @ self._embeddings[place]
        found = (self._norms + self._norms[place] - 2 * inner).clamp_min(0).double().numpy()
        self._distance = np.minimum(self._distance, found)
        self._distance[place] = 0.0

    def again(self) -> None:
        """Do nothing: all that is allowed is looked at each time."""


def _squared_distance_to_nearest(embeddings: Tensor, centres: Tensor) -> Floats:
    """Return the squared distance of each row (N, H) to the nearest of the centres (M, H), (N,)."""
    norms = centres.square().sum(dim=1)
    found = [
        (block.square().sum(dim=1) + (norms - 2 * block @ centres.T).amin(dim=1)).clamp_min(0)
        for block in torch.split(embeddings, max(1, _BLOCK // len(centres)))
    ]
    return np.asarray(torch.cat(found).double().numpy())


class Badge:
    """BADGE (Ash et al. 2020): k-means++ seeding on each one's gradient of the last layer, under its predicted label.

    The gradient is the outer product of residual and penultimate features, and is never written out: the inner product
    of two is the product of their inner products.
    """

    def __init__(self, embeddings: Tensor, posterior: NDArray[np.float64], generator: np.random.Generator) -> None:
        """Take embeddings (N, H) and posteriors (N, K)."""
        residual = posterior.copy()
        residual[np.arange(len(posterior)), posterior.argmax(axis=1)] -= 1
        self._features = embeddings.float()
        self._residual = torch.from_numpy(residual).float()
        self._norms = self._features.square().sum(dim=1) * self._residual.square().sum(dim=1)
        self._distance: Floats | None = None  # squared
        self._generator = generator

    def next(self, allowed: Bools) -> Pick | None:
        """Draw by squared distance to the picks; the first is the largest gradient."""
        if not allowed.any():
            return None
        if self._distance is None:
            norms = self._norms.numpy()
            place = int(np.argmax(np.where(allowed, norms, -1.0)))
            return place, float(np.sqrt(norms[place]))
        weight = np.where(allowed, self._distance, 0.0).cumsum()
        drawn = self._generator.random() * weight[-1]
        place = int(np.searchsorted(weight, drawn, side="right")) if weight[-1] > 0 else int(np.argmax(allowed))
        place = min(place, int(np.flatnonzero(allowed)[-1]))  # rounding may carry the draw past the end
        return place, float(np.sqrt(self._distance[place]))

    def took(self, place: int) -> None:
        """Let the pick be a centre."""
        inner = (self._features @ self._features[place]) * (self._residual @ self._residual[place])
        found = (self._norms + self._norms[place] - 2 * inner).clamp_min(0).double().numpy()
        self._distance = found if self._distance is None else np.minimum(self._distance, found)
        self._distance[place] = 0.0

    def again(self) -> None:
        """Do nothing: all that is allowed is looked at each time."""


def typiclust(embeddings: Tensor, labelled: Tensor, budget: int, seed: int) -> Floats:
    """Return worth (N,) by which typical samples of clusters without labels come first (Hacohen et al. 2022).

    Clusters with fewest labels come first, of those the largest; each gives its most typical sample before any gives
    its second.

    Args:
        embeddings: (N, H) of the candidates.
        labelled: (L, H) of what an expert has labelled already.
        budget: how many are to be picked: together with L, how many clusters are made, at most 500.
        seed: of k-means.
    """
    points = normalize(torch.cat([embeddings, labelled]).float(), dim=1)
    total = len(embeddings)
    count = min(budget + len(labelled), _MOST_CLUSTERS, len(points))
    kind = KMeans if count <= _FEW_CLUSTERS else MiniBatchKMeans
    more = {} if kind is KMeans else {"batch_size": 4096}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # copies make fewer clusters, which is well
        cluster = kind(count, n_init=1, random_state=seed, **more).fit_predict(points.numpy())
    own, sizes = cluster[:total], np.bincount(cluster[:total], minlength=count)
    labels = np.bincount(cluster[total:], minlength=count)
    place = np.empty(count)
    place[np.lexsort((np.arange(count), -sizes, labels))] = np.arange(count)
    turn = np.empty(total)
    for number in range(count):
        members = np.flatnonzero(own == number)
        turn[members[np.argsort(-typicality(points[torch.from_numpy(members)]), kind="stable")]] = np.arange(
            len(members)
        )
    return np.asarray(-(turn * count + place[own]))


def typicality(points: Tensor) -> Floats:
    """Return one over the mean distance of each row (N, H) to its 20 nearest others, (N,)."""
    count = min(_NEIGHBOURS, len(points) - 1)
    if count < 1:
        return np.ones(len(points))
    norms = points.square().sum(dim=1)
    parts = []
    for block in torch.split(torch.arange(len(points)), max(1, _BLOCK // len(points))):
        squared = (norms[block, None] + norms - 2 * points[block] @ points.T).clamp_min(0)
        squared[torch.arange(len(block)), block] = torch.inf  # not its own neighbour
        parts.append(squared.topk(count, dim=1, largest=False).values.sqrt().mean(dim=1))
    return np.asarray(1 / torch.cat(parts).clamp_min(1e-12).double().numpy())


def batch_chooser(strategy: str, candidates: Candidates, budget: int, generator: np.random.Generator) -> Chooser:
    """Return the chooser of a strategy that looks at the batch as a whole.

    Args:
        strategy: coreset, badge or typiclust.
        candidates: with embeddings; with posteriors for badge.
        budget: about how many are to be picked.
        generator: of draws.
    """
    embeddings = candidates.embeddings
    assert embeddings is not None
    nothing = embeddings[:0]
    if strategy == "coreset":
        return KCenter(embeddings, nothing if candidates.trusted is None else candidates.trusted)
    if strategy == "badge":
        assert candidates.posterior is not None
        return Badge(embeddings, candidates.posterior, generator)
    labelled = nothing if candidates.labelled is None else candidates.labelled
    return Ranked(typiclust(embeddings, labelled, budget, int(generator.integers(2**31))))
