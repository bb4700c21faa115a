"""Torch's randomness comes by seed and purpose, and the global generators are put back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from schemas.checkpoint import NetworkSpec
from stages.training.network import build_network
from stages.training.randomness import island, torch_generator


def numpy_state() -> np.ndarray:
    """The global state of numpy's old generator, to see that nobody touches it."""
    return np.random.get_state()[1].copy()  # type: ignore[index,union-attr]  # noqa: NPY002 (only looked at)


def test_an_island_gives_the_same_stream_whatever_was_drawn_before() -> None:
    with island(1, "head", 2):
        first = torch.rand(4)
    torch.manual_seed(77)
    with island(1, "head", 2):
        again = torch.rand(4)
    with island(1, "head", 3):
        other = torch.rand(4)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_an_island_puts_the_global_generator_back() -> None:
    before, numpy_before = torch.random.get_rng_state(), numpy_state()
    with island(0, "weights"):
        torch.rand(10)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(numpy_state(), numpy_before)


def test_an_island_puts_the_global_generator_back_after_an_error_too() -> None:
    before = torch.random.get_rng_state()
    with pytest.raises(KeyError), island(0, "weights"):
        torch.rand(10)
        raise KeyError
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_generator_is_a_function_of_seed_and_purpose() -> None:
    draws = [
        torch.rand(3, generator=torch_generator(*key)).tolist() for key in ((0, "a"), (0, "a"), (1, "a"), (0, "b"))
    ]
    assert draws[0] == draws[1]
    assert len({tuple(draw) for draw in draws}) == 3


def test_building_a_network_leaves_the_global_generators_alone() -> None:
    spec = NetworkSpec(
        backbone="test_resnet",
        train="all",
        hidden=3,
        dropout=0.1,
        image_size=16,
        mean=(0.5, 0.5, 0.5),
        std=(0.2, 0.2, 0.2),
        feature_width=96,
    )
    before, numpy_before = torch.random.get_rng_state(), numpy_state()
    build_network(spec, 3, 0, 1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(numpy_state(), numpy_before)
