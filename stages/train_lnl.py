"""Phase 1: learn with noisy labels, and judge which labels are right (Khanal et al. 2024, section 2.1).

The signals come from the training pass itself; a sample is judged clean where network 1 picked it in the last epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from schemas.checkpoint import NetworkSpec
from schemas.errors import listing
from stages.report import Report, Store
from stages.training import device as devices
from stages.training.fit import Examples, FitPlan, Row, fit
from stages.training.inputs import FeatureInputs, ImageInputs, Inputs
from stages.training.network import Network, build_network, fit_standardisation, load_weights
from stages.training.options import TrainingOptions
from stages.training.picking import PickAll, Picker, PickSmallLoss, SmallLossOptions
from stages.training.signals import EpochSignals

Method = Literal["cross-entropy", "coteaching", "coteaching-vog"]
_SURE_EPOCHS = 5  # the last epochs whose picks say how surely a sample was judged clean


class TrainLnlConfig(TrainingOptions):
    """Options of `train-lnl`."""

    method: Method = Field("coteaching-vog", description="how to learn from noisy labels")
    forget_rate: float | Literal["auto"] = Field(
        "auto", description="share of a batch left out at the end; auto: estimated from the losses"
    )
    num_gradual: int = Field(10, ge=1, description="epochs over which the forget rate rises")
    exponent: float = Field(1.0, gt=0, description="c: the forget rate rises to its c-th power")
    mix_ratio: float = Field(0.2, ge=0, le=1, description="share of the picks by variance of gradients")
    all_activations: bool = Field(False, description="variance of the gradients of all classes' rows")
    train: Literal["all", "head"] = Field("all", description="head: the backbone is frozen, its features computed once")
    backbone: str = Field("resnet18", description="name of a timm model")
    weights: str = Field("none", description="none, a weights package (efficientnet-lite0), or a file")
    hidden: int | None = Field(
        None, ge=0, description="width of a layer before the last (default: 256 if frozen, else 0)"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="before the last layer")

    @field_validator("forget_rate")
    @classmethod
    def _forget_rate_is_a_share(cls, value: float | str) -> float | str:
        if isinstance(value, float) and not 0 <= value < 1:
            raise ValueError("must be auto, or a share from 0 to below 1")
        return value

    @property
    def hidden_width(self) -> int:
        """The width of the hidden layer; heads on one frozen backbone need one of their own to differ."""
        return self.hidden if self.hidden is not None else (256 if self.train == "head" else 0)


@dataclass(frozen=True)
class TrainLnlInputs:
    """What phase 1 learns from.

    Attributes:
        sample_ids: (N,) ids of the training samples.
        rows: (N,) their rows in the data set.
        labels: (N,) their given classes.
        val_rows: (V,) rows of the validation split.
        val_labels: (V,) their labels.
        classes: names in order.
        images: (all, H, W, 3) uint8; None where features are given.
        features: (all, D) of the frozen backbone; None where images are given.
        spec: how the networks are built.
        backbone_weights: tensors that the backbone starts from; empty for a fresh one.
    """

    sample_ids: list[str]
    rows: Tensor
    labels: Tensor
    val_rows: Tensor
    val_labels: Tensor
    classes: tuple[str, ...]
    images: Tensor | None
    features: Tensor | None
    spec: NetworkSpec
    backbone_weights: Mapping[str, Tensor]


@dataclass(frozen=True)
class TrainLnlOutputs:
    """What phase 1 leaves.

    Attributes:
        networks: one or two, as trained.
        clean: columns of the clean table.
        signals: the signals table, unchecked.
        history: a row an epoch.
        device: its name.
        facts: what a person should know.
    """

    networks: list[nn.Module]
    clean: dict[str, Any]
    signals: pl.DataFrame
    history: list[Row]
    device: str
    facts: dict[str, Any]


def run(config: TrainLnlConfig, inputs: TrainLnlInputs, report: Report, store: Store) -> TrainLnlOutputs:
    """Train one network by cross-entropy, or two that pick for each other.

    Raises:
        UsageError: the backbone or device does not exist.
        DataError: the weights do not fit, or the loss is no longer a number.
    """
    device = devices.choose(config.device)
    networks = [
        _network(inputs, config.seed, number) for number in (1, 2)[: 1 if config.method == "cross-entropy" else 2]
    ]
    examples = Examples(
        _inputs(config, inputs, device),
        inputs.rows,
        inputs.labels,
        inputs.val_rows,
        inputs.val_labels,
        len(inputs.classes),
    )
    plan = FitPlan.of(config, device)
    fitted = fit(networks, examples, _picker(config, len(inputs.classes)), plan, report, store)
    clean = _clean(config.method, inputs.sample_ids, fitted.signals)
    last = fitted.history[-1]
    if clean["judged_clean"][0] is not None:
        _warn_of_vanished_classes(last["kept_share_by_class"], inputs.classes, report)
    facts = {
        "method": config.method,
        "samples": len(inputs.sample_ids),
        "epochs": config.epochs,
        "train_loss": last["train_loss"],
        "val_macro_f1": last["val_macro_f1"],
        "val_balanced_accuracy": last["val_balanced_accuracy"],
        "estimated_noise_rate": last["noise_rate_estimate"],
        "judged_clean": None if clean["judged_clean"][0] is None else sum(clean["judged_clean"]),
        "kept_share_by_class": dict(zip(inputs.classes, last["kept_share_by_class"], strict=True)),
    }
    signals = signals_table(inputs.sample_ids, fitted.signals)
    return TrainLnlOutputs(networks, clean, signals, fitted.history, devices.name(device), facts)


def _network(inputs: TrainLnlInputs, seed: int, number: int) -> nn.Module:
    network = build_network(inputs.spec, len(inputs.classes), seed, number)
    if inputs.features is not None:
        fit_standardisation(network, inputs.features[inputs.rows])
    elif inputs.backbone_weights and isinstance(network, Network):
        load_weights(network.backbone, inputs.backbone_weights, "--weights")
    return network


def _inputs(config: TrainLnlConfig, inputs: TrainLnlInputs, device: torch.device) -> Inputs:
    if inputs.features is not None:
        return FeatureInputs(inputs.features, device)
    assert inputs.images is not None
    return ImageInputs(inputs.images, inputs.spec, device, config.augmentation)


def _picker(config: TrainLnlConfig, classes: int) -> Picker:
    if config.method == "cross-entropy":
        return PickAll()
    return PickSmallLoss(
        SmallLossOptions(
            noise_rate=None if isinstance(config.forget_rate, str) else config.forget_rate,
            num_gradual=config.num_gradual,
            exponent=config.exponent,
            mix_ratio=config.mix_ratio if config.method == "coteaching-vog" else 0.0,
            all_classes=config.all_activations,
            classes=classes,
            seed=config.seed,
        )
    )


def _clean(method: Method, sample_ids: list[str], signals: list[EpochSignals]) -> dict[str, Any]:
    """Return the judgement of each sample; none where the method makes none."""
    if method == "cross-entropy":
        unknown = [None] * len(sample_ids)
        return {"sample_id": sample_ids, "judged_clean": unknown, "certainty": unknown}
    last = torch.stack([epoch.kept for epoch in signals[-_SURE_EPOCHS:]])  # (E, M, N)
    certainty = last.float().mean(dim=(0, 1))
    return {"sample_id": sample_ids, "judged_clean": signals[-1].kept[0].tolist(), "certainty": certainty.tolist()}


def _warn_of_vanished_classes(shares: list[float | None], classes: tuple[str, ...], report: Report) -> None:
    vanished = [name for name, share in zip(classes, shares, strict=True) if share == 0]
    if vanished:
        report.warn(
            f"no sample of {listing(vanished)} was judged clean in the last epoch: the class is treated as noise; "
            "look at it first (select --pool noisy), or use a lower --forget-rate"
        )


def signals_table(sample_ids: list[str], signals: list[EpochSignals]) -> pl.DataFrame:
    """Return the signals as a table, a row a sample, epoch and network."""
    count, frames = len(sample_ids), []
    for epoch, found in enumerate(signals):
        for network in range(len(found.loss)):
            variance = found.variance[network].numpy()
            columns = {
                "sample_id": sample_ids,
                "epoch": np.full(count, epoch, dtype=np.int32),
                "network": np.full(count, network + 1, dtype=np.int8),
                "loss": found.loss[network].numpy(),
                "p_given": found.p_given[network].clamp(0, 1).numpy(),
                "margin": found.margin[network].numpy(),
                "kept": found.kept[network].numpy(),
                "variance_of_gradients": variance,
            }
            frames.append(pl.DataFrame(columns).with_columns(pl.col("variance_of_gradients").fill_nan(None)))
    return pl.concat(frames)
