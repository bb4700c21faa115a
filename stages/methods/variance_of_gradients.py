"""Variance of gradients in closed form (Khanal et al. 2024, section 2.2; after Agarwal et al. 2022).

With h the penultimate features and p the softmax, the gradient of a sample's own loss with respect to the last
layer's bias and weight row of class k is (p_k - [k = y]) * [1, h]. So the features and residuals of the last epochs
are all that is needed: no autograd by sample, no second pass, no file of gradients. With dropout before the last layer,
h is taken before it, and the gradient is that of the layer without the dropout.
"""

from __future__ import annotations

import torch
from torch import Tensor

EPOCHS = 5
"""Over how many epochs the deviation is taken."""


def residuals(posterior: Tensor, label: Tensor, all_classes: bool) -> Tensor:
    """Return p - onehot(y): of the given class alone, (B, 1), or of all classes, (B, K).

    Args:
        posterior: (B, K) softmax.
        label: (B,) given classes.
        all_classes: whether to keep all classes' rows.
    """
    rest = posterior - torch.nn.functional.one_hot(label, posterior.shape[1])
    return rest if all_classes else rest.gather(1, label[:, None])


def variance_of_gradients(features: Tensor, residual: Tensor, block: int = 4096) -> Tensor:
    """Return the mean over gradient components of their standard deviation over epochs.

    Args:
        features: (E, N, D) penultimate features of each epoch.
        residual: (E, N, C) residuals of each epoch; C is 1 (given class) or K (all classes).
        block: samples computed at a time, to bound memory.

    Returns:
        (N,) population standard deviation over the E epochs, averaged over the C * (D + 1) components.
    """
    parts = []
    for start in range(0, features.shape[1], block):
        h = features[:, start : start + block].float()  # (E, b, D)
        r = residual[:, start : start + block].float()  # (E, b, C)
        total = torch.zeros(h.shape[1])
        for column in r.unbind(dim=2):  # (E, b)
            weights = (column[:, :, None] * h).std(dim=0, correction=0).sum(dim=1)  # (b,)
            total += weights + column.std(dim=0, correction=0)
        parts.append(total / (r.shape[2] * (h.shape[2] + 1)))
    return torch.cat(parts)
