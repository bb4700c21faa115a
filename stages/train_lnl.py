"""Phase 1: learn with noisy labels, and judge which labels are right (Khanal et al. 2024, section 2.1).

The signals come from the training pass itself; a sample is judged clean where network 1 picked it in the last epoch,
or, by the class-aware method, where its label is right by the estimated noise. Methods that learn from every sample
(cross-entropy and the robust losses) make no judgement. Those that judge are watched: a class whose labels are left
out far beyond what the estimate holds to be wrong is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from schemas.checkpoint import NetworkSpec
from schemas.errors import listing
from stages.report import Array, Report, Store, in_memory
from stages.training import device as devices
from stages.training.class_aware import ClassAware
from stages.training.fit import Fitted, fit
from stages.training.inputs import FeatureInputs, FeatureRows, ImageInputs, Inputs
from stages.training.judgement_table import clean_table
from stages.training.learning import Examples
from stages.training.noise_watch import LabelEvidence
from stages.training.picking import Picker
from stages.training.plan import FitPlan
from stages.training.recipe import JUDGING, MethodOptions, rule, start
from stages.training.signals import EpochSignals
from stages.training.state import Row

_SURE_EPOCHS = 5  # the last epochs whose picks say how surely a sample was judged clean
_STARVED = 0.5
"""Of the share that is right at the least, by the estimate: a class that keeps less than this of it starves."""


class TrainLnlConfig(MethodOptions):
    """Options of `train-lnl`."""

    train: Literal["all", "head"] = Field("all", description="head: the backbone is frozen, its features computed once")
    backbone: str = Field("resnet18", description="name of a timm or torchvision model")
    weights: str = Field(
        "none",
        description="none, a file, torchvision's (ResNet18_Weights.DEFAULT), or a package (efficientnet-lite0)",
    )
    hidden: int | None = Field(
        None, ge=0, description="width of a layer before the last (default: 256 if frozen, else 0)"
    )
    dropout: float | Literal["auto"] = Field(
        "auto",
        description="before each layer of the head; auto: half for class-aware on a frozen backbone, else none",
    )
    channels: Literal[1, 3] = Field(3, description="of the images that the backbone takes; 1: their luminance")

    @field_validator("channels", mode="before")
    @classmethod
    def _channels_as_text_too(cls, value: object) -> object:
        return int(value) if value in ("1", "3") else value  # a Literal of numbers takes no text

    @field_validator("dropout")
    @classmethod
    def _dropout_is_a_share(cls, value: float | str) -> float | str:
        if isinstance(value, float) and not 0 <= value < 1:
            raise ValueError("must be auto, or a share from 0 to below 1")
        return value

    @property
    def dropout_share(self) -> float:
        """The share that dropout leaves out: see docs/experiments.md."""
        if not isinstance(self.dropout, str):
            return self.dropout
        return 0.5 if self.method == "class-aware" and self.train == "head" else 0.0

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
        labels: (N,) their classes as they stand.
        known: what is known of the labels: as first given, and by an expert.
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
    known: LabelEvidence
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
        noise: what the noise is estimated to be, as `noise_watch.summary` gives it; None where nothing was estimated.
        signals: the signals table in parts, one an epoch and network, unchecked; may be gone through again.
        history: a row an epoch.
        tail: the last epochs' weights by epoch.
        device: its name.
        facts: what a person should know.
    """

    networks: list[nn.Module]
    clean: pl.DataFrame
    noise: dict[str, Any] | None
    signals: SignalTables
    history: list[Row]
    tail: Mapping[int, Mapping[str, Array]]
    device: str
    facts: dict[str, Any]


def run(config: TrainLnlConfig, inputs: TrainLnlInputs, report: Report, store: Store) -> TrainLnlOutputs:
    """Train one network on every sample, or two that pick for each other.

    Raises:
        UsageError: the backbone or device does not exist, or the memory does not suffice.
        DataError: the weights do not fit, or the training diverged.
    """
    device = devices.choose(config.device)
    networks = [_network(inputs, config.seed, number) for number in range(1, config.networks + 1)]
    learning = rule(config, inputs.known, len(inputs.classes))
    if config.method == "scratch":
        fitted = Fitted([], [], -1)
    else:
        examples = Examples(
            _inputs(config, inputs, device),
            inputs.rows,
            inputs.labels,
            inputs.val_rows,
            inputs.val_labels,
            len(inputs.classes),
        )
        fitted = fit(networks, examples, learning, FitPlan.of(config, device), report, store)
    clean = _clean(learning.picker, inputs.sample_ids, fitted.signals, config.method in JUDGING)
    noise = learning.picker.facts().get("noise") or None
    last: Row = fitted.history[-1] if fitted.history else {}
    judges = config.method in JUDGING
    if judges and noise is None:
        report.warn("the noise could not be estimated: there is one class or group, or features do not differ")
    if judges:
        _warn_of_starved_classes(last["kept_share_by_class"], noise, inputs.classes, report)
    facts = {
        "method": config.method,
        "samples": len(inputs.sample_ids),
        "epochs": len(fitted.history),
        "train_loss": last.get("train_loss"),
        "val_macro_f1": last.get("val_macro_f1"),
        "val_balanced_accuracy": last.get("val_balanced_accuracy"),
        "estimated_noise_rate": last.get("noise_rate_estimate"),
        "noise": None if noise is None else _named(noise, inputs.classes),
        "judged_clean": int(clean["judged_clean"].sum()) if judges else None,
        "kept_share_by_class": dict(zip(inputs.classes, last["kept_share_by_class"], strict=True)) if judges else None,
    }
    signals = SignalTables(inputs.sample_ids, fitted.signals)
    return TrainLnlOutputs(networks, clean, noise, signals, fitted.history, fitted.tail, devices.name(device), facts)


