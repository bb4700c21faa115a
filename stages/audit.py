"""Audit: labels drawn at random within each given class, and what an expert's look at them says of all.

A queue that was chosen for its errors tells nothing of how many there are. A random sample does, without bias, whatever
the network makes of the images; drawn by given class, a rare class is not left to chance.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import NothingToDoError, UsageError, plural
from schemas.queue import QUEUE
from stages.methods import stratified
from stages.methods.label_audit import parts_of
from stages.methods.randomness import numpy_generator
from stages.methods.showing import Showing
from stages.methods.spending import Spending
from stages.methods.stratified import Share, Stratum
from stages.report import Report

STRATEGY = "audit"
"""What a queue says of a sample drawn here."""


class CountConfig(BaseModel):
    """Options of `audit` where it counts answers: there are none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AuditConfig(Showing, Spending):
    """Options of `audit` where it draws."""

    split: Literal["train", "val", "test"] = Field("train", description="whose labels")
    allocation: float = Field(
        0.5,
        ge=0,
        le=1,
        description="of the looks to the classes, by size to this power: 1 tells the overall rate best, 0 each class's",
    )
    seed: int = Field(0, ge=0, description="of the draw")


@dataclass(frozen=True)
class Draw:
    """A random sample of labels.

    Attributes:
        queue: as `QUEUE`; in a random order, so that the first so many answers are a random sample, too.
        strata: as `STRATA`.
        facts: for a person.
    """

    queue: pl.DataFrame
    strata: pl.DataFrame
    facts: dict[str, Any]


def draw(config: AuditConfig, labels: pl.DataFrame, classes: tuple[str, ...], report: Report) -> Draw:
    """Draw labels at random, by given class.

    Args:
        config: the options.
        labels: sample_id, label, relabelled of the split.
        classes: names in order.
        report: told where the budget pays for more labels than there are.

    Raises:
        NothingToDoError: an expert has looked at all of them.
        UsageError: the budget does not pay for a look at each class.
    """
    pool = labels.filter(~pl.col("relabelled")).sort("sample_id")
    if pool.is_empty():
        raise NothingToDoError(f"nothing to draw: all {plural(labels.height, 'label')} are an expert's")
    index = pool["label"].replace_strict(classes, range(len(classes)), return_dtype=pl.Int64).to_numpy()
    sizes = np.bincount(index, minlength=len(classes)).astype(np.int64)
    looks = int(config.budget / config.price + 1e-9)
    if looks < (sizes > 0).sum():
        raise UsageError(
            f"--budget: pays for {plural(looks, 'look')}, and there are {int((sizes > 0).sum())} classes: "
            "an audit looks at one label of each, at least"
        )
    if looks > pool.height:
        report.warn(f"the budget pays for {looks:,} looks, and there are {plural(pool.height, 'label')} to look at")
    counts = stratified.allocate(sizes, looks, config.allocation)
    generator = numpy_generator(config.seed, "audit")
    places = np.concatenate(
        [
            generator.choice(np.flatnonzero(index == number), size=count, replace=False)
            for number, count in enumerate(counts.tolist())
        ]
    )
    chosen = pool[generator.permutation(places)]
    queue = chosen.select(
        pl.int_range(1, chosen.height + 1, dtype=pl.Int64).alias("rank"),
        "sample_id",
        given_label="label",
        suggested_label="label",
        score=pl.lit(None, pl.Float64),
        reason=pl.lit("drawn at random, to tell how many labels are wrong"),
        cost=pl.lit(config.price),
        unit=pl.lit(config.unit),
        strategy=pl.lit(STRATEGY),
    )
    strata = pl.DataFrame({"label": classes, "samples": sizes, "drawn": counts})
    facts = {
        "asked_for": int(config.budget) if config.budget.is_integer() else config.budget,
        "queued": queue.height,
        "cost": queue.height * config.price,
        "unit": config.unit,
        "pool": pool.height,
        "already_relabelled": labels.height - pool.height,
        "by_given_label": dict(zip(classes, counts.tolist(), strict=True)),
    }
    return Draw(queue.select(QUEUE.schema.column_names()), strata, facts)


