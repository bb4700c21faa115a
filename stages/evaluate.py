"""Evaluate: how good a network is, overall and by class, with intervals; and how good the labels are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from schemas.judgement import ALL
from stages.methods import calibration, intervals, label_audit, metrics, subgroups
from stages.methods.class_groups import class_groups
from stages.methods.judgement import Seen, judge, losses
from stages.methods.label_audit import Audit, Labels
from stages.methods.metrics import ByClass, Yardstick
from stages.methods.predictions import Floats, Ints, Predictions
from stages.methods.randomness import numpy_generator
from stages.methods.undefined import none_if_nan
from stages.report import Report
from stages.training.device import Device, Precision

_FEW_GROUPS = 20
_OF_SUBGROUPS = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auroc", "log_loss", "expected_calibration_error")


class EvaluateConfig(BaseModel):
    """Options of `evaluate`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: Literal["train", "val", "test"] = Field("test", description="samples to judge the network by")
    networks: Literal["first", "both"] = Field(
        "both", description="both: softmax of the summed logits, where there are two"
    )
    last_epochs: bool = Field(True, description="judge the last epochs' weights too, where they were kept")
    logits: bool = Field(False, description="--predictions holds logits, and no probabilities")
    top_k: tuple[int, ...] = Field((2, 3), description="k of top-k accuracy (may be repeated)")
    many: int = Field(100, ge=0, description="a class with more training samples is counted among those with many")
    few: int = Field(20, ge=0, description="a class with fewer training samples is counted among those with few")
    calibration_bins: int = Field(15, ge=2, le=1000, description="of confidence, for the calibration error")
    by: tuple[str, ...] = Field((), description="column of --metadata or of the samples: sub-groups (may be repeated)")
    bootstrap: int = Field(1000, ge=0, le=100_000, description="resamples for the 95 % intervals; 0 for none")
    figures: bool = Field(True, description="draw them, as PNG and SVG; `report` draws its own")
    device: Device = Field("auto", description="where to compute")
    precision: Precision = Field("auto", description="auto: bfloat16 where the hardware computes in it")
    seed: int = Field(0, ge=0, description="of the bootstrap")


@dataclass(frozen=True)
class EvaluateInputs:
    """What is judged, and by what.

    Attributes:
        predictions: of the N samples of the split.
        group: (N,) number of each sample's group, from 0; groups are resampled together.
        classes: names in order.
        ordered: whether they are grades of one scale.
        training_counts: (K,) training samples of each class.
        costs: (K, K) of saying class column of a sample of class row; None where nobody said.
        metadata: columns by name, (N,) each, to make sub-groups of.
        last_epochs: predictions by the last epochs' weights, by epoch.
        labels: of the training samples, where the truth is known.
        seen: what phase 1 saw of them, epoch by epoch; may be empty.
        audits: labels looked at by chance.
    """

    predictions: Predictions
    group: Ints
    classes: tuple[str, ...]
    ordered: bool
    training_counts: Ints
    costs: Floats | None = None
    metadata: Mapping[str, pl.Series] = field(default_factory=dict)
    last_epochs: Iterable[tuple[int, Predictions]] = ()
    labels: Labels | None = None
    seen: Iterable[Seen] = ()
    audits: Sequence[Audit] = ()


@dataclass(frozen=True)
class EvaluateOutputs:
    """Figures.

    Attributes:
        metrics: each with value, low and high; None where undefined.
        last_epochs: their number, and mean and standard deviation of each metric; None where none were kept.
        by_class: columns of the per-class table.
        confusion: (K, K), rows are references.
        mean_posterior: (K, K) mean posterior of the samples of class row; nan for a class without samples.
        reliability: by bin of confidence; None without posteriors.
        subgroups: rows of the table of sub-groups.
        label_quality: overall figures of the labels, by the truth; None where no truth is given.
        estimated_noise: from labels looked at by chance; None where there are none.
        transition: (K, K) each, samples of true class row that first bore, and now bear, label column.
        judgement: columns of the judgement table, epoch by epoch; None where no truth is given or none is known.
    """

    metrics: dict[str, dict[str, float | None]]
    last_epochs: dict[str, Any] | None
    by_class: dict[str, list[Any]]
    confusion: Ints
    mean_posterior: Floats | None
    reliability: calibration.Reliability | None
    subgroups: list[dict[str, Any]]
    label_quality: dict[str, Any] | None
    estimated_noise: dict[str, Any] | None
    transition: tuple[Ints, Ints] | None
    judgement: dict[str, list[Any]] | None = None


