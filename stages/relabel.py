"""Relabel: experts' answers become labels; every change is an event in a ledger that only grows.

Only samples of the queue are ever changed, each answer is charged once, and a sample's label depends on the answers
that stand, not on the order in which they came in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from schemas.classes import Classes
from schemas.conflicts import CONFLICTS
from schemas.errors import MismatchError, NothingToDoError, plural
from stages.methods import chain, conflicts, events
from stages.methods import ledger as ledgers
from stages.methods.accounts import Budget, Unit, accounts, changes, rules_of, unpriced, within
from stages.methods.answer_reading import Reading, Told, drop, read
from stages.methods.class_reading import read_map
from stages.methods.consensus import Rules, Ties, Verdict, Weights
from stages.methods.intake import Intake, Known, Row, take_in
from stages.methods.sample_names import Names
from stages.report import Report

Format = Literal[
    "auto",
    "csv",
    "label-studio-csv",
    "label-studio-json",
    "label-studio-json-min",
    "cvat",
    "imagenet",
    "labelbox",
    "coco",
]


class RelabelConfig(BaseModel):
    """Options of `relabel`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    annotator: str | None = Field(None, min_length=1, description="who answered, where the file does not say")
    format: Format = Field("auto", description="of the answers; auto: by what the file holds")
    map: tuple[str, ...] = Field(
        (),
        description="THEIRS=OURS: what the file calls a column of the answers or a class; with nothing after the '=' "
        "the word is no answer (may be repeated)",
    )
    min_annotators: int = Field(1, ge=1, description="votes that a sample needs before it is decided")
    ties: Ties = Field("conflict", description="without a strict majority: leave it to an adjudicator, or rarer-class")
    weights: Weights = Field(
        "equal", description="of votes: all alike, or by how often an annotator agrees with the majority"
    )
    adjudicate: bool = Field(False, description="these answers settle the conflicts: they stand above all votes")
    budget: float | None = Field(None, gt=0, description="all that may be spent, over all rounds, in the unit")
    unit: Unit = Field("labels", description="what the budget counts")
    rate_per_hour: float | None = Field(None, gt=0, description="what an hour of an annotator's time costs")
    oracle_errors: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        (0.0,),
        min_length=1,
        description="with --oracle: an expert's share of wrong answers (repeat it for several experts)",
    )
    oracle_seconds: float | None = Field(None, ge=0, description="with --oracle: time per answer")
    seed: int = Field(0, ge=0, description="of simulated experts' errors")


@dataclass(frozen=True)
class RelabelInputs:
    """Labels, and answers to take in.

    Attributes:
        labels: sample_id, label, relabelled.
        ledger: every event so far.
        answers: as `READ_ANSWERS`, a row an answer.
        queue: what was asked; None where the answers' own ids are the queue.
        classes: of the data set.
        source_file: name of the answers' file.
        source_sha256: its digest.
        version: of the program.
        ledger_file: where the ledger lies, for messages.
        word: what a place in the file is called: row, task, image, line.
        by_image: whether the file names images and not samples.
        indices: whether the file may name classes by number.
        names: what the samples are called besides their ids.
    """

    labels: pl.DataFrame
    ledger: pl.DataFrame
    answers: pl.DataFrame
    queue: pl.DataFrame | None
    classes: Classes
    source_file: str
    source_sha256: str
    version: str
    ledger_file: str = "ledger"
    word: str = "row"
    by_image: bool = False
    indices: bool = True
    names: Names = field(default_factory=Names)


@dataclass(frozen=True)
class RelabelOutputs:
    """The labels now, all events, what needs a decision, the queue to get it by, and facts for a person."""

    labels: pl.DataFrame
    ledger: pl.DataFrame
    conflicts: pl.DataFrame
    queue: pl.DataFrame
    facts: dict[str, Any]


