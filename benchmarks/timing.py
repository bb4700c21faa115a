"""Timing in turns: A B A B ..., each figure a median, so that a drifting machine bends both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def in_turns(runs: int, first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float, float]:
    """Return median seconds of both, after a warm-up of each, and the median of the ratios first / second."""
    first()
    second()
    seconds: list[tuple[float, float]] = []
    for _ in range(runs):
        pair = []
        for function in (first, second):
            began = time.perf_counter()
            function()
            pair.append(time.perf_counter() - began)
        seconds.append((pair[0], pair[1]))
    ratios = [a / b for a, b in seconds]
    return (
        statistics.median(a for a, _ in seconds),
        statistics.median(b for _, b in seconds),
        statistics.median(ratios),
    )


def tell(name: str, against: str, figures: tuple[float, float, float]) -> None:
    """Print one comparison."""
    a, b, ratio = figures
    print(f"{name}: {a:.3f} s; {against}: {b:.3f} s; ratio {ratio:.2f}", flush=True)
