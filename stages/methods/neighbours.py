"""Nearest neighbours among embeddings, by cosine similarity, exact and in blocks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

_BLOCK = 1 << 25
"""Similarities held at a time."""
_MOST = 50_000
"""Samples that neighbours are looked for among; of more, so many are drawn."""


def nearest(queries: Tensor, among: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the cosine similarities and places of the `count` nearest rows of `among`, nearest first.

    Args:
        queries: (N, H).
        among: (M, H), M at least `count`.
        count: k.

    Returns:
        (N, k) similarities, and (N, k) places.
    """
    target = normalize(among.float(), dim=1).T.contiguous()
    parts = [
        (normalize(block.float(), dim=1) @ target).topk(count, dim=1)
        for block in torch.split(queries, max(1, _BLOCK // max(1, len(among))))
    ]
    return torch.cat([values for values, _ in parts]), torch.cat([places for _, places in parts])


def neighbour_disagreement(
    embeddings: Tensor, label: NDArray[np.int64], count: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return the share of each sample's `count` nearest neighbours that bear another label, (N,) from 0 to 1.

    Args:
        embeddings: (N, H).
        label: (N,) given classes.
        count: k; fewer where there are fewer samples. A sample is not its own neighbour.
        generator: draws 50,000 samples to look among where there are more.
    """
    total = len(label)
    count = min(count, total - 1)
    if count < 1:
        return np.zeros(total)
    drawn = np.sort(generator.permutation(total)[:_MOST]) if total > _MOST else np.arange(total)
    _, places = nearest(embeddings, embeddings[torch.from_numpy(drawn)], count + 1)
    found = drawn[places.numpy()]  # (N, k + 1) samples, mostly with the sample itself
    own = found == np.arange(total)[:, None]
    own[~own.any(axis=1), -1] = True  # it was not met (not drawn, or a duplicate stands for it): leave the farthest out
    others = label[found[~own].reshape(total, count)]
    return np.asarray((others != label[:, None]).mean(axis=1))
