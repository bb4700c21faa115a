"""What can be done about classes of unequal size: weights by class, logit adjustment, and sampling by class."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

ClassWeights = Literal["none", "balanced", "effective-number"]
Sampling = Literal["natural", "square-root", "balanced"]

_BETA = 0.999


def class_weights(label: Tensor, classes: int, scheme: ClassWeights) -> Tensor | None:
    """Return a weight for each class, (K,), 1 on average over the samples; None for `none`.

    Args:
        label: (N,) given classes.
        classes: K.
        scheme: `balanced` is one over the class's count; `effective-number` is (1 - beta) / (1 - beta^n) with beta
            0.999 (Cui et al. 2019, eq. 2), which weighs large classes more evenly.
    """
    if scheme == "none":
        return None
    counts = _counts(label, classes)
    weights = 1 / counts if scheme == "balanced" else (1 - _BETA) / (1 - _BETA**counts)
    return (weights / weights[label].mean()).float()


def log_prior(label: Tensor, classes: int) -> Tensor:
    """Return log of each class's share of the labels, (K,); a class without a sample counts as having one.

    Added to the logits while learning (times tau), it leaves logits that hold all classes equally likely beforehand
    (Menon et al. 2021, eq. 10).
    """
    return (_counts(label, classes) / max(len(label), 1)).log().float()


def sampling_weights(label: Tensor, classes: int, scheme: Sampling) -> Tensor | None:
    """Return how likely each sample is drawn, (N,), up to a factor; None for `natural`, each once a pass.

    Args:
        label: (N,) given classes.
        classes: K.
        scheme: `balanced` draws each class as often as any other; `square-root` in proportion to the root of its count
            (Kang et al. 2020, eq. 1 with q 0 and 1/2).
    """
    if scheme == "natural":
        return None
    counts = _counts(label, classes)[label]
    return 1 / (counts if scheme == "balanced" else counts.sqrt())


def _counts(label: Tensor, classes: int) -> Tensor:
    return torch.bincount(label, minlength=classes).clamp_min(1).double()