def run(config: EvaluateConfig, inputs: EvaluateInputs, report: Report) -> EvaluateOutputs:
    """Judge predictions by references.

    Raises:
        UsageError: a column for sub-groups has too many values.
    """
    given, size = inputs.predictions, len(inputs.classes)
    counts = inputs.training_counts
    yardstick = Yardstick(
        tuple(sorted(set(config.top_k))),
        inputs.ordered,
        inputs.costs,
        class_groups(counts, config.many, config.few),
        config.calibration_bins,
    )
    matrix = metrics.confusion(given.label, given.predicted, size)
    found = metrics.by_class(given, matrix)
    values = metrics.overall(given, yardstick, found)
    replicates = _replicates(config, inputs, yardstick, report)
    quality = inputs.labels
    return EvaluateOutputs(
        metrics=_with_bounds(values, replicates, int(inputs.group.max()) + 1),
        last_epochs=_last_epochs(inputs.last_epochs, yardstick),
        by_class={
            "label": list(inputs.classes),
            **_by_class(found, inputs, replicates),
            "training_samples": counts.tolist(),
            "class_group": _group_names(yardstick, size),
            **label_audit.by_class(quality, size),
        },
        confusion=matrix,
        mean_posterior=_mean_posterior(given),
        reliability=None if given.posterior is None else calibration.reliability(given, config.calibration_bins),
        subgroups=_subgroups(config, inputs, yardstick),
        label_quality=None if quality is None else label_audit.by_truth(quality, inputs.classes),
        estimated_noise=label_audit.estimate(inputs.audits),
        transition=None if quality is None else _transitions(quality, size),
        judgement=None if quality is None else _by_epoch(quality, inputs.seen, inputs.classes),
    )


def _replicates(
    config: EvaluateConfig, inputs: EvaluateInputs, yardstick: Yardstick, report: Report
) -> intervals.Replicates | None:
    if not config.bootstrap:
        return None
    groups = int(inputs.group.max()) + 1
    if groups < _FEW_GROUPS:
        report.warn(f"the split has {groups} groups: intervals from so few are too narrow to be relied on")
    drawn = intervals.resamples(inputs.group, config.bootstrap, numpy_generator(config.seed, "bootstrap"))
    return intervals.replicate(inputs.predictions, drawn, yardstick)


def _with_bounds(
    values: Mapping[str, float | None], replicates: intervals.Replicates | None, groups: int
) -> dict[str, dict[str, float | None]]:
    """Return each metric with its interval; None where there is none, or every resample says the same."""
    told: dict[str, dict[str, float | None]] = {}
    for name, value in values.items():
        low = high = math.nan
        if replicates is not None and value is not None:
            found = replicates.overall[name]
            is_share = name == "accuracy" or name.startswith("top_")
            low, high = intervals.of_share(found, value, groups) if is_share else intervals.bounds(found)
        known = low < high
        told[name] = {"value": value, "low": low if known else None, "high": high if known else None}
    return told


def _by_class(
    found: ByClass, inputs: EvaluateInputs, replicates: intervals.Replicates | None
) -> dict[str, list[float | None] | list[int]]:
    """Return the columns of the per-class table that tell of the predictions."""
    told: dict[str, Any] = {"support": found.support.tolist(), "predicted": found.predicted.tolist()}
    for name in metrics.BY_CLASS:
        values = getattr(found, name)
        told[name] = [none_if_nan(float(value)) for value in values]
        ends = [(float("nan"), float("nan"))] * len(values)
        if replicates is not None:
            ends = [_bounds(name, index, float(value), inputs, replicates) for index, value in enumerate(values)]
        for place, end in enumerate(("low", "high")):
            told[f"{name}_{end}"] = [none_if_nan(pair[place]) for pair in ends]
    for name in ("mcc", "log_loss"):
        told[name] = [none_if_nan(float(value)) for value in getattr(found, name)]
    return told