def run(config: RelabelConfig, inputs: RelabelInputs, report: Report) -> RelabelOutputs:
    """Take the answers in.

    Raises:
        DataError: an answer is no class, or a name means two samples.
        MismatchError: an answer or the queue is for a sample that does not exist, or the ledger is not sound.
        NothingToDoError: no answer is left to take in, or the budget is spent.
        UsageError: `map` means nothing, or the budget cannot be counted.
    """
    first_labels = ledgers.check(inputs.labels, inputs.ledger, inputs.ledger_file)
    told = Told(report)
    asked = _asked(inputs)
    answers = _answers(config, inputs, asked, told)
    taken = _take_in(inputs, answers, told)
    new = _affordable(config, inputs, taken.new, asked, told)
    if not new:
        raise NothingToDoError(f"{inputs.source_file}: no answer to take in ({told.why_nothing() or 'it is empty'})")
    rules = rules_of(config.min_annotators, config.ties, config.weights, first_labels, _with(new, inputs.ledger))
    made, verdicts = _events(inputs, new, rules)
    shared = _shared(inputs)
    ledger = chain.append(inputs.ledger, made, first_labels, **shared)
    labels = ledgers.fold(first_labels, ledger)
    open_now = conflicts.of(ledger, rules)
    if open_now.height:
        report.warn(f"{_need(open_now['sample_id'].n_unique())} a decision: see conflicts.parquet and queue.csv")
    facts = (
        told.facts
        | {"round": shared["round"]}
        | _outcome(inputs.labels, labels, verdicts, made)
        | accounts(ledger, made, inputs.classes, config.rate_per_hour)
    )
    facts["in_conflict"] = open_now["sample_id"].n_unique()
    return RelabelOutputs(
        labels, ledger, CONFLICTS.check(open_now, "conflicts"), conflicts.queue(open_now, labels, inputs.queue), facts
    )


def _need(count: int) -> str:
    return f"{plural(count, 'sample')} {'needs' if count == 1 else 'need'}"


def _asked(inputs: RelabelInputs) -> pl.DataFrame | None:
    """Return the queue, held to the labels."""
    if inputs.queue is None:
        return None
    foreign = inputs.queue.join(inputs.labels, on="sample_id", how="anti", maintain_order="left")
    if foreign.height:
        raise MismatchError(
            f"the queue holds {plural(foreign.height, 'sample')} that the labels do not "
            f"(first: '{foreign['sample_id'][0]}'); do they belong to the same data set?"
        )
    return inputs.queue


def _answers(config: RelabelConfig, inputs: RelabelInputs, asked: pl.DataFrame | None, told: Told) -> list[Row]:
    """Return the answers that name a class or say that none can be named, of samples that were asked."""
    reading = Reading(
        source=inputs.source_file,
        word=inputs.word,
        known=inputs.labels["sample_id"],
        names=inputs.names,
        by_image=inputs.by_image,
        classes=inputs.classes.names,
        words=read_map(config.map, inputs.classes.names).classes,
        indices=inputs.indices,
        annotator=config.annotator,
        kind="adjudication" if config.adjudicate else "vote",
    )
    told.facts["answers"] = inputs.answers.height
    answered = read(inputs.answers, reading, told)
    if asked is None:
        return answered
    wanted = set(asked["sample_id"].to_list())
    drop("outside_queue", [answer for answer in answered if answer["sample_id"] not in wanted], told)
    return [answer for answer in answered if answer["sample_id"] in wanted]


def _take_in(inputs: RelabelInputs, answers: Sequence[Row], told: Told) -> Intake:
    """Leave out what is said twice or known already."""
    touched = pl.Series("sample_id", [answer["sample_id"] for answer in answers], dtype=pl.String)
    known: dict[str, tuple[list[Row], list[Row]]] = {}
    about = ledgers.answers(inputs.ledger.filter(inputs.ledger["sample_id"].is_in(touched.implode())))
    for old in about.iter_rows(named=True):
        known.setdefault(old["sample_id"], ([], []))[int(old["withdrawn"])].append(old)
    taken = take_in(answers, {name: Known(*both) for name, both in known.items()}, inputs.source_sha256)
    drop("repeated", taken.repeated, told)
    drop("already_imported", taken.known, told)
    drop("outdated", taken.outdated, told)
    if taken.unlike:
        _tell_of_unlike(taken.unlike, told)
    return taken


