"""The C library's memory: large blocks that are freed are kept for the next step, instead of given back each time."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # names of glibc's options, from its malloc.h


def keep_freed_memory() -> None:
    """Let training reuse memory from step to step; elsewhere than on Linux with glibc, do nothing.

    Without it, every activation of more than 32 MiB is mapped, filled with zeros and unmapped again in each step.
    """
    if not sys.platform.startswith("linux"):
        return
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(_MMAP_MAX, 0)
        option(_TRIM_THRESHOLD, -1)
        option(_ARENA_MAX, 1)  # the arenas of other threads are too small for large blocks
