"""What a selection is asked for: its options, and the limits they set."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import PolarsError
from pydantic import Field, model_validator

from schemas.errors import UsageError, listing, nearest
from stages.methods.acquisition import QUALITY, UNCERTAINTY, Quality, Strategy
from stages.methods.queueing import Limits, available
from stages.methods.samples import group_numbers
from stages.methods.spending import Spending
from stages.report import Report

_NAMED = 20  # names told, at most, where one does not exist
BATCH = ("coreset", "badge", "typiclust")
_ALWAYS = ("sample_id", "given_label", "relabelled", "judged_clean", "predicted_label", "suggested_label")
_ALSO = ("suggested_certainty", "peer_label", "loss")


class SelectionOptions(Spending):
    """How samples are chosen, and what a queue is held to."""

    strategy: Strategy = Field("expected-correction", description="how samples are chosen; random is the control")
    class_cost: tuple[str, ...] = Field((), description="CLASS=COST of a look at a class; may be given again")
    pool: Literal["auto", "noisy", "all"] = Field(
        "auto",
        description="noisy: neither relabelled nor judged clean; all: whatever is not relabelled; auto: all for "
        "expected-correction where training tells the chance that each label is wrong, else noisy",
    )
    where: str | None = Field(None, description="of the pool, only where this holds: SQL on any column of the scores")
    floor: tuple[str, ...] = Field((), description="CLASS=COUNT: at least so many; may be given again")
    quota: tuple[str, ...] = Field((), description="CLASS=COUNT: at most so many; may be given again")
    by: Literal["given", "suggested"] = Field("given", description="label that floors, quotas and class costs go by")
    group: Literal["any", "one", "whole"] = Field(
        "any", description="one: one sample a group (patient, lesion); whole: all of a group together"
    )
    diversity: float = Field(0.0, ge=0, lt=1, description="weight of unlikeness to the others chosen, against rank")
    label_quality: Quality = Field("self-confidence", description="measure that the strategy label-quality goes by")
    class_worth: float = Field(
        0.05,
        ge=0,
        le=4,
        description="for expected-correction: 0 all errors alike; 1 rare classes as much as common",
    )
    mix: tuple[str, ...] = Field((), description="STRATEGY=WEIGHT for the strategy mix; may be given again")
    seed: int = Field(0, ge=0, description="of random choice")

    @model_validator(mode="after")
    def _options_that_go_together(self) -> SelectionOptions:
        if (self.strategy == "mix") != bool(self.mix):
            raise ValueError("--strategy mix and --mix STRATEGY=WEIGHT go together")
        if self.diversity and (self.strategy == "mix" or self.strategy in BATCH):
            raise ValueError(f"--diversity is for strategies that rank; {self.strategy} looks at the batch by itself")
        if self.group == "whole" and (self.floor or self.quota):
            raise ValueError("--floor and --quota count samples one by one: not with --group whole")
        return self

    @property
    def strategies(self) -> dict[str, float]:
        """The strategies in use, and their weights.

        Raises:
            UsageError: one does not exist, or a weight is no number above 0.
        """
        if self.strategy != "mix":
            return {self.strategy: 1.0}
        known = [*UNCERTAINTY, "random", "class-balanced-random", "label-quality", "expected-correction", *BATCH]
        weights = _numbers(self.mix, "--mix", known)
        if any(weight <= 0 for weight in weights.values()):
            raise UsageError("--mix: a weight must be above 0")
        return weights

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the scores that are looked at."""
        wanted = [*_ALWAYS, *_ALSO]
        for strategy in self.strategies:
            wanted += [column] if (column := self.column(strategy)) else []
        if self.needs_posterior:
            wanted.append("posterior")
        if "expected-correction" in self.strategies:
            wanted.append("true_posterior")
        if self.group != "any":
            wanted.append("group_id")
        return tuple(dict.fromkeys([*wanted, *self.where_columns]))

    @property
    def where_columns(self) -> tuple[str, ...]:
        """The columns that `--where` names.

        Raises:
            UsageError: it is no condition.
        """
        if self.where is None:
            return ()
        try:
            return tuple(dict.fromkeys(pl.sql_expr(self.where).meta.root_names()))
        except PolarsError as error:
            raise UsageError(f"--where: '{self.where}' is no condition ({str(error).splitlines()[0]})") from error

    @property
    def needs_embeddings(self) -> bool:
        """Whether embeddings are looked at."""
        return bool(self.diversity) or any(strategy in BATCH for strategy in self.strategies)

    @property
    def needs_posterior(self) -> bool:
        """Whether posteriors are looked at."""
        return any(strategy in ("badge", "expected-correction") for strategy in self.strategies)

    def column(self, strategy: str) -> str | None:
        """Return the column of the scores that a strategy goes by; None where it goes by none alone."""
        known = {**UNCERTAINTY, "label-quality": QUALITY[self.label_quality]}
        return known[strategy][0] if strategy in known else None


