"""How long, how fast and in which batches networks learn."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from schemas.errors import UsageError
from stages.methods.class_imbalance import ClassWeights, Sampling
from stages.training.device import Precision
from stages.training.options import TrainingOptions
from stages.training.team import Team


@dataclass(frozen=True)
class FitPlan:
    """How long and how fast to learn."""

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    seed: int
    precision: Precision
    device: torch.device
    class_weights: ClassWeights = "none"
    logit_adjustment: float = 0.0
    sampling: Sampling = "natural"
    compile: bool = False
    keep_best: bool = False
    keep_epochs: int = 0
    team: Team = field(default_factory=Team.current)

    @classmethod
    def of(cls, options: TrainingOptions, device: torch.device, keep_best: bool = False) -> FitPlan:
        """Take the plan from a stage's options."""
        names = (
            "epochs",
            "batch_size",
            "learning_rate",
            "momentum",
            "weight_decay",
            "seed",
            "precision",
            "keep_epochs",
        )
        more = ("class_weights", "logit_adjustment", "compile")
        found = {name: getattr(options, name) for name in names + more}
        return cls(**found, device=device, sampling=getattr(options, "sampling", "natural"), keep_best=keep_best)


def learning_rate(epoch: int, plan: FitPlan) -> float:
    """Return the cosine-annealed rate of an epoch; the period is the run's epochs."""
    return plan.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / plan.epochs))


def batches(count: int, size: int, generator: torch.Generator, weights: Tensor | None = None) -> list[Tensor]:
    """Return places 0..count-1 in batches of nearly equal size, at most `size`; no small one is left over.

    A permutation of them; with `weights`, (count,), so many draws with replacement, each place as likely as its weight.
    """
    if weights is None:
        order = torch.randperm(count, generator=generator)
    else:
        order = torch.multinomial(weights, count, replacement=True, generator=generator)
    return list(order.tensor_split(math.ceil(count / size)))


def check_shares(samples: int, plan: FitPlan) -> None:
    """Refuse batches of which a process would have no sample."""
    smallest = samples // math.ceil(samples / plan.batch_size)
    if smallest < plan.team.size:
        raise UsageError(
            f"--batch-size: batches of {smallest} cannot be shared by {plan.team.size} processes; start fewer of them"
        )
