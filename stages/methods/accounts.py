"""What the answers cost, against the budget, and how far the annotators agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from schemas.classes import Classes
from schemas.errors import DataError, NothingToDoError, UsageError, plural
from schemas.ledger import ANSWERS
from stages.methods import ledger as ledgers
from stages.methods.consensus import (
    Rules,
    Ties,
    Weights,
    agreement,
    latest_by_annotator,
    mean_kappa,
    weights_by_agreement,
)

Row = dict[str, Any]
Unit = Literal["labels", "minutes", "money"]
USUAL_COST: Mapping[Unit, float] = {"labels": 1.0, "minutes": 0.5}
"""Of one look, where nobody said; money has none."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Budget:
    """All that may be spent, over all rounds.

    Attributes:
        most: in the unit.
        unit: labels (answers charged), minutes (of the annotators' time) or money.
        rate_per_hour: what an hour costs, where money is counted by time.
    """

    most: float
    unit: Unit
    rate_per_hour: float | None = None

    def price(self, answer: Row) -> float | None:
        """Return what an answer takes from the budget; None where nobody noted what it depends on."""
        if not answer["charged"]:
            return 0.0
        if self.unit == "labels":
            return 1.0
        if answer["unit"] == self.unit:
            return float(answer["cost"])
        hours = None if answer["seconds"] is None else answer["seconds"] / 3600
        if self.unit == "minutes":
            return None if hours is None else 60 * hours
        return None if hours is None or self.rate_per_hour is None else hours * self.rate_per_hour


def within(
    budget: Budget, ledger: pl.DataFrame, new: Sequence[Row], source: str, word: str
) -> tuple[list[Row], list[Row]]:
    """Return the answers that the budget covers, in order, and those left over from the first that it does not.

    Raises:
        NothingToDoError: the budget is spent, and no answer comes free of charge.
        UsageError: money is counted by time, and what an hour costs is not said.
        DataError: minutes or money are counted, and an answer's time is not known.
    """
    before = [budget.price(row) for row in ledgers.answers(ledger).iter_rows(named=True)]
    prices = [budget.price(answer) for answer in new]
    _check_known(budget, new, prices, source, word)
    spent = _sum_known(before)
    kept: list[Row] = []
    left: list[Row] = []
    for answer, price in zip(new, prices, strict=True):
        assert price is not None
        fits = price == 0 or (spent + price <= budget.most + _ROUNDING and not left)
        if fits:
            spent += price
        (kept if fits else left).append(answer)
    if not kept and left:
        told = f"{spent:g} of {budget.most:g} {budget.unit}"
        raise NothingToDoError(f"{source}: the budget is spent ({told}); a larger --budget takes more answers in")
    return kept, left


def unpriced(budget: Budget, ledger: pl.DataFrame) -> int:
    """Return how many answers of the ledger the budget cannot count, since nobody noted what they took."""
    return sum(budget.price(row) is None for row in ledgers.answers(ledger).iter_rows(named=True))


def _check_known(budget: Budget, new: Sequence[Row], prices: Sequence[float | None], source: str, word: str) -> None:
    untold = [answer for answer, price in zip(new, prices, strict=True) if price is None]
    if not untold:
        return
    if budget.unit == "money" and budget.rate_per_hour is None:
        raise UsageError("--unit money: the queue is not in money, so --rate-per-hour is needed too")
    raise DataError(
        f"{source}: {plural(len(untold), 'answer')} without the seconds taken "
        f"(first: {word} {untold[0]['place']}); a budget in {budget.unit} counts them"
    )


def _sum_known(prices: Sequence[float | None]) -> float:
    return sum(price for price in prices if price is not None)


def accounts(ledger: pl.DataFrame, made: Sequence[Row], classes: Classes, rate_per_hour: float | None) -> Row:
    """Return what the new events cost, what all have cost, and how far the annotators of the samples agree."""
    several = pl.col("kind").is_in(ANSWERS).sum().over("sample_id") > 1  # of most samples there is one answer
    pairs = agreement(named_classes(ledgers.standing(ledger.filter(several))), classes.names, classes.ordered)
    units = {one["unit"] for one in made if one["charged"]} or set(ledger.filter("charged")["unit"].tail(1))
    same = ledger.filter(pl.col("charged") & pl.col("unit").is_in(list(units)))
    return {
        "unclear": sum(one["kind"] == "unclear" for one in made),
        "cost": float(sum(one["cost"] for one in made)),
        "cost_so_far": float(same["cost"].sum()),
        "cost_in": " and ".join(sorted(units)),
        "labels_bought": int(ledger["charged"].sum()),
        "spent": [list(row) for row in ledgers.spent(ledger, rate_per_hour).iter_rows()],
        "mean_kappa": mean_kappa(pairs),
        "agreement": [list(row.values()) for row in pairs],
    }


def changes(before: pl.DataFrame, after: pl.DataFrame) -> Row:
    """Return how many labels are others now, and from which class to which."""
    both = before.rename({"label": "before"}).with_columns(after=after["label"])
    moved = both.filter(pl.col("before") != pl.col("after"))
    moves = moved.group_by("before", "after").len().sort("before", "after")
    return {"changed": moved.height, "changes": [list(move) for move in moves.iter_rows()]}


def rules_of(
    min_annotators: int,
    ties: Ties,
    weights: Weights,
    first_labels: pl.DataFrame,
    standing: Mapping[str, Sequence[Row]],
) -> Rules:
    """Return how answers become a label.

    Args:
        min_annotators: votes that a sample needs.
        ties: what becomes of a sample without a strict majority.
        weights: of the votes.
        first_labels: as they were before anybody looked.
        standing: all answers that stand, by sample, which tell how often an annotator agrees.
    """
    frequency = dict(first_labels["label"].value_counts().iter_rows())
    if weights == "equal":
        return Rules(min_annotators, ties, frequency)
    told = weights_by_agreement(named_classes(standing))
    return Rules(min_annotators, ties, frequency, told, sum(told.values()) / len(told) if told else 1.0)


def named_classes(standing: Mapping[str, Sequence[Row]]) -> dict[str, dict[str | None, str]]:
    """Return the class that each annotator named last, by sample, of samples with two annotators or more.

    Args:
        standing: the answers that stand, by sample.
    """
    found: dict[str, dict[str | None, str]] = {}
    for name, answers in standing.items():
        if len(answers) < 2:
            continue
        votes = [answer for answer in answers if answer["kind"] != "adjudication"]
        named = {one["annotator"]: one["answer"] for one in latest_by_annotator(votes) if one["answer"] is not None}
        if len(named) > 1:
            found[name] = named
    return found
