"""Select: which samples are worth an expert's look, best first, within a budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import PolarsError
from pydantic import Field

from schemas.errors import NothingToDoError, UsageError, plural
from stages.methods import mislabelling
from stages.methods.acquisition import Candidates, Chooser, Ranked, ranking
from stages.methods.queueing import Limits, Mixed, fill
from stages.methods.randomness import numpy_generator
from stages.methods.reasons import Grounds, reasons
from stages.methods.samples import posteriors, tells_truth
from stages.methods.selection import BATCH, SelectionOptions
from stages.methods.selection import limits as limits_of
from stages.methods.showing import Showing
from stages.report import Report

if TYPE_CHECKING:
    from torch import Tensor

_SHORTLIST = 20  # times the budget: how many of the best are looked at for diversity


class SelectConfig(Showing, SelectionOptions):
    """Options of `select`."""

    suggest: bool = Field(False, description="Label Studio shows the suggested label as chosen; it sways the annotator")


@dataclass(frozen=True)
class SelectInputs:
    """What is chosen from.

    Attributes:
        scores: the scores table, at least the config's `columns`.
        classes: names in the order of the posterior; None where unknown.
        embeddings: (N, H) in the order of the scores; None where not asked for.
        excluded: ids that must not be chosen.
    """

    scores: pl.DataFrame
    classes: tuple[str, ...] | None = None
    embeddings: Tensor | None = None
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class SelectOutputs:
    """The queue's columns, and facts for a person."""

    queue: pl.DataFrame
    facts: dict[str, Any]


def run(config: SelectConfig, inputs: SelectInputs, report: Report) -> SelectOutputs:
    """Choose from the pool as many as the budget allows.

    Raises:
        NothingToDoError: the pool is empty, or the budget pays for no look.
        UsageError: a class or column does not exist, or a strategy needs what the scores do not hold.
    """
    inputs = _in_order(inputs)
    config = config.model_copy(update={"pool": pool_of(config, inputs.scores)})
    scores = inputs.scores.with_row_index("row")
    pool = _pool(config, inputs, scores, report)
    known = inputs.classes or names(inputs.scores)
    label = _indices(pool[f"{config.by}_label"], known)
    limits = limits_of(config, pool, label, known, report)
    generator = numpy_generator(config.seed, "select")
    correction = _correction(config, inputs)
    candidates = _candidates(config, inputs, pool, correction, known)
    choosers = {name: _chooser(config, name, candidates, limits, generator) for name in config.strategies}
    mixed = Mixed(choosers, config.strategies)
    count = _picks_with_chance(config, limits, report)
    if count is not None:
        mixed.choose_first("random", count, pool.height)
    picks = fill(mixed, limits)
    if not picks:
        raise NothingToDoError(f"a budget of {config.budget:g} {config.unit} does not pay for one look")
    places = np.array([place for place, _ in picks])
    chosen = pool[places].with_columns(
        rank=pl.int_range(1, len(picks) + 1, dtype=pl.Int64),
        score=pl.Series([worth for _, worth in picks], dtype=pl.Float64),
        cost=pl.Series(limits.cost[places]),
        unit=pl.lit(config.unit),
    )
    by = [mixed.by.get(place, "group") for place in places.tolist()]
    chosen = chosen.with_columns(strategy=pl.Series(by, dtype=pl.String))
    grounds = Grounds(
        strategy=by,
        loss=scores["loss"],
        probability_wrong=None if correction is None else correction.probability_wrong[pool["row"].to_numpy()][places],
        columns={name: scores[column] for name in choosers if (column := config.column(name))},
    )
    chosen = chosen.with_columns(reason=reasons(chosen, grounds))
    drawn = None if count is None else by.count("random")
    return SelectOutputs(chosen, {**_facts(config, chosen, pool, limits), "drawn_at_random": drawn})


def _picks_with_chance(config: SelectConfig, limits: Limits, report: Report) -> int | None:
    """Return how many picks there will be, where the strategy random can draw a simple random sample of the pool.

    None where it has no part, or where something else has a say in what it draws, which is said.
    """
    if "random" not in config.strategies:
        return None
    if limits.picks is None or config.diversity:
        report.warn(
            "what random draws is no simple random sample where quotas, floors, groups, diversity or unequal costs "
            "have a say: what experts make of it will tell no share of wrong labels"
        )
        return None
    return limits.picks


def _in_order(inputs: SelectInputs) -> SelectInputs:
    """Put the samples in the order of their ids, so that no choice depends on the order of the table."""
    ids = inputs.scores["sample_id"]
    if ids.is_sorted():
        return inputs
    order = ids.arg_sort().to_numpy()
    embeddings = None if inputs.embeddings is None else inputs.embeddings[order.astype(np.int64)]
    return replace(inputs, scores=inputs.scores[order], embeddings=embeddings)


def pool_of(config: SelectConfig, scores: pl.DataFrame) -> Literal["noisy", "all"]:
    """Return which pool is chosen from."""
    if config.pool != "auto":
        return config.pool
    return "all" if "expected-correction" in config.strategies and tells_truth(scores) else "noisy"


