"""Networks that learn beside each other, each on its own share of the CPU's threads.

Two networks side by side use the cores better than one after the other on all of them: no thread waits at the end of
each operation for the others.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


def draws_random_numbers(network: nn.Module, x: Tensor) -> bool:
    """Say whether a network draws from torch's stream while it learns, as dropout does; it is left as it is.

    Args:
        network: on the CPU.
        x: a batch of two, as the network takes it.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        before = torch.get_rng_state()
        copy.deepcopy(network).train()(x)
        return not torch.equal(before, torch.get_rng_state())


class Lanes:
    """Does the same work for each network, at the same time where nothing can tell."""

    def __init__(self, networks: Sequence[nn.Module], x: Tensor, compiled: bool) -> None:
        """Take the networks, a batch of two as they take it, and whether they are compiled (compilers take turns).

        Networks that draw random numbers draw from one stream, whose order must not depend on which thread comes first:
        they go one after the other.
        """
        self._networks = len(networks)
        self._pool: ThreadPoolExecutor | None = None
        share = torch.get_num_threads() // len(networks)
        if len(networks) == 1 or share == 0 or x.device.type != "cpu" or compiled:
            return
        if not any(draws_random_numbers(network, x) for network in networks):
            self._pool = ThreadPoolExecutor(self._networks, initializer=torch.set_num_threads, initargs=(share,))

    def each(self, work: Callable[[int], T]) -> list[T]:
        """Return what `work` gives for each network's index; whatever it raises first is raised."""
        run = map if self._pool is None else self._pool.map
        return list(run(work, range(self._networks)))

    def close(self) -> None:
        """Let the threads go."""
        if self._pool is not None:
            self._pool.shutdown()
