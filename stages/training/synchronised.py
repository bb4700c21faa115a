"""What looks at a whole batch within a network, where each process holds a share of it: batch norm, dropout's draws.

Batch norm takes mean and variance over all processes, as `torch.nn.SyncBatchNorm` does, which does not know the CPU.
Dropout and stochastic depth draw for the whole batch from the stream that every process has, and each takes its rows:
so that several processes leave out what one would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from timm.layers.drop import DropPath
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torchvision.ops import StochasticDepth

from stages.training.team import Team, sum_over_team

Forward = Callable[[Tensor], Tensor]

_BY_ROW = (DropPath, StochasticDepth)


class WholeBatch:
    """The batch that is gone through just now, of which this process holds its share."""

    def __init__(self, team: Team) -> None:
        """Take the team."""
        self.team = team
        self.count = 0

    @contextmanager
    def seen_by(self, networks: Sequence[nn.Module]) -> Iterator[None]:
        """Let networks see the whole batch while they learn; `count`, its rows, is told before each forward pass."""
        if self.team.alone:
            yield
            return
        changed = [module for network in networks for module in network.modules() if self._change(module)]
        try:
            yield
        finally:
            for module in changed:
                object.__delattr__(module, "forward")

    def _change(self, module: nn.Module) -> bool:
        """Replace the forward pass of one module, by name of the instance, so that its class and tensors stay."""
        if isinstance(module, _BatchNorm):
            object.__setattr__(module, "forward", partial(_normalised, module, module.forward))
        elif isinstance(module, (_DropoutNd, *_BY_ROW)):
            object.__setattr__(module, "forward", partial(self._dropped, module, module.forward))
        else:
            return False
        return True

    def _dropped(self, module: nn.Module, forward: Forward, x: Tensor) -> Tensor:
        """Multiply with this process's rows of what the module makes of ones."""
        if not module.training:
            return forward(x)
        rest = (1,) * (x.ndim - 1) if isinstance(module, _BY_ROW) else x.shape[1:]
        whole = forward(torch.ones(self.count, *rest, dtype=x.dtype, device=x.device))
        return x * whole[self.team.share(self.count)]


def _normalised(module: _BatchNorm, forward: Forward, x: Tensor) -> Tensor:
    """Return what batch norm makes of its share, (B, C, ...), with the statistics of the whole batch."""
    if not module.training:
        return forward(x)
    dims = [0, *range(2, x.ndim)]
    shape = [1, -1, *[1] * (x.ndim - 2)]
    values = x.float()
    count = values.numel() // values.shape[1]
    sums = sum_over_team(torch.cat([values.sum(dims), values.new_tensor([float(count)])]))
    rows, mean = sums[-1].detach(), sums[:-1] / sums[-1].detach()
    centred = values - mean.view(shape)
    variance = sum_over_team(centred.square().sum(dims)) / rows
    _remember(module, mean.detach(), variance.detach(), rows)
    found = centred * torch.rsqrt(variance + module.eps).view(shape)
    if module.affine:
        found = found * module.weight.view(shape) + module.bias.view(shape)
    found = found.to(x.dtype)
    for within in ("drop", "act"):  # timm's batch norm has them
        then = getattr(module, within, None)
        found = found if then is None else then(found)
    return found


def _remember(module: _BatchNorm, mean: Tensor, variance: Tensor, rows: Tensor) -> None:
    """Move the running statistics on, the variance as of a sample."""
    if not module.track_running_stats or module.running_mean is None or module.running_var is None:
        return
    assert module.num_batches_tracked is not None
    module.num_batches_tracked.add_(1)
    share = 1 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
    unbiased = variance * rows / (rows - 1).clamp_min(1)
    module.running_mean.lerp_(mean.to(module.running_mean.dtype), share)
    module.running_var.lerp_(unbiased.to(module.running_var.dtype), share)
