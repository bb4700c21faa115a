"""A training step of one network in both memory formats, and compiled, in turns.

python benchmarks/bench_layout.py
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from timing import compared, laps, tell
from torch.nn.functional import cross_entropy

from stages.training import device as devices
from stages.training.backbones import build_backbone, feature_width


def step(name: str, side: int, batch: int, layout: torch.memory_format, compiled: bool) -> Callable[[], object]:
    """Return one step of SGD on a ready batch."""
    backbone: Any = build_backbone(name, 0, image_size=side)
    network = torch.nn.Sequential(backbone, torch.nn.Linear(feature_width(name, side), 7))
    network = network.to(memory_format=layout).train()  # type: ignore[call-overload]
    forward = torch.compile(network) if compiled else network
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    images = torch.rand(batch, 3, side, side).contiguous(memory_format=layout)
    labels = torch.randint(0, 7, (batch,))

    def run() -> None:
        with devices.autocast(torch.device("cpu"), "auto"):
            logits = forward(images)
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return run


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--network", default="resnet18")
    words.add_argument("--side", type=int, default=64)
    words.add_argument("--batch", type=int, default=128)
    words.add_argument("--runs", type=int, default=7)
    given = words.parse_args()
    chosen = given.network, given.side, given.batch
    seconds = laps(
        given.runs,
        *(step(*chosen, layout, False) for layout in (torch.contiguous_format, torch.channels_last)),
        step(*chosen, torch.channels_last, True),
    )
    tell("torch's default format", "channels-last", compared(seconds, 0, 1))
    tell("channels-last, compiled", "channels-last", compared(seconds, 2, 1))


if __name__ == "__main__":
    main()
