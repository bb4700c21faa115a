"""Evaluate: how good a network is, overall and by class, with intervals; and, where truth is known, the labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from schemas.judgement import ALL
from stages.methods import intervals, metrics
from stages.methods.judgement import Judged, judge, share
from stages.methods.randomness import numpy_generator
from stages.training.device import Device, Precision

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class EvaluateConfig(BaseModel):
    """Options of `evaluate`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: Literal["train", "val", "test"] = Field("test", description="samples to judge the network by")
    networks: Literal["first", "both"] = Field(
        "both", description="both: softmax of the summed logits, where there are two"
    )
    bootstrap: int = Field(1000, ge=0, description="resamples for the 95 % intervals; 0 for none")
    device: Device = Field("auto", description="where to compute")
    precision: Precision = Field("auto", description="auto: bfloat16 where the hardware computes in it")
    seed: int = Field(0, ge=0, description="of the bootstrap")


@dataclass(frozen=True)
class LabelQualityInputs:
    """What the labels are judged by, for the training samples.

    Attributes:
        true_label: (N,) class indices.
        first_label: (N,) as given to phase 1.
        label: (N,) as they are now.
        relabelled: (N,) whether an expert gave the label.
        judged_clean: (N,) by phase 1: 1 yes, 0 no, -1 no judgement.
        kept: by epoch of phase 1, (N,) which samples network 1 kept; may be empty.
    """

    true_label: Ints
    first_label: Ints
    label: Ints
    relabelled: NDArray[np.bool_]
    judged_clean: NDArray[np.int8]
    kept: Iterable[tuple[int, NDArray[np.bool_]]] = ()


@dataclass(frozen=True)
class EvaluateOutputs:
    """Figures.

    Attributes:
        metrics: each with value, low and high; None where undefined.
        by_class: columns of the per-class table.
        confusion: (K, K), rows are references.
        label_quality: overall figures of the labels; None where no truth is given.
        judgement: columns of the judgement table, epoch by epoch; None where no truth is given or none is known.
    """

    metrics: dict[str, dict[str, float | None]]
    by_class: dict[str, list[Any]]
    confusion: Ints
    label_quality: dict[str, Any] | None
    judgement: dict[str, list[Any]] | None = None


def run(
    config: EvaluateConfig,
    label: Ints,
    posterior: Floats,
    group: Ints,
    classes: tuple[str, ...],
    quality: LabelQualityInputs | None,
) -> EvaluateOutputs:
    """Judge posteriors (N, K) by references (N,); samples of one group (N,) are resampled together."""
    values = metrics.overall(label, posterior)
    bounds = {}
    if config.bootstrap:
        generator = numpy_generator(config.seed, "bootstrap")
        bounds = intervals.bootstrap(label, posterior, group, config.bootstrap, generator)
    told: dict[str, dict[str, float | None]] = {}
    for name, value in values.items():
        low, high = bounds.get(name, (float("nan"), float("nan")))
        known = value is not None
        told[name] = {
            "value": value,
            "low": metrics.none_if_nan(low) if known else None,
            "high": metrics.none_if_nan(high) if known else None,
        }
    found = metrics.by_class(label, posterior)
    floats = {name: _plain(getattr(found, name)) for name in ("precision", "recall", "specificity", "f1", "auroc")}
    counts = {"support": found.support.tolist(), "predicted": found.predicted.tolist()}
    by_class = {"label": list(classes), **counts, **floats, **_quality_by_class(quality, len(classes))}
    matrix = metrics.confusion(label, posterior.argmax(axis=1), len(classes))
    labels = None if quality is None else _label_quality(quality, len(classes))
    return EvaluateOutputs(told, by_class, matrix, labels, None if quality is None else _by_epoch(quality, classes))


def _plain(values: Floats) -> list[float | None]:
    return [metrics.none_if_nan(float(value)) for value in values]


def _label_quality(given: LabelQualityInputs, classes: int) -> dict[str, Any]:
    """Say how good the labels and the judgement are, over all training samples."""
    right_first = given.first_label == given.true_label
    right = given.label == given.true_label
    found = _judged(given, classes)
    return {
        "samples": len(right),
        "label_accuracy_before": share(right_first),
        "label_accuracy": share(right),
        "noise_rate": None if not len(right) else 1 - float(right_first.mean()),
        "relabelled": int(given.relabelled.sum()),
        "errors_mended": int((given.relabelled & ~right_first & right).sum()),
        "errors_made": int((given.relabelled & right_first & ~right).sum()),
        "clean_precision": None if found is None else found.precision,
        "clean_recall": None if found is None else found.recall,
        "clean_recall_worst_class": None if found is None else found.worst_recall,
    }


def _judged(given: LabelQualityInputs, classes: int) -> Judged | None:
    """Judge phase 1's judgement of the samples that it judged; None where it judged none."""
    judged = given.judged_clean >= 0
    if not judged.any():
        return None
    return judge((given.judged_clean == 1)[judged], given.first_label[judged], given.true_label[judged], classes)


def _quality_by_class(given: LabelQualityInputs | None, classes: int) -> dict[str, list[float | None]]:
    unknown: list[float | None] = [None] * classes
    if given is None:
        return dict.fromkeys(("label_accuracy", "clean_precision", "clean_recall"), unknown)
    right, found = given.label == given.true_label, _judged(given, classes)
    return {
        "label_accuracy": [share(right[given.true_label == index]) for index in range(classes)],
        "clean_precision": unknown if found is None else found.precision_by_class,
        "clean_recall": unknown if found is None else found.recall_by_class,
    }


def _by_epoch(given: LabelQualityInputs, classes: tuple[str, ...]) -> dict[str, list[Any]] | None:
    table: dict[str, list[Any]] = {"epoch": [], "label": [], "clean_precision": [], "clean_recall": []}
    for epoch, kept in given.kept:
        found = judge(kept, given.first_label, given.true_label, len(classes))
        table["epoch"] += [epoch] * (1 + len(classes))
        table["label"] += [ALL, *classes]
        table["clean_precision"] += [found.precision, *found.precision_by_class]
        table["clean_recall"] += [found.recall, *found.recall_by_class]
    return table if table["epoch"] else None
