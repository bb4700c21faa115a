"""bfloat16 on the CPU leaves no gradient spoilt where a map is narrower than the stride."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from stages.training.backbones import build_backbone
from stages.training.narrow_convolutions import keep_narrow_convolutions_exact


def _litter() -> None:
    """Leave NaN in the memory that is given out next."""
    for size in (64, 256, 1024, 4096, 16384, 65536, 262144):
        for _ in range(8):
            torch.full((size,), float("nan"))


def _weight_gradient(convolution: nn.Conv2d, images: Tensor, bfloat16: bool) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        out = convolution(images)
    _litter()
    (gradient,) = torch.autograd.grad(out.float().square().sum(), convolution.weight)
    return gradient


@pytest.mark.parametrize(("side", "stride"), [(1, 2), (2, 3), (3, 4), (1, 4)])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_the_gradient_of_a_narrow_map_is_that_of_float32(side: int, stride: int, kernel: int) -> None:
    generator = torch.Generator().manual_seed(side * kernel)
    convolution = nn.Conv2d(16, 64, kernel, stride=stride, padding=kernel // 2)
    images = torch.randn(16, 16, side, side, generator=generator)
    exact = _weight_gradient(convolution, images, bfloat16=False)
    keep_narrow_convolutions_exact(convolution)
    assert torch.equal(_weight_gradient(convolution, images, bfloat16=True), exact)


def test_a_map_as_wide_as_the_stride_is_left_to_bfloat16() -> None:
    convolution = nn.Conv2d(3, 8, 3, stride=2, padding=1)
    keep_narrow_convolutions_exact(convolution)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert convolution(torch.ones(1, 3, 2, 2)).dtype == torch.bfloat16
        assert convolution(torch.ones(1, 3, 1, 2)).dtype == torch.float32


@pytest.mark.parametrize("name", ["test_resnet", "tf_efficientnet_lite0", "torchvision/resnet18"])
def test_weights_and_what_a_network_gives_stay_the_same(name: str) -> None:
    network = build_backbone(name, 0, image_size=16).eval()
    kept = copy.deepcopy(network)
    keep_narrow_convolutions_exact(kept)
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert list(kept.state_dict()) == list(network.state_dict())
    assert torch.equal(copy.deepcopy(kept)(images), network(images))
