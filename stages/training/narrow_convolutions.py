"""Convolutions whose images are narrower than their stride, which oneDNN gets wrong in bfloat16.

Seen with torch 2.14 on a processor with AVX512-BF16: where a padded convolution of kernel above 1 steps over a map
that has fewer columns than the stride (as the last stages of a network do with images of 8 or 16 px), the gradient of
its weights is read from memory that nobody wrote. In 789 of 1,314 such convolutions drawn at random it was wrong, in
none of 6,600 others beyond rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _Float32WhereNarrow(nn.Conv2d):
    """Computes in float32 on the CPU where its images have fewer rows or columns than its stride."""

    def forward(self, *given: Any, **named: Any) -> Tensor:
        """Return the images' (B, C, H, W) convolution, of the precision that it was computed in."""
        images = given[0] if given else named["input"]
        if images.device.type == "cpu" and min(images.shape[-2:]) < max(self.stride):
            with torch.autocast("cpu", enabled=False):
                return super().forward(images.float(), *given[1:])
        return super().forward(*given, **named)


def keep_narrow_convolutions_exact(network: nn.Module) -> None:
    """Let strided convolutions compute in float32 where bfloat16 would spoil their gradients; weights are kept."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and max(module.stride) > 1 and max(module.kernel_size) > 1:
            own = type(module)
            module.__class__ = type(own.__name__, (_Float32WhereNarrow, own), {})