def _numbers(texts: tuple[str, ...], flag: str, known: list[str] | tuple[str, ...]) -> dict[str, float]:
    """Read NAME=NUMBER options, all problems told at once.

    Raises:
        UsageError: a name does not exist or stands twice, or the number is none.
    """
    found: dict[str, float] = {}
    problems = []
    for text in texts:
        name, _, number = text.rpartition("=")
        value = _number(number)
        if not name or value is None:
            problems.append(f"{flag}: '{text}' is not of the form NAME=NUMBER")
        elif name not in known:
            problems.append(f"{flag}: '{name}' is not one of {listing(known, _NAMED)}{nearest(name, known)}")
        elif name in found:
            problems.append(f"{flag}: '{name}' is given twice")
        else:
            found[name] = value
    if problems:
        raise UsageError("; ".join(problems))
    return found


def _number(text: str) -> float | None:
    """Return the finite number that a text is, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def limits(
    options: SelectionOptions, pool: pl.DataFrame, label: NDArray[np.int64], names: tuple[str, ...], report: Report
) -> Limits:
    """Return what the queue is held to.

    Args:
        options: of the selection.
        pool: the candidates.
        label: (N,) class that floors, quotas and class costs go by; one that is none of the names is past the end.
        names: of the classes.
        report: told where the pool cannot meet a floor.

    Raises:
        UsageError: a class does not exist, or the numbers contradict each other.
    """
    least, most, by_class = _read_by_class(options, names)
    usual = options.price
    costs = np.array([by_class.get(name, usual) for name in names] + [usual])
    group = None if options.group == "any" else group_numbers(pool)
    owed = sum(count * costs[index] for index, count in least.items())
    if owed > options.budget + 1e-9:
        raise UsageError(f"--floor: the floors together cost {owed:g}, more than the budget of {options.budget:g}")
    for index, count in least.items():
        here = available(label == index, group if options.group == "one" else None)
        if here < count:
            report.warn(f"--floor: {count} of {names[index]} asked for, and the pool holds {here}")
        if index in most and most[index] < count:
            raise UsageError(f"--floor: {count} of {names[index]} at least, and --quota: {most[index]} at most")
    return Limits(options.budget, costs[label], label, most, least, group, options.group == "whole")


def _read_by_class(
    options: SelectionOptions, names: tuple[str, ...]
) -> tuple[dict[int, int], dict[int, int], dict[str, float]]:
    """Return floors, quotas and costs by class, the problems of all three told at once."""
    found: list[Any] = []
    problems = []
    for read in (
        lambda: _counts(options.floor, "--floor", names),
        lambda: _counts(options.quota, "--quota", names),
        lambda: _costs(options.class_cost, names),
    ):
        try:
            found.append(read())
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise UsageError("; ".join(problems))
    least, most, by_class = found
    return least, most, by_class


def _costs(texts: tuple[str, ...], names: tuple[str, ...]) -> dict[str, float]:
    found = _numbers(texts, "--class-cost", names)
    if any(cost <= 0 for cost in found.values()):
        raise UsageError("--class-cost: a cost must be above 0")
    return found


def _counts(texts: tuple[str, ...], flag: str, names: tuple[str, ...]) -> dict[int, int]:
    found = _numbers(texts, flag, names)
    wrong = [name for name, count in found.items() if count < 0 or count != int(count)]
    if wrong:
        raise UsageError(f"{flag}: {wrong[0]}={found[wrong[0]]:g} is no count")
    return {names.index(name): int(count) for name, count in found.items()}
