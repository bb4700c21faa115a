"""What `evaluate` writes, and its words for what a figure alone would not say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alrctl import figures, validation_labels
from alrctl.dataset import DataSet
from alrctl.session import Summary
from alrctl.target import Target
from schemas.errors import listing
from schemas.judgement import JUDGEMENT
from schemas.per_class import PER_CLASS
from schemas.predictions import PREDICTIONS
from schemas.subgroups import SUBGROUPS
from stages.evaluate import EvaluateConfig, EvaluateOutputs
from stages.methods.class_groups import NAMES
from stages.methods.predictions import Predictions


def write(
    target: Target,
    config: EvaluateConfig,
    dataset: DataSet,
    reference: pl.DataFrame,
    given: Predictions,
    outputs: EvaluateOutputs,
) -> None:
    """Write tables and figures; a table that nothing is known for is left out."""
    names = dataset.classes.names
    target.table(_predictions(config, reference, given, names), PREDICTIONS)
    target.table(PER_CLASS.make(outputs.by_class), PER_CLASS)
    target.csv(_matrix(outputs.confusion, names, "reference", "predicted "), "confusion.csv")
    if outputs.mean_posterior is not None and outputs.reliability is not None:
        target.csv(_matrix(outputs.mean_posterior, names, "reference", "mean posterior of "), "mean_posterior.csv")
        found = outputs.reliability
        columns = {"from": found.edges[:-1], "to": found.edges[1:], "samples": found.count}
        shares = {"confidence": found.confidence, "accuracy": found.accuracy}
        target.csv(pl.DataFrame(columns | shares).fill_nan(None), "reliability.csv")
    if outputs.subgroups:
        target.table(SUBGROUPS.rows(outputs.subgroups), SUBGROUPS)
    if outputs.transition is not None:
        for name, matrix in zip(("before", "after"), outputs.transition, strict=True):
            target.csv(_matrix(matrix, names, "true_label", "labelled "), f"transition_{name}.csv")
    if outputs.judgement is not None:
        target.table(JUDGEMENT.make(outputs.judgement), JUDGEMENT)
    if config.figures:
        for name, figure in _figures(config, names, outputs):
            figures.save(figure, target.path(name))


def _figures(config: EvaluateConfig, names: tuple[str, ...], outputs: EvaluateOutputs) -> Iterator[tuple[str, Figure]]:
    """Give each figure and its name."""
    yield "per_class", figures.per_class(PER_CLASS.make(outputs.by_class))
    yield "confusion", figures.confusion(outputs.confusion, names, f"{config.split} split")
    if outputs.reliability is not None:
        yield "reliability", figures.reliability(outputs.reliability)
    if outputs.judgement is not None:
        yield "judgement", figures.judgement(JUDGEMENT.make(outputs.judgement))


def _predictions(
    config: EvaluateConfig, reference: pl.DataFrame, given: Predictions, names: tuple[str, ...]
) -> pl.DataFrame:
    said = pl.Series(names, dtype=pl.String).gather(given.predicted)
    posterior = pl.lit(None, pl.List(pl.Float32))
    if given.posterior is not None:
        posterior = pl.lit(pl.Series(given.posterior.astype(np.float32)).arr.to_list())
    return reference.select("sample_id", "label", split=pl.lit(config.split), predicted_label=said, posterior=posterior)


def _matrix(matrix: NDArray[Any], names: tuple[str, ...], corner: str, prefix: str) -> pl.DataFrame:
    columns = {f"{prefix}{name}": matrix[:, index] for index, name in enumerate(names)}
    return pl.DataFrame({corner: list(names), **columns}).with_columns(pl.selectors.float().fill_nan(None))


def undefined(outputs: EvaluateOutputs, names: tuple[str, ...]) -> list[str]:
    """Return a line for each thing that cannot be told, and why."""
    table = outputs.by_class
    absent = [name for name, support in zip(names, table["support"], strict=True) if not support]
    unsaid = [
        name
        for name, support, said in zip(names, table["support"], table["predicted"], strict=True)
        if support and not said
    ]
    lines = []
    if absent:
        lines.append(f"no sample of {listing(absent)} in the split: left out of all means over classes")
    if unsaid:
        lines.append(f"nothing was said to be {listing(unsaid)}: precision is undefined there, and 0 in its mean")
    if outputs.mean_posterior is None:
        lines.append("no posteriors: whatever needs them is undefined")
    empty = [name for name in NAMES if name not in table["class_group"]]
    if empty:
        lines.append(f"no class has {' or '.join(empty)} training samples: those means are undefined")
    told = tuple(f"{name}_" for name in empty)
    other = [
        name.replace("_", " ")
        for name, metric in outputs.metrics.items()
        if metric["value"] is None and not (told and name.startswith(told))
    ]
    if other and outputs.mean_posterior is not None:
        lines.append(f"undefined: {listing(other, 20)}")
    return lines


def in_words(summary: Summary) -> str:
    """Say how the epoch was chosen, and by how good labels, in a line."""
    told = summary["validation"]
    if told["chosen_by"] == "unknown":
        return "not recorded"
    epoch = f"epoch {told['epoch']}, " if told["epoch"] is not None else ""
    return f"{epoch}{told['chosen_by']} ({validation_labels.in_words(told)})"


def references_in_words(summary: Summary) -> str:
    """Say by which labels a network was judged, and how right they are."""
    share = summary.get("reference_accuracy")
    if share is None:
        return f"{summary['judged_by']}, as given: how many are right nobody knows, and a wrong one counts against it"
    return f"{summary['judged_by']}, {share:.1%} right by the truth"


def estimate_in_words(told: dict[str, Any]) -> str:
    """Say what labels that were looked at by chance tell of the others."""
    where = (
        ""
        if told["pool"] == told["samples"]
        else f" of the {told['pool']:,} that could be asked about in round {told['round']}"
    )
    return (
        f"estimated share of wrong labels{where}: {told['value']:.1%} (95 % interval {told['low']:.1%} to "
        f"{told['high']:.1%}). This is an estimate: {told['wrong']:,} of {told['looked_at']:,} labels drawn at random "
        "were changed by the experts, whose answers are taken for right."
    )
