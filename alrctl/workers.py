"""Processes that read files beside this one. They leave Ctrl-C to it, and end when it ends, however that is."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import wait as wait_for
from typing import TypeVar

from alrctl import images
from schemas.errors import AlrctlError

WORTH = 2_000
"""Files from which processes are worth their start, which takes each some half a second; fewer are read by threads."""

_AHEAD = 3
"""Parts that wait for each worker, so that none is idle while results are taken."""


class LostError(AlrctlError):
    """A process that worked was ended by something else."""


Part = TypeVar("Part")
Result = TypeVar("Result")


def number(asked: int) -> int:
    """Return how many are to work: as many as asked for; for 0, one for each core that this process may use."""
    if asked:
        return asked
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def at_work(count: int, files: int) -> Iterator[Executor]:
    """Give `count` processes where there are enough files for that, else as many threads.

    Threads take turns at what is written in Python, which is most of the work where images are small. They serve also
    where the system lets no process be started or no semaphore be made (a full `/dev/shm`): what comes of the work is
    the same.
    """
    pool = (_processes(count) if files >= WORTH and count > 1 else None) or ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _processes(count: int) -> Executor | None:
    try:
        context = multiprocessing.get_context("spawn")  # a fork would share locks that other threads hold
        pool = ProcessPoolExecutor(count, context, _begin, (count,))
        for started in [pool.submit(_nothing) for _ in range(count)]:  # each has a process started, all at once
            started.result()
    except (OSError, ImportError, BrokenProcessPool):
        return None
    return pool


def _nothing() -> None:
    """Be there."""


def _begin(count: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.filterwarnings("ignore", module="PIL")  # as in __main__
    images.share_room(count)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def results(pool: Executor, work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
    """Give what comes of each part, in the order in which they are done, with a few parts under way at a time.

    Raises:
        LostError: a process was ended by something else.
    """
    waiting = iter(parts)
    at_once = _AHEAD * getattr(pool, "_max_workers", 1)
    try:
        running = {pool.submit(work, part) for part in islice(waiting, at_once)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for one in done:
                running |= {pool.submit(work, part) for part in islice(waiting, 1)}
                yield one.result()
    except BrokenProcessPool as error:
        raise LostError(
            "a process that read images was ended by the system, most often because memory ran out; the same command "
            "goes on where it was, and with fewer --workers less is held at a time"
        ) from error
