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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, model_validator
from torch import Tensor, nn

from schemas.checkpoint import NetworkSpec
from schemas.errors import NothingToDoError, UsageError, listing
from stages.methods.class_imbalance import Sampling
from stages.methods.transition_model import UNKNOWN
from stages.report import Array, Report, Store
from stages.training import device as devices
from stages.training.class_aware import ClassAware, ClassAwareOptions, TruthLoss, class_aware
from stages.training.fit import Fitted, fit
from stages.training.inputs import FeatureInputs, FeatureRows, Inputs
from stages.training.judgement_table import clean_table
from stages.training.last_layer import LastLayer
from stages.training.learning import Examples, Rule
from stages.training.noise_watch import LabelEvidence, NoiseWatch
from stages.training.options import TrainingOptions
from stages.training.picking import Picker
from stages.training.plan import FitPlan
from stages.training.predict import predict
from stages.training.recipe import CLEAN_FLOOR, TWICE, start
from stages.training.state import Row

Trust = Literal["auto", "clean", "relabelled", "all", "weighted"]


class RecalibrateConfig(TrainingOptions):
    """Options of `recalibrate`."""

    model_config = ConfigDict(serialize_by_alias=True)  # so that `from` is `from` in what is written too

    @model_validator(mode="after")
    def _a_last_layer_needs_the_others(self) -> RecalibrateConfig:
        if self.layers == "last" and self.from_ == "scratch":
            raise ValueError(
                "--layers last goes on from the checkpoint's other layers; --from scratch takes none of them"
            )
        return self

    def settled(self, method: str) -> RecalibrateConfig:
        """Return the options with `trust` settled, for a checkpoint that this method began.

        Raises:
            UsageError: classes are to be evened out twice.
        """
        found = self.trust if self.trust != "auto" else ("weighted" if method == "class-aware" else "clean")
        evened = self.logit_adjustment or self.class_weights != "none" or self.sampling != "natural"
        if found == "weighted" and evened:
            raise UsageError(TWICE.format("--trust weighted"))
        return self.model_copy(update={"trust": found})

    epochs: int = Field(25, ge=1, le=10_000, description="passes over the trusted samples")
    from_: Literal["checkpoint", "scratch"] = Field(
        "checkpoint", alias="from", description="weights to begin with; scratch: the backbone's first, and a fresh head"
    )
    layers: Literal["all", "last"] = Field(
        "all", description="what learns; last: the last layer alone, begun anew (classifier retraining)"
    )
    sampling: Sampling = Field(
        "natural",
        description="of a pass: natural, each sample once; balanced: drawn so that each class comes as often; "
        "square-root: between",
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
        sample_ids: N ids of the training samples.
        rows: (N,) their rows in the data set.
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

    sample_ids: Sequence[str]
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
        clean: columns of the clean table; None where nothing was judged anew.
        noise: what the noise is estimated to be, as `noise_watch.summary` gives it; None where it was not.
        history: a row an epoch.
        tail: the last epochs' weights.
        device: its name.
        facts: what a person should know.
    """

    network: nn.Module
    clean: pl.DataFrame | None
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
    weighted = Rule(*_aware(config, inputs, device)) if config.trust == "weighted" else None
    network = _beginning(config, inputs)
    fitted = _learn(config, inputs, network, (inputs.rows[chosen], labels), weighted or Rule.plain(), report, store)
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
    clean = noise = None
    if weighted is not None and (noise := weighted.picker.facts()["noise"] or None) is not None:
        clean = _judged_anew(weighted.picker, inputs.sample_ids)
    return RecalibrateOutputs(network, clean, noise, fitted.history, fitted.tail, devices.name(device), facts)


def _learn(
    config: RecalibrateConfig,
    inputs: RecalibrateInputs,
    network: nn.Module,
    trusted: tuple[Tensor, Tensor],
    rule: Rule,
    report: Report,
    store: Store,
) -> Fitted:
    """Train the network, or its last layer alone, on the rows and labels that are trusted."""
    device = devices.choose(config.device)
    plan = FitPlan.of(config, device, keep_best=len(inputs.val_rows) > 0)

    def examples(seen: Inputs) -> Examples:
        return Examples(seen, *trusted, inputs.val_rows, inputs.val_labels, len(inputs.classes))

    if config.layers == "all":
        return fit([network], examples(inputs.inputs), rule, plan, report, store)
    last = LastLayer(network, config.seed)
    wanted = torch.cat([trusted[0], inputs.val_rows])
    seen = last.inputs(inputs.inputs, wanted, int(wanted.max()) + 1, device, config.precision)
    fitted = fit([last.alone], examples(seen), rule, plan, report, store)
    last.put_back()
    return replace(fitted, tail=last.whole(fitted.tail))


def _judged_anew(picker: Picker, sample_ids: Sequence[str]) -> pl.DataFrame | None:
    assert isinstance(picker, ClassAware)
    return None if picker.judged is None else clean_table(sample_ids, *picker.judged, picker.truth)


def _aware(config: RecalibrateConfig, inputs: RecalibrateInputs, device: torch.device) -> tuple[ClassAware, TruthLoss]:
    """Return the rule that learns what stands behind the labels, an expert's as told."""
    if isinstance(inputs.inputs, FeatureInputs):
        features: Tensor | FeatureRows = FeatureRows(inputs.inputs.features, inputs.rows)
    else:
        features = predict([inputs.network.to(device)], inputs.inputs, inputs.rows, device, config.precision).embeddings
    label = inputs.labels.numpy()
    first = label if inputs.first_labels is None else inputs.first_labels.numpy()
    told = inputs.relabelled & config.correct
    given = np.where(told & (inputs.first_labels is None), UNKNOWN, first)
    known = LabelEvidence(given, np.where(told, label, UNKNOWN), inputs.units, features)
    options = ClassAwareOptions(warm_up=1, floor=config.clean_floor, balance=config.balance)
    return class_aware(options, NoiseWatch(known, len(inputs.classes), config.seed))


def _beginning(config: RecalibrateConfig, inputs: RecalibrateInputs) -> nn.Module:
    """Return the network as training begins; from scratch, as network 1 of phase 1 begins with the same seed."""
    if config.from_ == "checkpoint":
        return inputs.network
    seen = inputs.inputs
    features = FeatureRows(seen.features, inputs.rows) if isinstance(seen, FeatureInputs) else None
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
