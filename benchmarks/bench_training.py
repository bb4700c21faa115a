"""One co-teaching + VOG epoch at 64 px, against the bare passes of two such networks on ready tensors."""

from __future__ import annotations

import numpy as np
import torch
from timing import in_turns, tell
from torch.nn.functional import cross_entropy

from schemas.checkpoint import NetworkSpec
from stages.report import NoStore, SilentReport
from stages.train_lnl import TrainLnlConfig, TrainLnlInputs, run
from stages.training.network import IMAGENET_MEAN, IMAGENET_STD, build_network

SAMPLES, SIDE, CLASSES, BATCH = 1024, 64, 7, 128
SPEC = NetworkSpec(
    backbone="resnet18",
    train="all",
    hidden=0,
    dropout=0,
    image_size=SIDE,
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    feature_width=512,
)


def main() -> None:
    generator = np.random.default_rng(0)
    images = torch.from_numpy(generator.integers(0, 255, (SAMPLES, SIDE, SIDE, 3), dtype=np.uint8))
    labels = torch.from_numpy(generator.integers(0, CLASSES, SAMPLES))
    inputs = TrainLnlInputs(
        sample_ids=[str(index) for index in range(SAMPLES)],
        rows=torch.arange(SAMPLES),
        labels=labels,
        val_rows=torch.arange(0),
        val_labels=torch.arange(0),
        classes=tuple("abcdefg"),
        images=images,
        features=None,
        spec=SPEC,
        backbone_weights={},
    )
    config = TrainLnlConfig(epochs=1, batch_size=BATCH, forget_rate=0.4, num_gradual=1, device="cpu")

    def epoch() -> None:
        run(config, inputs, SilentReport(), NoStore())

    ready = [torch.randn(BATCH, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last) for _ in range(8)]
    networks = [build_network(SPEC, CLASSES, 0, number) for number in (1, 2)]
    optimizers = [torch.optim.SGD(network.parameters(), 0.01, momentum=0.9) for network in networks]

    def bare() -> None:
        for x, y in zip(ready, labels.split(BATCH), strict=True):
            for network, optimizer in zip(networks, optimizers, strict=True):
                optimizer.zero_grad()
                cross_entropy(network(x)[1], y).backward()
                optimizer.step()

    tell("coteaching-vog epoch, as trained", "bare passes", in_turns(5, epoch, bare))


if __name__ == "__main__":
    main()
