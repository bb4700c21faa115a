"""Noisy ids: which labels are probably wrong, and how much noise there is; estimates, and no label is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import NothingToDoError, UsageError, plural
from stages.methods import mislabelling
from stages.methods.noise_rate import noise_rate
from stages.methods.randomness import integer, numpy_generator
from stages.methods.samples import group_numbers, posteriors, tells_truth
from stages.report import Report

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Transition = Literal["auto", "estimated", "confident-joint", "symmetric"]
COLUMNS = ("sample_id", "group_id", "given_label", "relabelled", "posterior", "true_posterior", "loss")
"""The columns of the scores that are looked at."""


class NoisyIdsConfig(BaseModel):
    """Options of `noisy-ids`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least: float = Field(0.5, ge=0, le=1, description="chance of being wrong from which a label is listed")
    transition: Transition = Field(
        "auto",
        description="noise assumed: as training estimated it (the scores of methods that judge labels tell); as "
        "posteriors and labels show it; any class for any other alike, at the rate that the losses show; auto: the "
        "first of these that is there",
    )
    confidence_level: float = Field(0.95, gt=0, lt=1, description="of the intervals")
    bootstrap: int = Field(200, ge=0, description="resamples of whole groups for the intervals; 0 for none")
    seed: int = Field(0, ge=0, description="of the bootstrap")


@dataclass(frozen=True)
class NoisyIdsInputs:
    """What is judged.

    Attributes:
        scores: the scores table, at least `COLUMNS`; the posteriors hold K numbers and sum to 1.
        label: (N,) index of each given label.
        classes: K names in the order of the posterior.
        out_of_sample: whether the network had not learnt from the samples it was asked about; None where unknown.
    """

    scores: pl.DataFrame
    label: Ints
    classes: tuple[str, ...]
    out_of_sample: bool | None = None