@dataclass(frozen=True)
class Finding:
    """What the answers say of all labels that the sample was drawn from.

    Attributes:
        rate: share of wrong ones, overall; None where a class has no answer yet.
        by_given: (K) of the labels of each class; None of one without an answer.
        strata: (K) what was looked at.
        noise: of all labels, as `noise_files` writes it: overall, by given and by true class, and from class to class;
            nan in the matrix's row of a true class that was not met.
        facts: for a person.
    """

    rate: Share | None
    by_given: list[Share | None]
    strata: list[Stratum]
    noise: dict[str, Any]
    facts: dict[str, Any]


def count(
    queue: pl.DataFrame, strata: pl.DataFrame, labels: pl.DataFrame, classes: tuple[str, ...], report: Report
) -> Finding:
    """Estimate the noise of the labels that a sample was drawn from, the experts' answers taken for right.

    Args:
        queue: as drawn.
        strata: as drawn.
        labels: sample_id, label, relabelled as they are now.
        classes: names in order.
        report: told of what is not answered yet.

    Raises:
        NothingToDoError: no answer is there.
    """
    answered = answers(queue, labels)
    if answered.is_empty():
        raise NothingToDoError("no sample of the audit is relabelled yet; `alrctl relabel --queue` takes the answers")
    missing = queue.height - answered.height
    if missing:
        report.warn(
            f"{missing:,} of {plural(queue.height, 'sample')} of the audit have no label by an expert yet: the rest "
            "stand for all only as far as it is chance which are missing"
        )
    places = dict(zip(classes, range(len(classes)), strict=True))
    given, true = (
        answered[column].replace_strict(places, return_dtype=pl.Int64).to_numpy() for column in ("given_label", "label")
    )
    parts = parts_of(given, given != true, strata, classes)
    by_given = [stratified.share(part) for part in parts]
    rate = stratified.overall(parts)
    if rate is None:
        unanswered = [name for name, part in zip(classes, parts, strict=True) if part.size and not part.drawn]
        report.warn(f"no answer yet for a label of {', '.join(unanswered)}: the overall rate is not told")
    matrix = _transition(given, true, parts)
    noise = {
        "rate": _plain(rate),
        "by_given_class": [_plain(one) for one in by_given],
        "by_true_class": [
            None if np.isnan(kept) else {"value": 1 - kept, "low": None, "high": None} for kept in np.diag(matrix)
        ],
        "transition": matrix.tolist(),
    }
    facts = {
        "noise_rate": None if rate is None else rate.value,
        "interval": None if rate is None else [rate.low, rate.high],
        "looked_at": len(given),
        "wrong": int((given != true).sum()),
        "unanswered": missing,
        "pool": int(strata["samples"].sum()),
    }
    return Finding(rate, by_given, parts, noise, facts)


def _plain(rate: Share | None) -> dict[str, float] | None:
    return None if rate is None else asdict(rate)


def _transition(given: NDArray[np.int64], true: NDArray[np.int64], parts: list[Stratum]) -> NDArray[np.float64]:
    """Return the chance that a sample of true class row bears label column, (K, K), each look for all it stands for."""
    weight = np.array([part.size / max(part.drawn, 1) for part in parts])
    joint = np.zeros((len(parts), len(parts)))
    np.add.at(joint, (true, given), weight[given])
    totals = joint.sum(axis=1, keepdims=True)
    return np.where(totals > 0, joint / np.where(totals > 0, totals, 1), np.nan)


def answers(queue: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Return given_label and label of the samples of a queue that an expert has labelled, in its order."""
    told = labels.filter("relabelled").select("sample_id", "label")
    return queue.sort("rank").join(told, on="sample_id", how="inner", maintain_order="left")
