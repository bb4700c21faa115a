"""Phase 2: fine-tune on the trusted set (Khanal et al. 2024, section 2.2).

Trusted are the samples judged clean, under their labels as they are, and those an expert has looked at, under the
expert's. Where phase 1 made no judgement (cross-entropy) the whole training set is. Nobody corrects a label here.

After the class-aware method nothing is left out (`trust: weighted`): the noise is estimated again with what experts
told as evidence, what they looked at is learnt as told, and every other sample by the posterior of its true class. The
judgement is made anew too, so that the next selection goes by it.

The paper's variants: the network starts again as phase 1 did (`from: scratch`), and what was looked at is learnt under
the labels it had before (`correct: false`), the control that tells what looking alone would give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from torch import Tensor, nn

from schemas.checkpoint import NetworkSpec
from schemas.errors import NothingToDoError, UsageError, listing
from stages.methods.transition import UNKNOWN
from stages.report import Array, Report, Store
from stages.training import device as devices
from stages.training.class_aware import ClassAware, ClassAwareOptions
from stages.training.fit import Examples, FitPlan, Rule, fit
from stages.training.inputs import FeatureInputs, Inputs
from stages.training.noise_watch import LabelEvidence, NoiseWatch
from stages.training.options import TrainingOptions
from stages.training.predict import predict
from stages.training.recipe import CLEAN_FLOOR, TWICE, start
from stages.training.state import Row

Trust = Literal["auto", "clean", "relabelled", "all", "weighted"]


class RecalibrateConfig(TrainingOptions):
    """Options of `recalibrate`."""

    model_config = ConfigDict(serialize_by_alias=True)  # so that `from` is `from` in what is written too

    def settled(self, method: str) -> RecalibrateConfig:
        """Return the options with `trust` settled, for a checkpoint that this method began.

        Raises:
            UsageError: classes are to be evened out twice.
        """
        found = self.trust if self.trust != "auto" else ("weighted" if method == "class-aware" else "clean")
        if found == "weighted" and (self.logit_adjustment or self.class_weights != "none"):
            raise UsageError(TWICE.format("--trust weighted"))
        return self.model_copy(update={"trust": found})

    epochs: int = Field(25, ge=1, le=10_000, description="passes over the trusted samples")
    from_: Literal["checkpoint", "scratch"] = Field(
        "checkpoint", alias="from", description="weights to begin with; scratch: the backbone's first, and a fresh head"
    )
    trust: Trust = Field(
        "auto",
        description="what to learn from: judged clean and relabelled, relabelled alone, everything, or everything as "
        "likely as it is; auto: weighted after the method class-aware, else clean",
    )
    clean_floor: float = Field(
        CLEAN_FLOOR,
        ge=0,
        le=1,
        description="of weighted: share of those expected to be right that each class keeps",
    )
    balance: float = Field(
        1.0, ge=0, description="of weighted: tau of the logit adjustment by the class shares that are estimated"
    )
    correct: bool = Field(
        True, description="no: what an expert looked at is learnt under the label it had before, for experiments"
    )


@dataclass(frozen=True)
class RecalibrateInputs:
    """What phase 2 learns from.

    Attributes:
        rows: (N,) rows of the training samples in the data set.
        labels: (N,) their labels now.
        first_labels: (N,) their labels before anybody looked; None where they are not known, or not asked for.
        judged_clean: (N,) by phase 1: 1 yes, 0 no, -1 no judgement.
        relabelled: (N,) whether an expert gave the label.
        val_rows: (V,) rows of the validation split.
        val_labels: (V,) their labels.
        classes: names in order.
        network: the one to go on with, with its weights.
        spec: how it is built.
        backbone_weights: tensors that its backbone starts from where it begins from scratch; empty for fresh ones.
        inputs: gives batches by row.
        units: (N,) group of each sample.
    """

    rows: Tensor
    labels: Tensor
    first_labels: Tensor | None
    judged_clean: NDArray[np.int8]
    relabelled: NDArray[np.bool_]
    val_rows: Tensor
    val_labels: Tensor
    classes: tuple[str, ...]
    network: nn.Module
    spec: NetworkSpec
    backbone_weights: Mapping[str, Tensor]
    inputs: Inputs
    units: NDArray[np.int64]


@dataclass(frozen=True)
class RecalibrateOutputs:
    """What phase 2 leaves.

    Attributes:
        network: as trained.
        judged: (N,) which labels count as right, and (N,) the chance of each; None where nothing was judged anew.
        noise: what the noise is estimated to be, as `noise_watch.summary` gives it; None where it was not.
        history: a row an epoch.
        tail: the last epochs' weights.
        device: its name.
        facts: what a person should know.
    """

    network: nn.Module
    judged: tuple[NDArray[np.bool_], NDArray[np.float64]] | None
    noise: dict[str, Any] | None
    history: list[Row]
    tail: Mapping[int, Mapping[str, Array]]
    device: str
    facts: dict[str, Any]


def run(config: RecalibrateConfig, inputs: RecalibrateInputs, report: Report, store: Store) -> RecalibrateOutputs:
    """Train on the trusted set, or on all as likely as it is; `trust` is settled.

    The best epoch by validation macro-F1 is kept, under the labels of validation as they are.

    Raises:
        NothingToDoError: no sample is trusted.
        DataError: the training diverged.
        UsageError: the memory does not suffice for the batch size.
    """
    chosen = trusted(config.trust, inputs.judged_clean, inputs.relabelled)
    if len(chosen) < 2:
        raise NothingToDoError("fewer than two samples are trusted; relabel some first, or use --trust all")
    labels = _learnt(config, inputs)[chosen]
    counts = np.bincount(labels.numpy(), minlength=len(inputs.classes))
    absent = [name for name, count in zip(inputs.classes, counts, strict=True) if count == 0]
    if absent:
        report.warn(f"no trusted sample of {listing(absent)}: the network cannot learn it; relabel some of it first")
    device = devices.choose(config.device)
    examples = Examples(
        inputs.inputs, inputs.rows[chosen], labels, inputs.val_rows, inputs.val_labels, len(inputs.classes)
    )
    plan = FitPlan.of(config, device, keep_best=len(inputs.val_rows) > 0)
    aware = _aware(config, inputs, device) if config.trust == "weighted" else None
    network = _beginning(config, inputs)
    rule = Rule.plain() if aware is None else Rule(aware, aware)
    fitted = fit([network], examples, rule, plan, report, store)
    best = fitted.history[fitted.best_epoch]
    facts = {
        "trust": config.trust,
        "trusted": len(chosen),
        "relabelled": int(inputs.relabelled.sum()),
        "corrections_withheld": None if config.correct else int((labels != inputs.labels[chosen]).sum()),
        "trusted_by_class": dict(zip(inputs.classes, counts.tolist(), strict=True)),
        "best_epoch": fitted.best_epoch + 1,
        "estimated_noise_rate": best["noise_rate_estimate"],
        "val_macro_f1": best["val_macro_f1"],
        "val_balanced_accuracy": best["val_balanced_accuracy"],
    }
    judged = None if aware is None else aware.judged
    noise = None if aware is None else aware.watch.summary or None
    return RecalibrateOutputs(network, judged, noise, fitted.history, fitted.tail, devices.name(device), facts)


def _aware(config: RecalibrateConfig, inputs: RecalibrateInputs, device: torch.device) -> ClassAware:
    """Return the rule that learns what stands behind the labels, an expert's as told."""
    if isinstance(inputs.inputs, FeatureInputs):
        features = inputs.inputs.features[inputs.rows]
    else:
        features = predict([inputs.network.to(device)], inputs.inputs, inputs.rows, device, config.precision).embeddings
    label = inputs.labels.numpy()
    first = label if inputs.first_labels is None else inputs.first_labels.numpy()
    told = inputs.relabelled & config.correct
    given = np.where(told & (inputs.first_labels is None), UNKNOWN, first)
    known = LabelEvidence(given, np.where(told, label, UNKNOWN), inputs.units, features)
    options = ClassAwareOptions(warm_up=1, floor=config.clean_floor, balance=config.balance)
    return ClassAware(options, NoiseWatch(known, len(inputs.classes), config.seed))


def _beginning(config: RecalibrateConfig, inputs: RecalibrateInputs) -> nn.Module:
    """Return the network as training begins; from scratch, as network 1 of phase 1 begins with the same seed."""
    if config.from_ == "checkpoint":
        return inputs.network
    features = inputs.inputs.features[inputs.rows] if isinstance(inputs.inputs, FeatureInputs) else None
    return start(inputs.spec, len(inputs.classes), config.seed, 1, features, inputs.backbone_weights)


def _learnt(config: RecalibrateConfig, inputs: RecalibrateInputs) -> Tensor:
    """Return the labels to learn, (N,): those now, or those before anybody looked."""
    if config.correct:
        return inputs.labels
    assert inputs.first_labels is not None
    return inputs.first_labels


def trusted(trust: Trust, judged_clean: NDArray[np.int8], relabelled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the places of the trusted samples; without a judgement a sample counts as trusted."""
    if trust in ("all", "weighted"):
        return np.arange(len(relabelled))
    if trust == "relabelled":
        return np.flatnonzero(relabelled)
    return np.flatnonzero(relabelled | (judged_clean != 0))