def _network(inputs: TrainLnlInputs, seed: int, number: int) -> nn.Module:
    features = None if inputs.features is None else FeatureRows(inputs.features, inputs.rows)
    return start(inputs.spec, len(inputs.classes), seed, number, features, inputs.backbone_weights)


def _inputs(config: TrainLnlConfig, inputs: TrainLnlInputs, device: torch.device) -> Inputs:
    if inputs.features is not None:
        return FeatureInputs(inputs.features, device)
    assert inputs.images is not None
    return ImageInputs(inputs.images, inputs.spec, device, config.augmentation)


def _clean(picker: Picker, sample_ids: list[str], signals: list[dict[str, Array]], judges: bool) -> pl.DataFrame:
    """Return the judgement of each sample; none where the method makes none."""
    if isinstance(picker, ClassAware) and picker.judged is not None:
        return clean_table(sample_ids, *picker.judged, picker.truth)
    if not judges:
        return clean_table(sample_ids, None, None, None)
    kept = [in_memory(epoch["kept"]) for epoch in signals[-_SURE_EPOCHS:]]  # (M, N) each
    certainty = torch.stack(kept).double().mean(dim=(0, 1)).numpy()
    return clean_table(sample_ids, kept[-1][0].numpy(), certainty, picker.truth)


def _named(noise: dict[str, Any], classes: tuple[str, ...]) -> dict[str, Any]:
    """Return the estimate with its rates by name of the class, without the matrix, which has a file of its own."""
    by_class = ("by_true_class", "by_given_class")
    told = {name: value for name, value in noise.items() if name != "transition"}
    return told | {key: dict(zip(classes, noise[key], strict=True)) for key in by_class}


def _warn_of_starved_classes(
    shares: list[float | None], noise: dict[str, Any] | None, classes: tuple[str, ...], report: Report
) -> None:
    """Name the classes of whose labels far fewer were judged clean than are right, at the least, by the estimate."""
    starved = []
    for index, (name, share) in enumerate(zip(classes, shares, strict=True)):
        wrong = None if noise is None else noise["by_given_class"][index]
        right = None if wrong is None else (1 - wrong["high"], 1 - wrong["low"])
        if share is None or (share > 0 and (right is None or share >= _STARVED * right[0])):
            continue
        held = "" if right is None else f", and {right[0]:.0%} to {right[1]:.0%} are held to be right"
        starved.append(f"{name} ({share:.0%} of its labels were judged clean{held})")
    if starved:
        report.warn(
            f"starved in the last epoch: {listing(starved)}; it is treated as noise. Use --method class-aware, which "
            "keeps a floor of each class, or look at it first (select --pool noisy)"
        )


class SignalTables:
    """The signals as tables, one an epoch and network, each made when it is asked for."""

    def __init__(self, sample_ids: list[str], signals: list[dict[str, Array]]) -> None:
        self._sample_ids = pl.Series(sample_ids, dtype=pl.String)
        self._signals = signals

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Give the tables in order of epoch and network."""
        for epoch, arrays in enumerate(self._signals):
            found = EpochSignals(**{name: in_memory(array) for name, array in arrays.items()})
            for network in range(len(found.loss)):
                yield self._table(epoch, network, found)

    def _table(self, epoch: int, network: int, found: EpochSignals) -> pl.DataFrame:
        count = len(self._sample_ids)
        columns = {
            "sample_id": self._sample_ids,
            "epoch": np.full(count, epoch, dtype=np.int32),
            "network": np.full(count, network + 1, dtype=np.int8),
            "loss": found.loss[network].numpy(),
            "p_given": found.p_given[network].clamp(0, 1).numpy(),
            "margin": found.margin[network].numpy(),
            "kept": found.kept[network].numpy(),
            "variance_of_gradients": found.variance[network].numpy(),
        }
        return pl.DataFrame(columns).with_columns(pl.col("variance_of_gradients").fill_nan(None))