def _pool(config: SelectConfig, inputs: SelectInputs, scores: pl.DataFrame, report: Report) -> pl.DataFrame:
    """Return the candidates."""
    kept = ~pl.col("relabelled")
    if config.pool == "noisy":
        kept &= ~pl.col("judged_clean").fill_null(False)
    pool = scores.filter(kept)
    if pool.is_empty():
        wider = " or judged clean; --pool all looks at those too" if config.pool == "noisy" else ""
        raise NothingToDoError(f"no candidates: all {plural(scores.height, 'sample')} are relabelled{wider}")
    if config.where is not None:
        try:
            pool = pool.filter(pl.sql_expr(config.where))
        except PolarsError as error:
            raise UsageError(f"--where: '{config.where}': {str(error).splitlines()[0]}") from error
        if pool.is_empty():
            raise NothingToDoError(f"no candidates: --where '{config.where}' holds of none in the pool")
    if inputs.excluded:
        foreign = pl.Series(inputs.excluded, dtype=pl.String)
        foreign = foreign.filter(~foreign.is_in(scores["sample_id"].implode()))
        if len(foreign):
            report.warn(f"--exclude: {plural(len(foreign), 'id')} not in the scores (first: '{foreign[0]}')")
        pool = pool.filter(~pl.col("sample_id").is_in(list(inputs.excluded)))
        if pool.is_empty():
            raise NothingToDoError("no candidates: --exclude leaves none of the pool")
    return pool


def names(scores: pl.DataFrame) -> tuple[str, ...]:
    """Return the classes that the labels name, in order of name."""
    found = [scores[column].unique() for column in ("given_label", "suggested_label")]
    return tuple(pl.concat(found).unique().sort().to_list())


def _indices(labels: pl.Series, names: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the place of each label among the names; a label that is none of them is past the end."""
    places = {name: index for index, name in enumerate(names)}
    return labels.replace_strict(places, default=len(names), return_dtype=pl.Int64).to_numpy()


def _correction(config: SelectConfig, inputs: SelectInputs) -> mislabelling.Correction | None:
    """Return what mending each label of the whole table is worth, where a strategy asks for it."""
    if "expected-correction" not in config.strategies:
        return None
    posterior, names = posteriors(inputs.scores), inputs.classes
    if names is None or len(names) != posterior.shape[1]:
        raise UsageError("--strategy expected-correction: the order of the classes is not recorded; give --data")
    label = _indices(inputs.scores["given_label"], names)
    relabelled = inputs.scores["relabelled"].to_numpy()
    if tells_truth(inputs.scores):
        truth = posteriors(inputs.scores, "true_posterior")
    else:
        transition = mislabelling.confident_transition(posterior[~relabelled], label[~relabelled])
        truth = mislabelling.posterior_of_truth(posterior, label, transition)
    truth[relabelled] = np.eye(len(names))[label[relabelled]]  # what an expert said is taken for true
    return mislabelling.expected_correction(truth, label, config.class_worth)


def _candidates(
    config: SelectConfig,
    inputs: SelectInputs,
    pool: pl.DataFrame,
    correction: mislabelling.Correction | None,
    names: tuple[str, ...],
) -> Candidates:
    rows = pool["row"].to_numpy()
    columns = {}
    for strategy in config.strategies:
        column = config.column(strategy)
        if column is not None:
            columns[column] = _column(pool, column, strategy)
    embeddings = trusted = labelled = None
    if config.needs_embeddings:
        assert inputs.embeddings is not None
        relabelled = inputs.scores["relabelled"]
        clean = inputs.scores["judged_clean"].fill_null(False) | relabelled
        embeddings = inputs.embeddings[rows.astype(np.int64)]
        trusted = inputs.embeddings[clean.to_numpy()]
        labelled = inputs.embeddings[relabelled.to_numpy()]
    return Candidates(
        given=_indices(pool["given_label"], names),
        columns=columns,
        posterior=posteriors(pool) if "badge" in config.strategies else None,
        worth_of_correction=None if correction is None else correction.expected[rows],
        embeddings=embeddings,
        trusted=trusted,
        labelled=labelled,
    )


def _column(pool: pl.DataFrame, column: str, strategy: str) -> NDArray[np.float64]:
    """Return a column of the pool, which must be known of every candidate.

    Raises:
        UsageError: it is not.
    """
    unknown = pool[column].null_count()
    if unknown:
        raise UsageError(
            f"--strategy {strategy}: column '{column}' is empty for {unknown:,} of {plural(pool.height, 'candidate')}; "
            "`alrctl score` says which option fills it"
        )
    return pool[column].to_numpy().astype(np.float64)


def _chooser(
    config: SelectConfig, strategy: str, candidates: Candidates, limits: Limits, generator: np.random.Generator
) -> Chooser:
    most = int(min(len(limits.cost), config.budget // float(limits.cost.min()) + 1))
    if strategy in BATCH:
        from stages.methods.batch_acquisition import batch_chooser  # a choice by scores need not wait for torch

        return batch_chooser(strategy, candidates, most, generator)
    worth = ranking(strategy, candidates, config.label_quality, generator)
    if config.diversity:
        from stages.methods.batch_acquisition import Diverse

        assert candidates.embeddings is not None
        return Diverse(worth, candidates.embeddings, config.diversity, _SHORTLIST * most)
    return Ranked(worth)


def _facts(config: SelectConfig, chosen: pl.DataFrame, pool: pl.DataFrame, limits: Limits) -> dict[str, Any]:
    counts = chosen["given_label"].value_counts(sort=True)
    suggested = chosen["suggested_label"].value_counts(sort=True)
    return {
        "strategy": config.strategy,
        "chosen_from": config.pool,
        "asked_for": int(config.budget) if config.budget.is_integer() else config.budget,
        "queued": chosen.height,
        "cost": float(chosen["cost"].sum()),
        "unit": config.unit,
        "pool": pool.height,
        "groups": None if limits.group is None else len(np.unique(limits.group)),
        "network_disagrees": int((chosen["given_label"] != chosen["suggested_label"]).sum()),
        "by_given_label": dict(counts.sort("given_label").iter_rows()),
        "by_suggested_label": dict(suggested.sort("suggested_label").iter_rows()),
    }
