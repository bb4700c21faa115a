"""Score: what a network makes of each sample and of the label it bears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from stages.methods import uncertainty
from stages.report import Report
from stages.training import device as devices
from stages.training.device import Device, Precision
from stages.training.inputs import Inputs
from stages.training.predict import predict


class ScoreConfig(BaseModel):
    """Options of `score`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    networks: Literal["first", "both"] = Field(
        "first", description="whose posterior: network 1's, as in the paper, or both"
    )
    split: Literal["train", "val", "test"] = Field("train", description="samples to score")
    device: Device = Field("auto", description="where to compute")
    precision: Precision = Field("auto", description="auto: bfloat16 where the hardware computes in it")


@dataclass(frozen=True)
class ScoreOutputs:
    """Scores by sample.

    Attributes:
        posterior: (N, K).
        columns: entropy, least_confidence, margin, loss, (N,) each.
        predicted: (N,) class of the largest posterior.
        embeddings: (N, H) penultimate features of network 1.
        device: its name.
        facts: what a person should know.
    """

    posterior: NDArray[np.float64]
    columns: dict[str, NDArray[np.float64]]
    predicted: NDArray[np.int64]
    embeddings: Tensor
    device: str
    facts: dict[str, Any]


def run(
    config: ScoreConfig,
    networks: Sequence[nn.Module],
    inputs: Inputs,
    rows: Tensor,
    labels: NDArray[np.int64],
    report: Report,
) -> ScoreOutputs:
    """Score the samples of `rows`, (N,), that bear `labels`, (N,)."""
    device = devices.choose(config.device)
    used = [network.to(device) for network in networks[: 1 if config.networks == "first" else None]]
    predicted = predict(used, inputs, rows, device, config.precision, report)
    posterior = predicted.posterior.numpy().astype(np.float64)
    posterior /= posterior.sum(axis=1, keepdims=True)
    columns = {
        "entropy": uncertainty.entropy(posterior),
        "least_confidence": uncertainty.least_confidence(posterior),
        "margin": uncertainty.margin(posterior),
        "loss": uncertainty.given_loss(posterior, labels),
    }
    best = posterior.argmax(axis=1)
    facts = {
        "samples": len(labels),
        "networks": len(used),
        "mean_entropy": float(columns["entropy"].mean()),
        "disagrees_with_label": float((best != labels).mean()),
    }
    return ScoreOutputs(posterior, columns, best, predicted.embeddings, devices.name(device), facts)
