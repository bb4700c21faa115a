"""Several processes that train as one: each takes its share of every batch, and all see what comes of the whole batch.

All go through the same batches in the same order. What is small and decides (logits, losses) is gathered, so that each
process picks by the whole batch as one process would; what is large (gradients of the weights) goes the usual way of
data-parallel training; what is kept of each sample (for the variance of gradients) lies with one process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import signature
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch import distributed as dist

from stages.report import Array

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """This process among those that train together; alone, nothing is sent and nothing is changed.

    Attributes:
        rank: this process, from 0; the first writes.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> Team:
        """Return the team that was joined; one process alone where none was."""
        if not dist.is_available() or not dist.is_initialized():
            return cls()
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    def for_rows(self, count: int) -> Team:
        """Return the team that shares `count` rows: each process is alone with all, where they do not go round."""
        return self if count >= self.size else Team()

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Return which of `count` rows are this process's: runs of nearly equal length, in the order of processes."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def gather(self, part: Tensor, count: int) -> Tensor:
        """Return the `count` rows of which each process holds its share, on the CPU; every process must call it."""
        if self.alone:
            return part.cpu()
        padded, parts = self._padded(part, count)
        dist.all_gather(parts, padded, group=_on_cpu())
        return self._together(parts, count)

    def collect(self, part: Array, count: int) -> Tensor | None:
        """Return the rows as `gather` does, to the first process; to the others None."""
        padded, parts = self._padded(part[0 : part.shape[0]], count)
        dist.gather(padded, parts if self.is_first else None, dst=0, group=_on_cpu())
        return self._together(parts, count) if self.is_first else None

    def of_first(self, make: Callable[[], T]) -> T:
        """Return what the first process makes; the others wait for it."""
        if self.alone:
            return make()
        holder = [make() if self.is_first else None]
        dist.broadcast_object_list(holder, src=0, group=_on_cpu())
        return cast(T, holder[0])

    def all(self, said: bool) -> bool:
        """Return whether it is so in every process."""
        return bool(self.gather(torch.tensor([said]), self.size).all())

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return the network as it is called in training, gradients averaged over processes by `backward`."""
        if self.alone:
            return network
        parameter = next(network.parameters())
        where = None if parameter.device.type == "cpu" else [torch.cuda.current_device()]
        parallel: Any = nn.parallel.DistributedDataParallel
        newer = "forward_sync_buffers" in signature(parallel).parameters  # the older name is deprecated there
        buffers = {"forward_sync_buffers" if newer else "broadcast_buffers": False}
        return cast(nn.Module, parallel(network, device_ids=where, **buffers))

    def _padded(self, part: Tensor, count: int) -> tuple[Tensor, list[Tensor]]:
        """Return the share at the length of the longest, and room for that of each process."""
        padded = torch.zeros(-(-count // self.size), *part.shape[1:], dtype=part.dtype)
        padded[: len(part)] = part.cpu()
        return padded, [torch.empty_like(padded) for _ in range(self.size)]

    def _together(self, parts: Sequence[Tensor], count: int) -> Tensor:
        shares = [Team(rank, self.size).share(count) for rank in range(self.size)]
        return torch.cat([part[: share.stop - share.start] for part, share in zip(parts, shares, strict=True)])


def sum_over_team(part: Tensor) -> Tensor:
    """Return the sum of a tensor, of any shape, over processes; a gradient goes back to every process."""
    return cast(Tensor, _SumOverTeam.apply(part))


class _SumOverTeam(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        """Return the sum, of any shape."""
        total = part.detach().clone()
        dist.all_reduce(total, group=_for_statistics())
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Return the sum of the gradients."""
        total = grads[0].contiguous().clone()
        dist.all_reduce(total, group=_for_statistics())
        return total


@cache
def _on_cpu() -> Any:
    """The processes as a group that sends tensors on the CPU, whatever sends the gradients."""
    return dist.new_group(backend="gloo")


@cache
def _for_statistics() -> Any:
    """A group of its own for sums within networks: their order among those of the gradients is nobody's."""
    return dist.new_group()
