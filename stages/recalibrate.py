"""Phase 2: fine-tune on the trusted set (Khanal et al. 2024, section 2.2).

Trusted are the samples judged clean, under their labels as they are, and those an expert has looked at, under the
expert's. Where phase 1 made no judgement (cross-entropy) the whole training set is. Nobody corrects a label here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from schemas.errors import NothingToDoError, listing
from stages.report import Array, Report, Store
from stages.training import device as devices
from stages.training.fit import Examples, FitPlan, Rule, fit
from stages.training.inputs import Inputs
from stages.training.options import TrainingOptions
from stages.training.state import Row


class RecalibrateConfig(TrainingOptions):
    """Options of `recalibrate`."""

    epochs: int = Field(25, ge=1, le=10_000, description="passes over the trusted samples")
    trust: Literal["clean", "relabelled", "all"] = Field(
        "clean", description="what to learn from: judged clean and relabelled, relabelled alone, or everything"
    )


@dataclass(frozen=True)
class RecalibrateInputs:
    """What phase 2 learns from.

    Attributes:
        rows: (N,) rows of the training samples in the data set.
        labels: (N,) their labels now.
        judged_clean: (N,) by phase 1: 1 yes, 0 no, -1 no judgement.
        relabelled: (N,) whether an expert gave the label.
        val_rows: (V,) rows of the validation split.
        val_labels: (V,) their labels.
        classes: names in order.
        network: the one to fine-tune, with its weights.
        inputs: gives batches by row.
    """

    rows: Tensor
    labels: Tensor
    judged_clean: NDArray[np.int8]
    relabelled: NDArray[np.bool_]
    val_rows: Tensor
    val_labels: Tensor
    classes: tuple[str, ...]
    network: nn.Module
    inputs: Inputs


@dataclass(frozen=True)
class RecalibrateOutputs:
    """What phase 2 leaves: the network trained in place, a row an epoch, the last epochs' weights, and facts."""

    network: nn.Module
    history: list[Row]
    tail: Mapping[int, Mapping[str, Array]]
    device: str
    facts: dict[str, Any]


def run(config: RecalibrateConfig, inputs: RecalibrateInputs, report: Report, store: Store) -> RecalibrateOutputs:
    """Fine-tune on the trusted set; keep the best epoch by validation macro-F1.

    Raises:
        NothingToDoError: no sample is trusted.
        DataError: the training diverged.
        UsageError: the memory does not suffice for the batch size.
    """
    chosen = trusted(config.trust, inputs.judged_clean, inputs.relabelled)
    if len(chosen) < 2:
        raise NothingToDoError("fewer than two samples are trusted; relabel some first, or use --trust all")
    labels = inputs.labels[chosen]
    counts = np.bincount(labels.numpy(), minlength=len(inputs.classes))
    absent = [name for name, count in zip(inputs.classes, counts, strict=True) if count == 0]
    if absent:
        report.warn(f"no trusted sample of {listing(absent)}: the network cannot learn it; relabel some of it first")
    device = devices.choose(config.device)
    examples = Examples(
        inputs.inputs, inputs.rows[chosen], labels, inputs.val_rows, inputs.val_labels, len(inputs.classes)
    )
    plan = FitPlan.of(config, device, keep_best=len(inputs.val_rows) > 0)
    fitted = fit([inputs.network], examples, Rule.plain(), plan, report, store)
    best = fitted.history[fitted.best_epoch]
    facts = {
        "trusted": len(chosen),
        "relabelled": int(inputs.relabelled.sum()),
        "trusted_by_class": dict(zip(inputs.classes, counts.tolist(), strict=True)),
        "best_epoch": fitted.best_epoch + 1,
        "val_macro_f1": best["val_macro_f1"],
        "val_balanced_accuracy": best["val_balanced_accuracy"],
    }
    return RecalibrateOutputs(inputs.network, fitted.history, fitted.tail, devices.name(device), facts)


def trusted(
    trust: Literal["clean", "relabelled", "all"], judged_clean: NDArray[np.int8], relabelled: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the places of the trusted samples; without a judgement a sample counts as trusted."""
    if trust == "all":
        return np.arange(len(relabelled))
    if trust == "relabelled":
        return np.flatnonzero(relabelled)
    return np.flatnonzero(relabelled | (judged_clean != 0))
