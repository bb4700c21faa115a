"""Several processes for a test: forked from this one, joined by gloo, each giving back what it found."""

from __future__ import annotations

import multiprocessing
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed

_PATIENCE = 60


def together(count: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Let `count` processes do the same work at the same time, and return what each returned."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forks where there are threads
        place = Path(folder)
        processes = [context.Process(target=_one, args=(rank, count, place, work, arguments)) for rank in range(count)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(_PATIENCE)
        alive = [process.kill() for process in processes if process.is_alive()]
        assert not alive, "processes wait for each other"
        assert [process.exitcode for process in processes] == [0] * count
        return [torch.load(place / str(rank), weights_only=False) for rank in range(count)]


def _one(rank: int, count: int, place: Path, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{place / 'meeting'}"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=count)
    torch.save(work(*arguments), place / str(rank))
    distributed.destroy_process_group()
