"""Timing in turns: A B A B ..., each figure a median, so that a drifting machine bends all alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

Timed = Callable[[], object]
"""What is timed. If it returns a float, these are its seconds (what it sets up not counted); else all of it counts."""


def laps(runs: int, *functions: Timed) -> list[list[float]]:
    """Return the seconds of each function, run by run, after a warm-up of each."""
    for function in functions:
        function()
    return [[_seconds(function) for function in functions] for _ in range(runs)]


def in_turns(runs: int, first: Timed, second: Timed) -> tuple[float, float, float]:
    """Return median seconds of both, after a warm-up of each, and the median of the ratios first / second."""
    return compared(laps(runs, first, second), 0, 1)


def compared(seconds: list[list[float]], first: int, second: int) -> tuple[float, float, float]:
    """Return median seconds of two of the functions timed, and the median of the ratios first / second by run."""
    return (
        statistics.median(run[first] for run in seconds),
        statistics.median(run[second] for run in seconds),
        statistics.median(run[first] / run[second] for run in seconds),
    )


def tell(name: str, against: str, figures: tuple[float, float, float]) -> None:
    """Print one comparison."""
    a, b, ratio = figures
    print(f"{name}: {a:.3f} s; {against}: {b:.3f} s; ratio {ratio:.2f}", flush=True)


def _seconds(function: Timed) -> float:
    began = time.perf_counter()
    own = function()
    return own if isinstance(own, float) else time.perf_counter() - began


def command(*arguments: object) -> tuple[float, float]:
    """Return the seconds and the peak memory in GiB of one command of this program, as a whole process."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "alrctl", *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return time.perf_counter() - began, usage.ru_maxrss / 2**20
