"""Applying networks: posteriors, penultimate features, backbone features. Dropout off, batch norm as trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from schemas.checkpoint import NetworkSpec
from stages.report import Report
from stages.training.device import Precision, autocast
from stages.training.inputs import ImageInputs, Inputs, in_turn
from stages.training.team import Team


@dataclass(frozen=True)
class Predicted:
    """What networks say of samples.

    Attributes:
        logits: (M, N, K) of each network.
        embeddings: (N, H) penultimate features of the first network.
    """

    logits: Tensor
    embeddings: Tensor

    @property
    def posterior(self) -> Tensor:
        """(N, K) softmax of the networks' summed logits (Khanal et al. 2024)."""
        return self.logits.sum(dim=0).softmax(dim=1)


def predict(
    networks: Sequence[nn.Module],
    inputs: Inputs,
    rows: Tensor,
    device: torch.device,
    precision: Precision,
    report: Report | None = None,
    batch: int = 256,
) -> Predicted:
    """Apply networks to the samples of `rows`, (N,); of several processes each to its share, and all see all."""
    count = len(rows)
    team = Team.current().for_rows(count)
    rows = rows[team.share(count)]
    logits: list[list[Tensor]] = [[] for _ in networks]
    embeddings = []
    for network in networks:
        network.eval()
    with torch.inference_mode(), autocast(device, precision):
        for start, x in in_turn(inputs, rows, batch):
            for index, network in enumerate(networks):
                penultimate, output = network(x)
                logits[index].append(output.float().cpu())
                if index == 0:
                    embeddings.append(penultimate.float().cpu())
            if report is not None:
                report.progress(min(start + batch, len(rows)), len(rows), "predicting", "images")
    whole = [team.gather(torch.cat(parts), count) for parts in logits]
    return Predicted(torch.stack(whole), team.gather(torch.cat(embeddings), count))


def extract(
    backbone: nn.Module,
    images: Tensor,
    spec: NetworkSpec,
    device: torch.device,
    precision: Precision,
    report: Report,
    batch: int = 64,
) -> Tensor:
    """Return the backbone's pooled features of all images, (N, D) float32; of several processes all see all."""
    team = Team.current().for_rows(len(images))
    own = torch.arange(len(images))[team.share(len(images))]
    parts = list(extracted(backbone, images, own, spec, device, precision, report, batch))
    return team.gather(torch.cat(parts), len(images))


def extracted(
    backbone: nn.Module,
    images: Tensor,
    own: Tensor,
    spec: NetworkSpec,
    device: torch.device,
    precision: Precision,
    report: Report,
    batch: int = 64,
) -> Iterator[Tensor]:
    """Give the backbone's pooled features of the images of some rows, (B, D) float32 for each batch of them."""
    inputs = ImageInputs(images, spec, device, "none")
    backbone = backbone.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    with torch.inference_mode(), autocast(device, precision):
        for start, x in in_turn(inputs, own, batch):
            yield backbone(x).float().cpu()
            report.progress(start + len(x), len(own), "features of the frozen backbone", "images")
