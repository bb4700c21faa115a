"""Networks that learn beside each other, each on its own share of the CPU's threads.

Two networks side by side use the cores better than one after the other on all of them: no thread waits at the end of
each operation for the others.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


class Lanes:
    """Does the same work for each network, at the same time where nothing can tell.

    Networks that draw random numbers (dropout) draw from one stream, whose order must not depend on which thread comes
    first: they go one after the other. Whether they draw is seen the first time. Each always has the same number of
    threads, so that the result is the same to the bit either way.
    """

    def __init__(self, networks: int, device: torch.device, compiled: bool) -> None:
        """Take the number of networks, where they are, and whether they are compiled (compilers take turns)."""
        threads = torch.get_num_threads()
        self._networks = networks
        self._draws: bool | None = None
        self._pool: ThreadPoolExecutor | None = None
        if networks > 1 and threads >= networks and device.type == "cpu" and not compiled:
            self._pool = ThreadPoolExecutor(
                networks, initializer=torch.set_num_threads, initargs=(threads // networks,)
            )

    def each(self, work: Callable[[int], T]) -> list[T]:
        """Return what `work` gives for each network's index; whatever it raises first is raised."""
        if self._pool is None:
            return [work(index) for index in range(self._networks)]
        if self._draws is False:
            return list(self._pool.map(work, range(self._networks)))
        before = torch.get_rng_state()
        found = [self._pool.submit(work, index).result() for index in range(self._networks)]
        self._draws = self._draws or not torch.equal(before, torch.get_rng_state())
        return found

    def close(self) -> None:
        """Let the threads go."""
        if self._pool is not None:
            self._pool.shutdown()
