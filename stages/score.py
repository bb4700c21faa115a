"""Score: what networks make of each sample and of the label it bears."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn

from stages.methods import label_quality, uncertainty
from stages.methods.neighbours import neighbour_disagreement
from stages.methods.randomness import numpy_generator
from stages.report import NoStore, Report, Store
from stages.training import device as devices
from stages.training.device import Device, Precision
from stages.training.folds import Teaching, out_of_sample
from stages.training.inputs import Inputs
from stages.training.network import Head, Network
from stages.training.opinions import Asking, Opinions, Views, opinions

Floats = NDArray[np.float64]


class ScoreConfig(BaseModel):
    """Options of `score`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    networks: Literal["first", "both"] = Field(
        "first", description="whose posterior: network 1's, as in the paper, or both"
    )
    split: Literal["train", "val", "test"] = Field("train", description="samples to score")
    cross_validate: int = Field(
        0, ge=0, le=50, description="folds: each sample's posterior is from networks trained without it; 0 for none"
    )
    cross_validate_epochs: int | None = Field(
        None, ge=1, le=10_000, description="of each fold's training (default: the checkpoint's)"
    )
    test_time_augmentation: Views = Field(
        "none", description="views of each image that the posterior is averaged over: flip 2, dihedral all 8"
    )
    dropout_passes: int = Field(20, ge=0, le=10_000, description="draws of dropout for BALD; 0 leaves it out")
    dropout_rate: float = Field(0.5, gt=0, lt=1, description="of the penultimate features, in these draws alone")
    neighbours: int = Field(10, ge=0, le=1000, description="whose labels are compared with the sample's; 0 for none")
    seed: int = Field(0, ge=0, description="of folds and draws")
    device: Device = Field("auto", description="where to compute")
    precision: Precision = Field("auto", description="auto: bfloat16 where the hardware computes in it")

    @field_validator("cross_validate")
    @classmethod
    def _one_fold_is_none(cls, value: int) -> int:
        if value == 1:
            raise ValueError("must be 0, or at least 2: one fold leaves nothing to learn from")
        return value


@dataclass(frozen=True)
class ScoreInputs:
    """What is scored, and by whom.

    Attributes:
        networks: of the checkpoint.
        inputs: gives batches by row.
        rows: (N,) rows of the samples.
        labels: (N,) the classes they bear now.
        frozen: the frozen backbone, where its heads are to be asked about images and not about its features.
        teaching: how the networks of a fold learn, its examples the samples of `rows`; None without cross-validation.
        store: gives each fold the place for its unfinished state.
    """

    networks: Sequence[nn.Module]
    inputs: Inputs
    rows: Tensor
    labels: NDArray[np.int64]
    frozen: nn.Module | None = None
    teaching: Teaching | None = None
    store: Callable[[int], Store] = lambda fold: NoStore()


@dataclass(frozen=True)
class ScoreOutputs:
    """Scores by sample.

    Attributes:
        posterior: (N, K).
        columns: (N,) each, by name.
        predicted: (N,) class of the largest posterior.
        peer: (N,) class that network 2 holds likeliest; None where there is one network.
        embeddings: (N, H) penultimate features of the checkpoint's network 1.
        device: its name.
        facts: what a person should know.
    """

    posterior: Floats
    columns: dict[str, Floats]
    predicted: NDArray[np.int64]
    peer: NDArray[np.int64] | None
    embeddings: Tensor
    device: str
    facts: dict[str, Any]


def run(config: ScoreConfig, inputs: ScoreInputs, report: Report) -> ScoreOutputs:
    """Score the samples.

    Raises:
        NothingToDoError: there are fewer groups than folds.
        DataError: the training of a fold diverged.
        UsageError: the device does not exist, or the memory does not suffice.
    """
    device = devices.choose(config.device)
    asking = Asking(
        config.test_time_augmentation,
        config.dropout_passes,
        config.dropout_rate,
        config.seed,
        device,
        config.precision,
    )

    def ask(networks: Sequence[nn.Module], rows: Tensor) -> Opinions:
        whole = [_whole(network, inputs.frozen).to(device) for network in networks]
        used = 1 if config.networks == "first" else len(whole)
        return opinions(whole, used, inputs.inputs, rows, asking, report)

    said = ask(inputs.networks, inputs.rows)
    embeddings = said.embeddings
    if inputs.teaching is not None:
        said = out_of_sample(inputs.teaching, config.cross_validate, ask, device, report, inputs.store)
    columns = _columns(said, inputs.labels)
    if config.neighbours:
        generator = numpy_generator(config.seed, "neighbours")
        columns["neighbour_disagreement"] = neighbour_disagreement(
            embeddings, inputs.labels, config.neighbours, generator
        )
    best = said.posterior.argmax(axis=1)
    peer = said.by_network[1].argmax(axis=1) if len(said.by_network) > 1 else None
    facts = {
        "samples": len(inputs.labels),
        "networks": len(said.by_network) if config.networks == "both" else 1,
        "out_of_sample": inputs.teaching is not None,
        "mean_entropy": float(columns["entropy"].mean()),
        "disagrees_with_label": float((best != inputs.labels).mean()),
    }
    return ScoreOutputs(said.posterior, columns, best, peer, embeddings, devices.name(device), facts)


def _whole(network: nn.Module, frozen: nn.Module | None) -> nn.Module:
    if frozen is None:
        return network
    assert isinstance(network, Head)
    return Network(frozen, network)


def _columns(said: Opinions, labels: NDArray[np.int64]) -> dict[str, Floats]:
    """Return what follows from the posteriors and the labels, by column of the scores table."""
    posterior = said.posterior
    columns = {
        "entropy": uncertainty.entropy(posterior),
        "least_confidence": uncertainty.least_confidence(posterior),
        "margin": uncertainty.margin(posterior),
        "loss": uncertainty.given_loss(posterior, labels),
        "self_confidence": label_quality.self_confidence(posterior, labels),
        "normalised_margin": label_quality.normalised_margin(posterior, labels),
        "cross_entropy_less_entropy": label_quality.cross_entropy_less_entropy(posterior, labels),
        "confidence_weighted_entropy": label_quality.confidence_weighted_entropy(posterior, labels),
    }
    if said.bald is not None:
        columns["bald"] = said.bald
    if len(said.by_network) > 1:
        columns["disagreement"] = uncertainty.disagreement(*said.by_network)
    return columns
