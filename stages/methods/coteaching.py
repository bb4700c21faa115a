"""Co-teaching and its mix with variance of gradients: which samples of a batch are learnt from.

Han et al. 2018 (co-teaching), Khanal et al. 2024, section 2.1 (mix with variance of gradients).
"""

from __future__ import annotations

import torch
from torch import Tensor


def forget_rate(epoch: int, noise_rate: float, num_gradual: int, exponent: float) -> float:
    """Return the share of a batch to leave out, R(e).

    `num_gradual` values from 0 to `noise_rate ** exponent`, evenly spaced, then `noise_rate`.

    Args:
        epoch: counted from 0.
        noise_rate: between 0 and 1.
        num_gradual: epochs over which the rate rises.
        exponent: the c of the paper.
    """
    if epoch >= num_gradual:
        return noise_rate
    if num_gradual == 1:
        return 0.0
    return float(noise_rate**exponent) * epoch / (num_gradual - 1)


def how_many(forget: float, batch: int) -> int:
    """Return n = int((1 - R(e)) * B), at least 1 so that a small batch still teaches."""
    return max(1, int((1 - forget) * batch + 1e-9))


def small_loss(loss: Tensor, count: int) -> Tensor:
    """Return the places of the `count` smallest losses of a batch, (count,), smallest first; ties by place."""
    return torch.argsort(loss, stable=True)[:count]


def small_loss_and_variance(loss: Tensor, variance: Tensor, count: int, mix_ratio: float) -> Tensor:
    """Return picks by small loss, then by small variance of gradients among the rest.

    int(count * (1 - m)) come by loss and int(count * m) by variance, so that fewer than `count` may be picked.

    Args:
        loss: (B,) cross-entropy of the given label.
        variance: (B,) variance of gradients.
        count: n of the batch.
        mix_ratio: m, the share picked by variance, between 0 and 1.

    Returns:
        (n',) places in the batch, those by loss first.
    """
    by_loss = small_loss(loss, int(count * (1 - mix_ratio) + 1e-9))
    left = variance.clone()
    left[by_loss] = torch.inf
    by_variance = torch.argsort(left, stable=True)[: int(count * mix_ratio + 1e-9)]
    picks = torch.cat([by_loss, by_variance])
    return picks if len(picks) else small_loss(loss, 1)