def _bounds(
    name: str, index: int, value: float, inputs: EvaluateInputs, replicates: intervals.Replicates
) -> tuple[float, float]:
    """Return the interval of one class's metric; undefined where the metric is."""
    if np.isnan(value):
        return float("nan"), float("nan")
    label, predicted = inputs.predictions.label, inputs.predictions.predicted
    hangs_on = {"precision": predicted == index, "specificity": label != index}.get(name, label == index)
    groups = intervals.groups_of(inputs.group, hangs_on)
    return intervals.of_class(replicates.by_class[name][:, index], value, groups)


def _group_names(yardstick: Yardstick, classes: int) -> list[str]:
    return [
        next(name for name, members in yardstick.class_groups.items() if members[index]) for index in range(classes)
    ]


def _last_epochs(epochs: Iterable[tuple[int, Predictions]], yardstick: Yardstick) -> dict[str, Any] | None:
    """Return mean and standard deviation of each metric over the last epochs; of those in which it is defined."""
    judged = {epoch: metrics.overall(given, yardstick) for epoch, given in epochs}
    if not judged:
        return None
    told: dict[str, dict[str, float | None]] = {}
    for name in next(iter(judged.values())):
        known = np.array([value for one in judged.values() if (value := one[name]) is not None])
        spread = float(known.std(ddof=1)) if len(known) > 1 else None
        told[name] = {"mean": float(known.mean()) if len(known) else None, "deviation": spread}
    return {"epochs": [epoch + 1 for epoch in judged], "metrics": told}


def _mean_posterior(given: Predictions) -> Floats | None:
    if given.posterior is None:
        return None
    count = np.bincount(given.label, minlength=given.count)[:, None]
    total = np.stack(
        [np.bincount(given.label, weights=column, minlength=given.count) for column in given.posterior.T], axis=1
    )
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))


def _subgroups(config: EvaluateConfig, inputs: EvaluateInputs, yardstick: Yardstick) -> list[dict[str, Any]]:
    """Return the metrics of each sub-group, a row each; with intervals where there are groups enough for them."""
    rows = []
    plain = Yardstick(calibration_bins=yardstick.calibration_bins)
    for column, values in inputs.metadata.items():
        names = subgroups.subgroups(values).to_numpy()
        for name in sorted(set(names)):
            places = np.flatnonzero(names == name)
            given, group = inputs.predictions.at(places), np.unique(inputs.group[places], return_inverse=True)[1]
            found = None
            groups = int(group.max()) + 1
            if config.bootstrap and groups >= _FEW_GROUPS:
                generator = numpy_generator(config.seed, "bootstrap", column, name)
                drawn = intervals.resamples(group.astype(np.int64), config.bootstrap, generator)
                found = intervals.replicate(given, drawn, plain)
            told = _with_bounds(metrics.overall(given, plain), found, groups)
            size = {"samples": len(places), "groups": groups, "classes": len(np.unique(given.label))}
            rows += [
                {"column": column, "subgroup": name, "metric": metric, **size, **told[metric]}
                for metric in _OF_SUBGROUPS
                if metric in told
            ]
    return rows


def _transitions(given: Labels, classes: int) -> tuple[Ints, Ints]:
    before, after = (
        label_audit.transition(given.true_label, label, classes) for label in (given.first_label, given.label)
    )
    return before, after


def _by_epoch(given: Labels, seen: Iterable[Seen], classes: tuple[str, ...]) -> dict[str, list[Any]] | None:
    """Return the columns of the judgement table: all classes together, and each by its own."""
    rows: list[tuple[Any, ...]] = []
    right = given.first_label == given.true_label
    for one in seen:
        found = judge(one.kept, given.first_label, given.true_label, len(classes))
        rows.append((one.epoch, ALL, found.precision, found.recall, *losses(one, right)))
        for index, name in enumerate(classes):
            mine = given.true_label == index
            of_class = Seen(one.epoch, one.kept[mine], one.loss[mine])
            told = losses(of_class, right[mine])
            rows.append((one.epoch, name, found.precision_by_class[index], found.recall_by_class[index], *told))
    names = ("epoch", "label", "clean_precision", "clean_recall", "loss_clean", "loss_noisy", "loss_picked")
    return {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)} if rows else None
