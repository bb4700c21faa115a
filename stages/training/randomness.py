"""Torch's randomness by explicit seed and purpose, as in `stages.methods.randomness`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from stages.methods.randomness import integer


def torch_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Return the torch generator for a purpose, on the CPU."""
    return torch.Generator().manual_seed(integer(seed, *purpose))


@contextmanager
def island(seed: int, *purpose: str | int) -> Iterator[None]:
    """Seed torch's global generators for code that knows no other (weight initialisation), and put them back after."""
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(integer(seed, *purpose))
        yield
