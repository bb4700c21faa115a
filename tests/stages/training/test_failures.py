"""Too little memory is told with the batch size that fits; a training that diverged keeps its last good weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from schemas.errors import UsageError
from stages.report import NoStore, SilentReport
from stages.training.failures import batch_size_that_fits, is_out_of_memory
from stages.training.fit import fit
from stages.training.inputs import FeatureInputs
from stages.training.learning import Examples, Rule
from stages.training.plan import FitPlan

CPU = torch.device("cpu")


class Hungry(nn.Module):
    """Runs out of memory on more than `most` samples at once."""

    def __init__(self, most: int, error: BaseException) -> None:
        super().__init__()
        self.most, self.error = most, error
        self.last = nn.Linear(4, 2)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        if len(features) > self.most:
            raise self.error
        return features, self.last(features)


def train(network: nn.Module, batch_size: int) -> None:
    rows, labels = torch.arange(64), torch.arange(64) % 2
    examples = Examples(FeatureInputs(torch.randn(64, 4), CPU), rows, labels, rows[:0], labels[:0], 2)
    plan = FitPlan(1, batch_size, 0.1, 0.9, 0.0, 0, "float32", CPU)
    fit([network], examples, Rule.plain(), plan, SilentReport(), NoStore())


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: not enough memory: you tried to allocate 9"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS)
def test_too_little_memory_says_which_batch_size_fits(error: BaseException) -> None:
    with pytest.raises(UsageError) as caught:
        train(Hungry(20, error), 64)
    assert str(caught.value) == "--batch-size: the memory does not suffice for 64; --batch-size 16 fits"
    train(Hungry(20, error), 16)


def test_where_no_batch_size_fits_other_ways_are_told() -> None:
    with pytest.raises(
        UsageError, match=r"nor for any other; use smaller images .*, a smaller --backbone, or --train head"
    ):
        train(Hungry(1, torch.OutOfMemoryError("CUDA out of memory")), 64)


def test_another_failure_is_not_taken_for_too_little_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        train(Hungry(8, RuntimeError("shapes do not fit")), 64)
    assert not is_out_of_memory(ValueError("out of cheese"))


def test_all_networks_must_fit_at_once() -> None:
    networks: list[Any] = [Hungry(most, MemoryError()) for most in (40, 9)]
    assert batch_size_that_fits(networks, torch.zeros(1, 4), 64, CPU, "float32") == 8
