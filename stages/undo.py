"""Undo: answers are taken back, by new events; what is left decides anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.classes import Classes
from schemas.conflicts import CONFLICTS
from schemas.errors import NothingToDoError, UsageError, listing, nearest, plural
from stages.methods import chain, conflicts, events
from stages.methods import ledger as ledgers
from stages.methods.accounts import accounts, changes, rules_of
from stages.methods.consensus import Rules, Ties, Weights
from stages.report import Report

_SHORTEST = 6  # letters of a digest that are enough to name a file


class UndoConfig(BaseModel):
    """Options of `undo`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str | None = Field(
        None, min_length=1, description="take back what came from this file: itself, or the beginning of its SHA-256"
    )
    annotator: str | None = Field(None, min_length=1, description="take back what this annotator answered")
    round: int | None = Field(None, ge=1, description="take back what came in in this round")
    reason: str | None = Field(None, min_length=1, description="why, for the ledger")
    min_annotators: int = Field(1, ge=1, description="votes that a sample needs before it is decided")
    ties: Ties = Field("conflict", description="without a strict majority: leave it to an adjudicator, or rarer-class")
    weights: Weights = Field(
        "equal", description="of votes: all alike, or by how often an annotator agrees with the majority"
    )

    @model_validator(mode="after")
    def _one_is_named(self) -> UndoConfig:
        if sum(value is not None for value in (self.file, self.annotator, self.round)) != 1:
            raise ValueError("say what to take back: one of --file, --annotator or --round")
        return self


@dataclass(frozen=True)
class UndoInputs:
    """Labels and their ledger.

    Attributes:
        labels: sample_id, label, relabelled.
        ledger: every event so far.
        classes: of the data set.
        version: of the program.
        ledger_file: where the ledger lies, for messages.
    """

    labels: pl.DataFrame
    ledger: pl.DataFrame
    classes: Classes
    version: str
    ledger_file: str = "ledger"


@dataclass(frozen=True)
class UndoOutputs:
    """The labels now, all events, what needs a decision, the queue to get it by, and facts for a person."""

    labels: pl.DataFrame
    ledger: pl.DataFrame
    conflicts: pl.DataFrame
    queue: pl.DataFrame
    facts: dict[str, Any]


def run(config: UndoConfig, inputs: UndoInputs, report: Report) -> UndoOutputs:
    """Take answers back. What they cost stays spent.

    Raises:
        MismatchError: the ledger is not sound.
        NothingToDoError: no answer stands that this names.
        UsageError: it names what the ledger does not know.
    """
    first_labels = ledgers.check(inputs.labels, inputs.ledger, inputs.ledger_file)
    taken = _named(config, ledgers.answers(inputs.ledger))
    left = ledgers.standing(inputs.ledger.filter(~inputs.ledger["event"].is_in(taken["event"].implode())))
    rules = rules_of(config.min_annotators, config.ties, config.weights, first_labels, left)
    made = _events(config, inputs, taken, rules)
    last_round = int(inputs.ledger["round"].to_list()[-1])
    ledger = chain.append(inputs.ledger, made, first_labels, round=last_round, version=inputs.version)
    labels = ledgers.fold(first_labels, ledger)
    open_now = conflicts.of(ledger, rules)
    if open_now.height:
        count = open_now["sample_id"].n_unique()
        report.warn(f"{plural(count, 'sample')} without a decision: see conflicts.parquet and queue.csv")
    facts = {
        "answers_taken_back": taken.height,
        "samples": taken["sample_id"].n_unique(),
        "reversed": sum(one["kind"] == "reversal" for one in made),
        **changes(inputs.labels, labels),
        **accounts(ledger, [], inputs.classes, None),
        "in_conflict": open_now["sample_id"].n_unique(),
    }
    return UndoOutputs(
        labels, ledger, CONFLICTS.check(open_now, "conflicts"), conflicts.queue(open_now, labels, None), facts
    )


def _named(config: UndoConfig, answers: pl.DataFrame) -> pl.DataFrame:
    """Return the answers that stand and that the options name."""
    column, value = _what(config, answers)
    known = answers[column].drop_nulls().unique(maintain_order=True).to_list()
    if value not in known:
        names = answers["source_file"].drop_nulls().unique(maintain_order=True).to_list() if config.file else known
        told = listing(map(str, names), 12) or "none"
        guess = nearest(str(value), known) if isinstance(value, str) else ""
        raise UsageError(f"--{'file' if config.file else column}: no answer is of '{value}' (known: {told}){guess}")
    found = answers.filter((pl.col(column) == value) & ~pl.col("withdrawn"))
    if not found.height:
        raise NothingToDoError(f"all answers of {column} '{value}' are taken back already")
    return found


def _what(config: UndoConfig, answers: pl.DataFrame) -> tuple[str, str | int | None]:
    """Return the column of the ledger that the options go by, and the value they name."""
    if config.file is not None:
        return "source_sha256", _digest(config.file, answers)
    return ("annotator", config.annotator) if config.round is None else ("round", config.round)


def _digest(beginning: str, answers: pl.DataFrame) -> str:
    """Return the one digest that begins so or whose file is called so, or what was given where there is none."""
    known = answers["source_sha256"].drop_nulls().unique(maintain_order=True).to_list()
    of_that_name = answers.filter(pl.col("source_file") == beginning.replace("\\", "/").rpartition("/")[2])
    called = of_that_name["source_sha256"].unique(maintain_order=True).to_list()
    if len(called) == 1:
        return str(called[0])
    if called:
        raise UsageError(f"--file: {len(called)} files were called '{beginning}' ({listing(called)}); give the digest")
    meant = [digest for digest in known if digest.startswith(beginning.lower())]
    if len(meant) > 1:
        raise UsageError(f"--file: '{beginning}' begins several digests ({listing(meant)}); give more of it")
    if meant and len(beginning) < _SHORTEST:
        raise UsageError(f"--file: '{beginning}' is too short; at least {_SHORTEST} letters, as in {meant[0][:12]}")
    return meant[0] if meant else beginning


def _events(config: UndoConfig, inputs: UndoInputs, taken: pl.DataFrame, rules: Rules) -> list[events.Row]:
    """Return the withdrawals, and then what the answers that are left come to."""
    touched = taken["sample_id"].unique(maintain_order=True)
    states = events.states(touched, inputs.labels, inputs.ledger)
    withdrawn = set(taken["event"])
    left = {
        name: [answer for answer in answers if answer["event"] not in withdrawn]
        for name, answers in ledgers.standing(
            inputs.ledger.filter(inputs.ledger["sample_id"].is_in(touched.implode()))
        ).items()
    }
    made = [
        events.event(
            "withdrawal",
            answer["sample_id"],
            states[answer["sample_id"]],
            withdraws=answer["event"],
            annotator=answer["annotator"],
            comment=config.reason,
        )
        for answer in taken.iter_rows(named=True)
    ]
    decisions, _ = events.decide(states, left, rules)
    return [*made, *decisions]
