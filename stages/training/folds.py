"""Opinions from out of sample: of each sample by networks that have not learnt from it, nor from its group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from schemas.checkpoint import NetworkSpec
from schemas.errors import NothingToDoError
from stages.methods.splitting import k_folds
from stages.report import Report, Store
from stages.training.fit import fit
from stages.training.learning import Examples
from stages.training.noise_watch import LabelEvidence
from stages.training.opinions import Opinions
from stages.training.plan import FitPlan
from stages.training.recipe import MethodOptions, rule, start

Ask = Callable[[list[nn.Module], Tensor], Opinions]
"""Takes networks and rows of the data set, (N,), and gives what they say."""


@dataclass(frozen=True)
class Teaching:
    """How the networks of a fold learn: as those of phase 1 did.

    Attributes:
        options: method and training.
        spec: how networks are built.
        examples: all that may be learnt from, and how batches are made.
        known: of the labels of these N; no unit (group) is torn apart. Its features are of the frozen backbone; None
            where images are learnt from.
        backbone_weights: tensors that the backbone starts from.
    """

    options: MethodOptions
    spec: NetworkSpec
    examples: Examples
    known: LabelEvidence
    backbone_weights: Mapping[str, Tensor]


def out_of_sample(
    teaching: Teaching,
    count: int,
    ask: Ask,
    device: torch.device,
    report: Report,
    store: Callable[[int], Store],
) -> Opinions:
    """Return opinions on all examples, in their order, each from the networks of the fold that left it out.

    Args:
        teaching: how networks learn.
        count: of folds.
        ask: how they are asked.
        device: where.
        report: told of progress.
        store: gives each fold the place for its unfinished state.

    Raises:
        NothingToDoError: there are fewer units than folds, or no class has a sample for each.
    """
    examples = teaching.examples
    found = len(np.unique(teaching.known.group))
    if found < count:
        raise NothingToDoError(f"{found} groups of training samples cannot make {count} folds")
    largest = int(examples.labels.bincount().max())
    if largest < count:
        raise NothingToDoError(f"the largest class has {largest} training samples, too few for {count} folds")
    folds = k_folds(examples.labels.numpy(), teaching.known.group, count, teaching.options.seed)
    parts = []
    for number, left_out in enumerate(folds):
        networks = _taught(teaching, np.flatnonzero(~left_out), device, report, store(number))
        parts.append(ask(networks, examples.rows[torch.from_numpy(left_out)]))
    return _together(parts, np.argsort(np.concatenate([np.flatnonzero(fold) for fold in folds])))


def _taught(
    teaching: Teaching, places: NDArray[np.int64], device: torch.device, report: Report, store: Store
) -> list[nn.Module]:
    """Return networks that have learnt from the examples at `places`."""
    options, everything, known = teaching.options, teaching.examples, teaching.known.at(places)
    examples = replace(everything, rows=everything.rows[places], labels=everything.labels[places])
    networks = [
        start(teaching.spec, everything.classes, options.seed, number, known.features, teaching.backbone_weights)
        for number in range(1, options.networks + 1)
    ]
    fit(networks, examples, rule(options, known, everything.classes), FitPlan.of(options, device), report, store)
    return networks


def _together(parts: list[Opinions], order: NDArray[np.int64]) -> Opinions:
    known = [part.bald for part in parts if part.bald is not None]
    return Opinions(
        np.concatenate([part.posterior for part in parts])[order],
        np.concatenate([part.by_network for part in parts], axis=1)[:, order],
        np.concatenate(known)[order] if known else None,
        torch.cat([part.embeddings for part in parts])[torch.from_numpy(order)],
    )