@dataclass(frozen=True)
class Estimate:
    """Shares, and the ends of their intervals, all of one shape; nan where there is nothing to go by."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class NoisyIdsOutputs:
    """The list, and the noise.

    Attributes:
        noisy_ids: the columns of the table, most probably wrong first.
        size: (K,) samples by given class.
        overall: () share of wrong labels.
        by_given: (K,) share of wrong labels by given class.
        by_true: (K,) share of samples of a true class that bear another label.
        transition: (K, K) chance that a sample of the true class (row) bears a label (column).
        facts: for a person.
    """

    noisy_ids: pl.DataFrame
    size: Ints
    overall: Estimate
    by_given: Estimate
    by_true: Estimate
    transition: Estimate
    facts: dict[str, Any]


@dataclass(frozen=True)
class _Evidence:
    """What truth is inferred from.

    Attributes:
        posterior: (N, K) by the network.
        label: (N,) as given.
        loss: (N,) of the given label.
        truth: (N, K) as training estimated it; None where another estimate is asked for.
    """

    posterior: Floats
    label: Ints
    loss: Floats
    truth: Floats | None

    def rows(self, rows: Ints) -> _Evidence:
        truth = None if self.truth is None else self.truth[rows]
        return _Evidence(self.posterior[rows], self.label[rows], self.loss[rows], truth)


def run(config: NoisyIdsConfig, inputs: NoisyIdsInputs, report: Report) -> NoisyIdsOutputs:
    """List the labels that are probably wrong, and estimate noise rates and the transition matrix.

    Labels that an expert gave are left out of both. All that is said of the noise is summed from one posterior of the
    truth, so that list, rates and matrix agree; the intervals are of sampling alone, not of the posteriors' own bias.

    Raises:
        NothingToDoError: no label is left to judge.
        UsageError: training's own estimate is asked for, and the scores have none.
    """
    judged = _judged(inputs)
    config = config.model_copy(update={"transition": _transition(config, judged)})
    evidence = _Evidence(
        posteriors(judged),
        judged["index"].to_numpy(),
        judged["loss"].to_numpy().astype(np.float64),
        posteriors(judged, "true_posterior") if config.transition == "estimated" else None,
    )
    truth = _posterior_of_truth(config, evidence)
    listed = _list(config, inputs.classes, judged, truth, evidence.label)
    group = group_numbers(judged)
    _warn(config, inputs, group, report)
    resampled = list(_resamples(config, evidence, group, report))
    estimates = {
        name: _estimate(value, [shares[name] for shares in resampled], config.confidence_level)
        for name, value in _shares(truth, evidence.label).items()
    }
    size = np.bincount(evidence.label, minlength=len(inputs.classes))
    facts = _facts(config, inputs, judged, listed, estimates["overall"], group)
    return NoisyIdsOutputs(listed, size, facts=facts, **estimates)


def _judged(inputs: NoisyIdsInputs) -> pl.DataFrame:
    """Return the samples that no expert relabelled, in the order of their ids, on which nothing depends then."""
    scores = inputs.scores.with_columns(index=pl.Series(inputs.label, dtype=pl.Int64)).filter(~pl.col("relabelled"))
    if scores.is_empty():
        raise NothingToDoError(f"no labels to judge: all {plural(inputs.scores.height, 'sample')} are relabelled")
    return scores.sort("sample_id")


def _transition(config: NoisyIdsConfig, judged: pl.DataFrame) -> Transition:
    """Return which noise is assumed, where `auto` leaves it open."""
    told = tells_truth(judged)
    if config.transition == "auto":
        return "estimated" if told else "confident-joint"
    if config.transition == "estimated" and not told:
        raise UsageError(
            "--transition estimated: these scores have no true_posterior of every sample; `train-lnl --method "
            "class-aware` estimates it, and `score` hands it on"
        )
    return config.transition


def _posterior_of_truth(config: NoisyIdsConfig, evidence: _Evidence) -> Floats:
    """Return the chance of each true class, given image and label, (N, K)."""
    if evidence.truth is not None:
        return evidence.truth
    classes = evidence.posterior.shape[1]
    if config.transition == "symmetric":
        rate = noise_rate(evidence.loss, evidence.label, classes, integer(config.seed, "mixture"))
        transition = mislabelling.symmetric_transition(rate, classes)
    else:
        transition = mislabelling.confident_transition(evidence.posterior, evidence.label)
    return mislabelling.posterior_of_truth(evidence.posterior, evidence.label, transition)


def _list(
    config: NoisyIdsConfig, classes: tuple[str, ...], judged: pl.DataFrame, truth: Floats, label: Ints
) -> pl.DataFrame:
    """Return the labels that are wrong with at least the chance asked for, most probable first, ties by loss and id.

    Suggested is the likeliest of the other classes.
    """
    others = truth.copy()
    others[np.arange(len(label)), label] = -1
    likeliest = others.argmax(axis=1)
    found = judged.select(
        "sample_id",
        "given_label",
        suggested_label=pl.Series(np.array(classes)[likeliest].tolist(), dtype=pl.String),
        probability_wrong=pl.Series(mislabelling.probability_wrong(truth, label)),
        suggested_probability=pl.Series(others.max(axis=1).clip(0, 1)),
        loss="loss",
    )
    listed = found.filter(pl.col("probability_wrong") >= config.least)
    listed = listed.sort("probability_wrong", "loss", "sample_id", descending=[True, True, False])
    return listed.with_row_index("rank", offset=1).cast({"rank": pl.Int64})


def _shares(truth: Floats, label: Ints) -> dict[str, Floats]:
    """Return what `NoisyIdsOutputs` says of the noise, of the posterior of the truth (N, K) and given labels (N,)."""
    classes = truth.shape[1]
    joint = np.zeros((classes, classes))  # expected counts, given by true
    np.add.at(joint, label, truth)
    right = np.diagonal(joint)
    transition = _share(joint.T, joint.sum(axis=0)[:, None])
    return {
        "overall": 1 - _share(right.sum(), joint.sum()),
        "by_given": 1 - _share(right, joint.sum(axis=1)),
        "by_true": 1 - np.diagonal(transition),
        "transition": transition,
    }


def _share(part: Floats, whole: Floats) -> Floats:
    """Return part over whole, from 0 to 1; nan where the whole is nothing."""
    shares = np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
    return np.asarray(shares.clip(0, 1))


def _resamples(config: NoisyIdsConfig, evidence: _Evidence, group: Ints, report: Report) -> Iterator[dict[str, Floats]]:
    """Give the shares of each resample of whole groups, estimated anew throughout (Efron and Tibshirani 1993)."""
    generator = numpy_generator(config.seed, "noisy-ids")
    groups, every = int(group.max()) + 1, np.arange(len(group))
    if groups < 2:
        return
    for number in range(config.bootstrap):
        drawn = np.bincount(generator.integers(groups, size=groups), minlength=groups)  # (G,) how often each
        resample = evidence.rows(np.repeat(every, drawn[group]))
        yield _shares(_posterior_of_truth(config, resample), resample.label)
        report.progress(number + 1, config.bootstrap, "intervals", "resamples")


def _estimate(value: Floats, resampled: list[Floats], confidence_level: float) -> Estimate:
    """Return a value with its percentile interval, of those resamples in which it is defined."""
    ends = np.full((2, value.size), np.nan)
    columns = np.reshape(resampled, (len(resampled), value.size)).T  # (values, resamples)
    tail = 50 * (1 - confidence_level)
    for place, column in enumerate(columns):
        known = column[np.isfinite(column)]
        if len(known):
            ends[:, place] = np.percentile(known, [tail, 100 - tail])
    low, high = ends.reshape(2, *value.shape)
    return Estimate(value, low, high)


def _warn(config: NoisyIdsConfig, inputs: NoisyIdsInputs, group: Ints, report: Report) -> None:
    """Say what the estimates cannot be trusted in."""
    if config.transition != "estimated" and inputs.out_of_sample is False:
        report.warn(
            "these posteriors are in sample: a network that has learnt from a label is too sure of it, so labels look "
            "better than they are and the noise rate is a lower bound; `alrctl score --cross-validate 5` asks networks "
            "that have not learnt from it"
        )
    if group.max() == 0:
        report.warn("all samples are of one group: there are no intervals")


def _facts(
    config: NoisyIdsConfig,
    inputs: NoisyIdsInputs,
    judged: pl.DataFrame,
    listed: pl.DataFrame,
    overall: Estimate,
    group: Ints,
) -> dict[str, Any]:
    rate, ends = float(overall.value), [float(overall.low), float(overall.high)]
    groups, has_intervals = int(group.max()) + 1, bool(np.isfinite(ends).all())
    counts = listed["given_label"].value_counts().sort("given_label")
    return {
        "judged": judged.height,
        "relabelled_left_out": inputs.scores.height - judged.height,
        "probably_wrong": listed.height,
        "of_these_wrong_by_estimate": float(listed["probability_wrong"].sum()),
        "estimated_errors": rate * judged.height,
        "estimated_noise_rate": rate,
        "interval": ends if has_intervals else None,
        "intervals": f"{100 * config.confidence_level:g} %, bootstrap over {groups:,} groups; of chance, not of bias"
        if has_intervals
        else "none",
        "transition": config.transition,
        "posteriors": _sample(config, inputs.out_of_sample),
        "mind": _caveat(config, inputs.out_of_sample),
        "by_given_label": dict(counts.iter_rows()),
    }


def _sample(config: NoisyIdsConfig, out_of_sample: bool | None) -> str:
    """Say whether those whose posteriors count had learnt from the samples."""
    if config.transition == "estimated":
        return "out of sample: training's estimate is of heads that had not learnt from the sample"
    return {True: "out of sample", False: "in sample", None: "not known whether out of sample"}[out_of_sample]


def _caveat(config: NoisyIdsConfig, out_of_sample: bool | None) -> str:
    """Say which way the estimates lean."""
    if config.transition == "estimated":
        return (
            "these are estimates, of the transition matrix that training found; how far off that may be its own "
            "intervals tell (noise.parquet of `train-lnl`), these do not"
        )
    if out_of_sample is False:
        return "these are estimates; the noise rate is a lower bound, since the posteriors are in sample"
    if config.transition == "symmetric":
        return "these are estimates, of noise that takes any class for any other alike"
    return (
        "these are estimates; the confident joint overstates noise where classes are imbalanced and posteriors are poor"
    )
