"""Several processes that do one command, as `torchrun` and `accelerate launch` start them: the first of them writes.

Until they join, each knows from its environment which one it is. All read the same files and see the same options; what
they compute together is in `stages/training/team.py`.
"""

from __future__ import annotations

import atexit
import os
import sys
from datetime import timedelta

_PATIENCE = timedelta(hours=6)
"""How long a process waits for another: the first may estimate noise or read a large file meanwhile."""


class NotFirstError(Exception):
    """This process has helped to compute, and the first writes what came of it."""


def count() -> int:
    """Return how many processes were started together."""
    return int(os.environ["WORLD_SIZE"]) if "RANK" in os.environ and "WORLD_SIZE" in os.environ else 1


def is_first() -> bool:
    """Say whether this is the process that writes and speaks."""
    return count() == 1 or os.environ["RANK"] == "0"


def joined() -> bool:
    """Say whether the processes have met."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.distributed.is_initialized())


def join(device: str) -> None:
    """Meet the other processes; nothing where there are none.

    Args:
        device: `cpu` keeps off the GPUs, of which each process else takes its own.
    """
    if count() == 1:
        return
    import torch
    from accelerate import PartialState  # takes a second, and few need it

    PartialState(cpu=device == "cpu" or not torch.cuda.is_available(), timeout=_PATIENCE)
    atexit.register(_part)


def wait() -> None:
    """Wait until every process is here."""
    if count() > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()


def leave_unless_first() -> None:
    """End the work of a process that only helps.

    Raises:
        NotFirstError: it is one.
    """
    if not is_first():
        raise NotFirstError


def _part() -> None:
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()
