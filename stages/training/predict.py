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


class Gathering:
    """Rows that come part by part, held once: not as parts and then as a whole."""

    def __init__(self, count: int) -> None:
        """Take how many rows will come."""
        self._count, self._done = count, 0
        self._held = torch.empty(0)

    def add(self, part: Tensor) -> None:
        """Take the next rows."""
        if not self._done:
            with torch.inference_mode(False):  # that others can learn from it
                self._held = torch.empty(self._count, *part.shape[1:], dtype=part.dtype)
        self._held[self._done : self._done + len(part)] = part
        self._done += len(part)

    @property
    def rows(self) -> Tensor:
        """All that came, on the CPU."""
        return self._held[: self._done]


def predict(
    networks: Sequence[nn.Module],
    inputs: Inputs,
    rows: Tensor,
    device: torch.device,
    precision: Precision,
    report: Report | None = None,
    batch: int = 256,
    with_embeddings: bool = True,
) -> Predicted:
    """Apply networks to the samples of `rows`, (N,); of several processes each to its share, and all see all.

    Without embeddings these are (N, 0).
    """
    count = len(rows)
    team = Team.current().for_rows(count)
    rows = rows[team.share(count)]
    logits = [Gathering(len(rows)) for _ in networks]
    embeddings = Gathering(len(rows))
    for network in networks:
        network.eval()
    with torch.inference_mode(), autocast(device, precision):
        for start, x in in_turn(inputs, rows, batch):
            for index, network in enumerate(networks):
                penultimate, output = network(x)
                logits[index].add(output.float().cpu())
                if index == 0:
                    embeddings.add((penultimate if with_embeddings else penultimate[:, :0]).float().cpu())
            if report is not None:
                report.progress(min(start + batch, len(rows)), len(rows), "predicting", "images")
    whole = [team.gather(of_one.rows, count) for of_one in logits]
    return Predicted(torch.stack(whole), team.gather(embeddings.rows, count))


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
