"""Variance of gradients in closed form (Khanal et al. 2024, section 2.2; after Agarwal et al. 2022).

With h the penultimate features and p the softmax, the gradient of a sample's own loss with respect to the last
layer's bias and weight row of class k is (p_k - [k = y]) * [1, h]. So the features and residuals of the last epochs
are all that is needed: no autograd by sample, no second pass, no file of gradients. With dropout before the last layer,
h is taken before it, and the gradient is that of the layer without the dropout.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stages.report import Array

EPOCHS = 5
"""Over how many epochs the deviation is taken."""
_IN_CACHE = 512
"""Samples whose gradients are computed at a time."""


def residuals(posterior: Tensor, label: Tensor, all_classes: bool) -> Tensor:
    """Return p - onehot(y): of the given class alone, (B, 1), or of all classes, (B, K).

    Args:
        posterior: (B, K) softmax.
        label: (B,) given classes.
        all_classes: whether to keep all classes' rows.
    """
    rest = posterior - torch.nn.functional.one_hot(label, posterior.shape[1])
    return rest if all_classes else rest.gather(1, label[:, None])


def variance_of_gradients(features: Sequence[Array], residual: Sequence[Array], block: int = 8192) -> Tensor:
    """Return the mean over gradient components of their standard deviation over epochs.

    Args:
        features: of each of E epochs, (N, D) penultimate features, in any precision; may lie on disk.
        residual: of each epoch, (N, C) residuals; C is 1 (given class) or K (all classes).
        block: samples read at a time, to bound memory.

    Returns:
        (N,) population standard deviation over the E epochs, averaged over the C * (D + 1) components.
    """
    parts = []
    for start in range(0, features[0].shape[0], block):
        rows = slice(start, min(start + block, features[0].shape[0]))
        h = torch.stack([epoch[rows].float() for epoch in features])  # (E, b, D)
        r = torch.stack([epoch[rows].float() for epoch in residual])  # (E, b, C)
        pairs = zip(torch.split(h, _IN_CACHE, dim=1), torch.split(r, _IN_CACHE, dim=1), strict=True)
        parts += [_mean_deviation(some, rest) for some, rest in pairs]
    return torch.cat(parts)


def _mean_deviation(features: Tensor, residual: Tensor) -> Tensor:
    """Return (b,) of features (E, b, D) and residuals (E, b, C); in two passes, far faster than `Tensor.std`."""
    total = torch.zeros(features.shape[1])
    for column in residual.unbind(dim=2):  # (E, b)
        gradient = column[:, :, None] * features
        gradient -= gradient.mean(dim=0)
        total += gradient.square_().mean(dim=0).sqrt_().sum(dim=1) + column.std(dim=0, correction=0)
    return total / (residual.shape[2] * (features.shape[2] + 1))