def _tell_of_unlike(unlike: Sequence[Row], told: Told) -> None:
    """Say that somebody answered otherwise before, and that the order of the files decides."""
    told.facts["said_otherwise_before"] = len(unlike)
    nameless = sum(answer["annotator"] is None for answer in unlike)
    way_out = "; if they are of several people, say who with --annotator" if nameless else ""
    told.report.warn(
        f"{plural(len(unlike), 'answer')} (first: of '{unlike[0]['sample_id']}') other than the same annotator gave "
        f"before, and no times tell which is the later: the one that came last counts{way_out}"
    )


def _affordable(
    config: RelabelConfig, inputs: RelabelInputs, new: list[Row], asked: pl.DataFrame | None, told: Told
) -> list[Row]:
    """Return the new answers that the budget covers, those first that were asked first."""
    ranks: dict[str, int] = {} if asked is None else dict(asked.select("sample_id", "rank").iter_rows())
    price: dict[str, tuple[float, str]] = {}
    if asked is not None:
        price = {name: (cost, unit) for name, cost, unit in asked.select("sample_id", "cost", "unit").iter_rows()}
    for answer in new:
        cost, unit = price.get(answer["sample_id"], (1.0, "labels"))
        answer |= {"cost": cost if answer["charged"] else 0.0, "unit": unit}
    new.sort(key=lambda answer: (ranks.get(answer["sample_id"], 0), answer["place"]))
    if config.budget is None:
        return new
    budget = Budget(config.budget, config.unit, config.rate_per_hour)
    kept, left = within(budget, inputs.ledger, new, inputs.source_file, inputs.word)
    untold = unpriced(budget, inputs.ledger)
    if untold:
        told.report.warn(f"{plural(untold, 'answer')} taken in before without a time; the budget counts them as 0")
    drop("over_budget", left, told)
    return kept


def _with(new: Sequence[Row], ledger: pl.DataFrame) -> dict[str, list[Row]]:
    """Return the answers that stand, by sample, and new ones among them."""
    everything = ledgers.standing(ledger)
    for answer in new:
        everything.setdefault(answer["sample_id"], []).append(answer)
    return everything


def _shared(inputs: RelabelInputs) -> Row:
    """Return what the events of this round have in common."""
    last = inputs.ledger["round"].max()
    return {
        "round": 1 + (int(last) if isinstance(last, int) else 0),
        "source_file": inputs.source_file,
        "source_sha256": inputs.source_sha256,
        "version": inputs.version,
    }


def _events(inputs: RelabelInputs, new: Sequence[Row], rules: Rules) -> tuple[list[Row], dict[str, Verdict]]:
    """Return the events of this round: the answers, then what they come to."""
    touched = list(dict.fromkeys(answer["sample_id"] for answer in new))
    standing = ledgers.standing(inputs.ledger.filter(inputs.ledger["sample_id"].is_in(pl.Series(touched).implode())))
    states = events.states(touched, inputs.labels, inputs.ledger)
    made = []
    for answer in new:
        name = answer["sample_id"]
        made.append(events.event(answer["kind"], name, states[name]) | answer)
        standing.setdefault(name, []).append(answer)
    decisions, verdicts = events.decide(states, standing, rules)
    return [*made, *decisions], verdicts


def _outcome(before: pl.DataFrame, after: pl.DataFrame, verdicts: dict[str, Verdict], made: Sequence[Row]) -> Row:
    """Return what the answers came to."""
    now = before.with_columns(after=after["label"]).filter(pl.col("sample_id").is_in(list(verdicts)))
    moved = set(now.filter(pl.col("label") != pl.col("after"))["sample_id"])
    decided = {name for name, verdict in verdicts.items() if verdict.label is not None}
    return {
        "relabelled": len(decided),
        "confirmed": len(decided - moved),
        "reversed": sum(one["kind"] == "reversal" for one in made),
        "waiting": sum(verdict.waiting for verdict in verdicts.values()),
        **changes(before, after),
    }
