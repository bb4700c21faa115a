"""One `coteaching-vog` epoch with all of its mechanism at work, in turns with the bare passes and the seed's way.

python benchmarks/bench_training.py
python benchmarks/bench_training.py --side 224 --samples 8192 --device cuda

Ours is `train-lnl`'s own run, gone on with from a state with a full window of gradients, for one epoch: preset `paper`,
picks by loss and by variance of gradients, signals, no validation. It is timed from the reading of that state to the
saving of the next, so the taking up of the state counts too, and the building of the networks does not.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from seed_way import SeedWay
from timing import compared, laps, tell
from torch import Tensor
from torch.nn.functional import cross_entropy

from alrctl.allocator import keep_freed_memory
from schemas.checkpoint import NetworkSpec
from stages.report import Array, SilentReport, Unfinished, in_memory
from stages.train_lnl import TrainLnlConfig, TrainLnlInputs, run
from stages.training import device as devices
from stages.training.backbones import feature_width
from stages.training.network import IMAGENET_MEAN, IMAGENET_STD, Network, build_network

CLASSES, FORGET_RATE, MIX_RATIO = tuple("abcdefg"), 0.4, 0.2
WARM_UP = 5
"""Epochs until the window of gradients is full; the next one mixes the picks."""


@dataclass
class Stopwatch:
    """A store in memory that reads the clock when a state is loaded and when the next is saved."""

    device: torch.device
    state: Unfinished | None = None
    began: float = 0.0
    ended: float = 0.0
    saved: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)

    def load(self) -> Unfinished | None:
        """Return the state to go on from; None until there is one."""
        self.began = clock(self.device)
        return self.state

    def save(self, state: Unfinished) -> Mapping[str, Mapping[str, Array]]:
        """Note what is saved; the first state with a full window is the one to go on from."""
        self.ended, self.saved = clock(self.device), state.parts
        if self.state is None and state.epochs == WARM_UP:  # copied: on the CPU it shares memory with the networks
            parts = {part: {name: in_memory(a).clone() for name, a in of.items()} for part, of in state.parts.items()}
            self.state = Unfinished(state.epochs, {**state.facts, "history": list(state.facts["history"])}, parts)
        return {}


def clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def timed(device: torch.device, function: Callable[[], object]) -> float:
    began = clock(device)
    function()
    return clock(device) - began


def make_inputs(side: int, samples: int, backbone: str) -> TrainLnlInputs:
    generator = np.random.default_rng(0)
    images = torch.from_numpy(generator.integers(0, 255, (samples, side, side, 3), dtype=np.uint8))
    spec = NetworkSpec(
        backbone=backbone,
        train="all",
        hidden=0,
        dropout=0,
        image_size=side,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        feature_width=feature_width(backbone, side),
    )
    return TrainLnlInputs(
        sample_ids=[str(index) for index in range(samples)],
        rows=torch.arange(samples),
        labels=torch.from_numpy(generator.integers(0, len(CLASSES), samples)),
        val_rows=torch.arange(0),
        val_labels=torch.arange(0),
        classes=CLASSES,
        images=images,
        features=None,
        spec=spec,
        backbone_weights={},
    )


def our_way(inputs: TrainLnlInputs, batch: int, device: torch.device) -> Callable[[], float]:
    """Train up to a full window, and return what does and times one epoch more."""
    config = TrainLnlConfig(
        epochs=WARM_UP + 1,
        batch_size=batch,
        forget_rate=FORGET_RATE,
        mix_ratio=MIX_RATIO,
        num_gradual=1,
        device="cuda" if device.type == "cuda" else "cpu",
    )
    watch = Stopwatch(device)
    run(config.model_copy(update={"epochs": WARM_UP}), inputs, SilentReport(), watch)

    def epoch() -> float:
        run(config, inputs, SilentReport(), watch)
        variance = in_memory(watch.saved[f"epoch-{WARM_UP:05d}-signals"]["variance"])
        assert torch.isfinite(variance).all(), "the picks were not mixed"
        return watch.ended - watch.began

    return epoch


def two_networks(inputs: TrainLnlInputs, device: torch.device) -> list[Network]:
    networks = (build_network(inputs.spec, len(CLASSES), 0, number).to(device).train() for number in (1, 2))
    return [network for network in networks if isinstance(network, Network)]


def bare_passes(inputs: TrainLnlInputs, batch: int, device: torch.device) -> Callable[[], None]:
    """Return forward, backward and step of two networks on every batch, ready on the device, in our precision."""
    networks, count = two_networks(inputs, device), len(inputs.labels)
    optimizers = [torch.optim.SGD(n.parameters(), 0.01, momentum=0.9, weight_decay=1e-4) for n in networks]
    shape = (count, 3, inputs.spec.image_size, inputs.spec.image_size)
    ready = torch.randn(shape, device=device).contiguous(memory_format=torch.channels_last)
    parts = math.ceil(count / batch)
    pairs = list(zip(ready.tensor_split(parts), inputs.labels.to(device).tensor_split(parts), strict=True))

    def step(network: Network, optimizer: torch.optim.SGD, x: Tensor, y: Tensor) -> None:
        with devices.autocast(device, "auto"):
            _, logits = network(x)
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(logits.float(), y).backward()
        optimizer.step()

    def epoch() -> None:
        for x, y in pairs:
            for network, optimizer in zip(networks, optimizers, strict=True):
                step(network, optimizer, x, y)

    return epoch


def allocate_as_usual() -> None:
    """Put glibc's defaults back; what is free by then stays at hand, to the advantage of whatever runs next."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(-4, 65536)  # blocks mapped at most
        library.mallopt(-1, 128 * 1024)  # free memory at the end past which it is given back


def options() -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--side", type=int, default=64, help="pixels")
    words.add_argument("--samples", type=int, default=512)
    words.add_argument("--batch", type=int, default=128)
    words.add_argument("--runs", type=int, default=5)
    words.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    words.add_argument("--networks", default="resnet18", help="name of a backbone")
    return words.parse_args()


def main() -> None:
    given = options()
    device = devices.choose(given.device)
    inputs = make_inputs(given.side, given.samples, given.networks)
    assert inputs.images is not None
    bare = bare_passes(inputs, given.batch, device)
    plain = [network.to(memory_format=torch.contiguous_format) for network in two_networks(inputs, device)]
    seed = SeedWay(plain, inputs.images, inputs.labels, given.batch, FORGET_RATE, MIX_RATIO)
    ours = our_way(inputs, given.batch, device)

    def published() -> float:
        allocate_as_usual()  # our own setting of the C library is no part of it
        seconds = timed(device, seed.epoch)
        keep_freed_memory()
        return seconds

    keep_freed_memory()  # as `train-lnl` does; the bare passes have it too
    seconds = laps(given.runs, ours, partial(timed, device, bare), published)
    print(
        f"{given.samples} images, {given.side} px, batches of {given.batch}, {given.networks}, {devices.name(device)}, "
        f"{torch.get_num_threads()} thread(s), medians of {given.runs}"
    )
    tell("coteaching-vog epoch", "bare passes", compared(seconds, 0, 1))
    tell("the seed's way", "coteaching-vog epoch", compared(seconds, 2, 0))


if __name__ == "__main__":
    main()
