"""The next batch's images, on their way to a GPU while it learns from this one.

They are gathered by a thread of their own into page-locked memory and copied on a stream of their own, so that neither
the gathering nor the copy is waited for. On the CPU there is nothing to bring anywhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

Arrival = Callable[[], Tensor]
"""Waits for what was sent, and returns it."""


class Ahead:
    """Sends for images before they are asked for; others are sent for when they are."""

    def __init__(self, send: Callable[[Tensor], Arrival]) -> None:
        """Take what sends for the images of some rows, (B,)."""
        self._send = send
        self._thread = ThreadPoolExecutor(1)
        self._sent: deque[tuple[Tensor, Future[Arrival]]] = deque(maxlen=2)

    def expect(self, rows: Tensor) -> None:
        """Send for the images of these rows, (B,), which will be asked for after those expected before."""
        self._sent.append((rows, self._thread.submit(self._send, rows)))

    def take(self, rows: Tensor) -> Tensor:
        """Return the images of these rows, (B, H, W, 3) uint8, where they are wanted."""
        for place, (expected, sent) in enumerate(self._sent):
            if torch.equal(expected, rows):
                for _ in range(place + 1):
                    self._sent.popleft()
                return sent.result()()
        return self._send(rows)()


def sender(images: Tensor, device: torch.device) -> Callable[[Tensor], Arrival]:
    """Return what sends images, (N, H, W, 3) uint8 in the CPU's memory or mapped, to a GPU."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def send(rows: Tensor) -> Arrival:
        with torch.cuda.device(device):  # a thread begins with the first
            held = torch.empty((len(rows), *images.shape[1:]), dtype=images.dtype, pin_memory=True)
            torch.index_select(images, 0, rows, out=held)
            with torch.cuda.stream(stream):
                there = held.to(device, non_blocking=True)
                copied = stream.record_event()

        def arrival() -> Tensor:
            now = torch.cuda.current_stream(device)
            now.wait_event(copied)
            there.record_stream(now)  # its memory is not given to another before `now` is done with it
            return there

        return arrival

    return send
