"""Losses that withstand wrong labels, each by sample, in nats.

None of them picks samples: they learn from all, and bend the loss so that wrong labels pull less.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Return -log p_y, (B,), of logits (B, K) and classes (B,)."""
    return functional.cross_entropy(logits, label, reduction="none")


def symmetric_cross_entropy(logits: Tensor, label: Tensor, alpha: float, beta: float, log_zero: float = -4.0) -> Tensor:
    """Return alpha * CE + beta * RCE (Wang et al. 2019, eq. 7).

    The reverse cross-entropy -sum_k p_k log q_k, with q the one-hot label and log 0 taken as A, is -A (1 - p_y).

    Args:
        logits: (B, K).
        label: (B,) given classes.
        alpha: weight of cross-entropy; in the paper 0.1 for CIFAR-10, 6 for CIFAR-100.
        beta: weight of reverse cross-entropy; in the paper 1 for CIFAR-10, 0.1 for CIFAR-100.
        log_zero: A, below 0.
    """
    reverse = -log_zero * (1 - _p_given(logits, label))
    return alpha * cross_entropy(logits, label) + beta * reverse


def generalised_cross_entropy(logits: Tensor, label: Tensor, q: float) -> Tensor:
    """Return (1 - p_y^q) / q (Zhang and Sabuncu 2018, eq. 6).

    Args:
        logits: (B, K).
        label: (B,) given classes.
        q: above 0, to cross-entropy, up to 1, the mean absolute error; 0.7 in the paper.
    """
    return (1 - (q * functional.log_softmax(logits, dim=1).gather(1, label[:, None]).flatten()).exp()) / q


def early_learning_regularisation(posterior: Tensor, target: Tensor) -> Tensor:
    """Return log(1 - <p, t>), (B,), to be weighed and added to cross-entropy (Liu et al. 2020, eq. 6).

    Its gradient holds a network to what it said early on, before it took in the wrong labels.

    Args:
        posterior: (B, K), of the network as it is.
        target: (B, K), from `running_target`.
    """
    return torch.log((1 - (posterior * target).sum(dim=1)).clamp_min(1e-4))


def running_target(target: Tensor, posterior: Tensor, momentum: float) -> Tensor:
    """Return beta * t + (1 - beta) * p, (B, K) (Liu et al. 2020, eq. 9); no gradient flows through it.

    The posterior is held to [1e-4, 1 - 1e-4] and to a sum of 1 first, as the authors do.
    """
    held = posterior.detach().clamp(1e-4, 1 - 1e-4)
    return momentum * target + (1 - momentum) * held / held.sum(dim=1, keepdim=True)


def _p_given(logits: Tensor, label: Tensor) -> Tensor:
    return logits.softmax(dim=1).gather(1, label[:, None]).flatten()


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return -sum_k q_k log p_k, (B,), of logits (B, K) and target distributions q (B, K)."""
    return -(target * logits.log_softmax(dim=1)).sum(dim=1)
