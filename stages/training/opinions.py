"""What networks say of samples, every way that `score` asks: posteriors, views, dropout, penultimate features.

The networks are left as they are: dropout is a mask on the penultimate features, so that no module is switched to
training and batch norm's statistics are never touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.methods.uncertainty import bald
from stages.report import Report
from stages.training.device import Precision, autocast
from stages.training.inputs import Inputs, in_turn
from stages.training.network import Head, Network
from stages.training.predict import Gathering
from stages.training.randomness import torch_generator
from stages.training.team import Team

Views = Literal["none", "flip", "dihedral"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Asking:
    """How networks are asked.

    Attributes:
        views: of each image, whose posteriors are averaged: itself; with its mirror image; all 8 turns and flips.
        passes: draws of dropout; 0 for none.
        dropout: share of the penultimate features that a draw leaves out.
        seed: of the draws.
        device: where the networks are.
        precision: of the networks' pass; heads under dropout compute in float32.
        batch: samples at a time.
    """

    views: Views
    passes: int
    dropout: float
    seed: int
    device: torch.device
    precision: Precision
    batch: int = 256


@dataclass(frozen=True)
class Opinions:
    """What M networks say of N samples.

    Attributes:
        posterior: (N, K) softmax of the summed logits (Khanal et al. 2024), mean over the views.
        by_network: (M, N, K) each network's own posterior, mean over the views.
        bald: (N,) mutual information under dropout, in nats; None without dropout.
        embeddings: (N, H) penultimate features of the first network, of the image as it is.
    """

    posterior: Floats
    by_network: Floats
    bald: Floats | None
    embeddings: Tensor


def opinions(
    networks: Sequence[nn.Module], used: int, inputs: Inputs, rows: Tensor, asking: Asking, report: Report
) -> Opinions:
    """Ask networks about the samples of `rows`, (N,); the first `used` of them make the posterior and BALD."""
    count = len(rows)
    team = Team.current().for_rows(count)
    rows = rows[team.share(count)]
    for network in networks:
        network.eval()
    masks = [_masks(network, index, asking) for index, network in enumerate(networks[:used])]
    parts = [Gathering(len(rows)) for _ in range(4)]
    with torch.inference_mode():
        for start, x in in_turn(inputs, rows, asking.batch):
            for part, told in zip(parts, _of_batch(networks, used, x, masks, asking), strict=True):
                part.add(told)
            report.progress(min(start + asking.batch, len(rows)), len(rows), "scoring", "images")
    posterior, own, information, embeddings = (team.gather(part.rows, count) for part in parts)
    return Opinions(
        _distributions(posterior),
        _distributions(own.transpose(0, 1)),
        information.numpy() if asking.passes else None,
        embeddings,
    )


def _of_batch(
    networks: Sequence[nn.Module], used: int, x: Tensor, masks: list[Tensor], asking: Asking
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return posterior (B, K), each network's (B, M, K), BALD (B,) and the first's penultimate features (B, H)."""
    together, apart, penultimates = [], [], []
    for number, view in enumerate(views(x, asking.views)):
        with autocast(asking.device, asking.precision):
            said = [network(view) for network in networks]
        logits = torch.stack([output.float() for _, output in said])  # (M, B, K)
        together.append(logits[:used].sum(dim=0).softmax(dim=1))
        apart.append(logits.softmax(dim=2))
        if number == 0:
            penultimates = [penultimate.float() for penultimate, _ in said]
    information = torch.zeros(len(x), dtype=torch.float64)
    if asking.passes:
        heads = [_head(network) for network in networks[:used]]
        information = _information(heads, penultimates[:used], masks)
    posterior, own = torch.stack(together).mean(dim=0), torch.stack(apart).mean(dim=0).transpose(0, 1)
    return posterior.cpu(), own.cpu(), information, penultimates[0].cpu()


def views(x: Tensor, which: Views) -> list[Tensor]:
    """Return the views of images (B, C, S, S), the images themselves first."""
    if which == "none":
        return [x]
    if which == "flip":
        return [x, x.flip(3)]
    turned = [torch.rot90(x, quarter, (2, 3)) for quarter in range(4)]
    return [view for turn in turned for view in (turn, turn.flip(3))]


def _masks(network: nn.Module, index: int, asking: Asking) -> Tensor:
    """Return draws of dropout, (T, H): each is one draw of the weights, the same for all samples.

    So a sample's information does not depend on which others are scored with it (Kirsch et al. 2019).
    """
    width = _head(network).last.in_features
    generator = torch_generator(asking.seed, "dropout", index)
    kept = torch.rand(asking.passes, width, generator=generator) >= asking.dropout
    return (kept / (1 - asking.dropout)).to(asking.device)


def _information(heads: list[Head], penultimates: list[Tensor], masks: list[Tensor]) -> Tensor:
    """Return the mutual information of label and dropout, (B,), in nats; the backbone is not run again."""
    mean, mean_entropy = torch.zeros(0), torch.zeros(0)
    passes = len(masks[0])
    for draw in range(passes):
        logits = sum(
            head.last(features * mask[draw]) for head, features, mask in zip(heads, penultimates, masks, strict=True)
        )
        posterior = torch.as_tensor(logits).double().softmax(dim=1)  # (B, K)
        entropy = torch.special.entr(posterior).sum(dim=1)
        mean = posterior if draw == 0 else mean + posterior
        mean_entropy = entropy if draw == 0 else mean_entropy + entropy
    return torch.from_numpy(bald((mean / passes).cpu().numpy(), (mean_entropy / passes).cpu().numpy()))


def _head(network: nn.Module) -> Head:
    head = network.head if isinstance(network, Network) else network
    assert isinstance(head, Head)
    return head


def _distributions(posterior: Tensor) -> Floats:
    """Return posteriors in double precision whose rows sum to 1."""
    double = posterior.double()
    found: Floats = (double / double.sum(dim=-1, keepdim=True)).numpy()
    return found
