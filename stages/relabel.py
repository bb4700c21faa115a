"""Relabel: experts' answers become labels; every change is an event in a ledger that only grows.

Only samples of the queue are ever changed, and each answer is charged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from schemas.classes import unknown_class_message
from schemas.conflicts import CONFLICTS
from schemas.errors import DataError, MismatchError, NothingToDoError, listing, plural
from schemas.ledger import LEDGER
from stages.methods.relabelling import Answer, Verdict, before_all, fold, read_class, settle
from stages.report import Report

_LISTED = 20  # ids named in the summary, at most


class RelabelConfig(BaseModel):
    """Options of `relabel`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    annotator: str | None = Field(None, description="who answered, where the file does not say")


@dataclass(frozen=True)
class RelabelInputs:
    """Labels, and answers to take in.

    Attributes:
        labels: sample_id, label, relabelled.
        ledger: every event so far.
        answers: as the answers table, a row an answer.
        queue: sample_id and cost of what was asked; None where the answers' own ids are the queue.
        classes: names in order.
        source_file: name of the answers' file.
        source_sha256: its digest.
        first_row: the number a person gives the answers' first row.
    """

    labels: pl.DataFrame
    ledger: pl.DataFrame
    answers: pl.DataFrame
    queue: pl.DataFrame | None
    classes: tuple[str, ...]
    source_file: str
    source_sha256: str
    first_row: int


@dataclass(frozen=True)
class RelabelOutputs:
    """The labels now, all events, what needs a decision, and facts for a person."""

    labels: pl.DataFrame
    ledger: pl.DataFrame
    conflicts: pl.DataFrame
    facts: dict[str, Any]


def run(config: RelabelConfig, inputs: RelabelInputs, report: Report) -> RelabelOutputs:
    """Take the answers in.

    Raises:
        DataError: an answer is no class.
        MismatchError: an answer or the queue is for a sample that does not exist.
        NothingToDoError: no answer is left to take in.
    """
    _check_fold(inputs)
    known = dict(inputs.labels.select("sample_id", "label").iter_rows())
    asked = _asked(inputs, known)
    answers = _read_answers(config, inputs, known)
    facts: dict[str, Any] = {"answers": len(answers)}
    answers = _drop(
        answers, lambda a: a["label"] is None, "not_answered", facts, report, "have no label; left as they are"
    )
    answers = _drop(
        answers, lambda a: a["sample_id"] not in asked, "outside_queue", facts, report, "are not in the queue; left out"
    )
    imported = _imported(inputs.ledger)
    answers = _drop(
        answers,
        lambda a: (inputs.source_sha256, a["sample_id"], a["annotator"]) in imported,
        "already_imported",
        facts,
        report,
        "were taken in before from the same file; not counted again",
    )
    if not answers:
        raise NothingToDoError(f"{inputs.source_file}: no answer to take in ({_why_nothing(facts)})")
    events, conflicts, repeated = _decide(answers, known, asked, inputs)
    ledger = LEDGER.check(pl.concat([inputs.ledger, events]), "ledger")
    labels = fold(inputs.labels, events)
    assert labels.equals(fold(before_all(inputs.labels, inputs.ledger), ledger)), "labels are not the ledger's fold"
    if conflicts.height:
        report.warn(f"{plural(conflicts['sample_id'].n_unique(), 'sample')} need a decision: see conflicts.parquet")
    facts |= _counts(events, conflicts, repeated, ledger)
    return RelabelOutputs(labels, ledger, conflicts, facts)


def _check_fold(inputs: RelabelInputs) -> None:
    """Refuse labels that the ledger beside them does not lead to."""
    folded = fold(before_all(inputs.labels, inputs.ledger), inputs.ledger)
    wrong = inputs.labels.filter(inputs.labels["label"] != folded["label"])
    if wrong.height:
        raise MismatchError(
            f"the labels are not what the ledger beside them says of {plural(wrong.height, 'sample')} "
            f"(first: '{wrong['sample_id'][0]}'); was one of the two files replaced?"
        )


def _asked(inputs: RelabelInputs, known: dict[str, str]) -> dict[str, float]:
    if inputs.queue is None:
        return dict.fromkeys(inputs.answers["sample_id"], 1.0)
    asked = dict(inputs.queue.select("sample_id", "cost").iter_rows())
    foreign = [name for name in asked if name not in known]
    if foreign:
        raise MismatchError(
            f"the queue holds {plural(len(foreign), 'sample')} that the labels do not (first: '{foreign[0]}'); "
            "do they belong to the same data set?"
        )
    return asked


def _read_answers(config: RelabelConfig, inputs: RelabelInputs, known: dict[str, str]) -> list[Answer]:
    rows = list(inputs.answers.iter_rows(named=True))
    foreign = [(place, row["sample_id"]) for place, row in enumerate(rows) if row["sample_id"] not in known]
    if foreign:
        place, name = foreign[0]
        raise MismatchError(
            f"{inputs.source_file}: {plural(len(foreign), 'answer')} for samples that do not exist "
            f"(first: row {place + inputs.first_row}, '{name}')"
        )
    unknown = []
    for place, row in enumerate(rows):
        row["annotator"] = row["annotator"] or config.annotator
        text = row["label"]
        row["label"] = None if text is None else read_class(text, inputs.classes)
        if text is not None and row["label"] is None:
            unknown.append((place, text))
    if unknown:
        raise DataError(unknown_class_message(inputs.source_file, "label", unknown, inputs.classes, inputs.first_row))
    return rows


def _drop(
    answers: list[Answer], unwanted: Any, name: str, facts: dict[str, Any], report: Report, told: str
) -> list[Answer]:
    """Leave out what a rule leaves out: counted, listed, and said."""
    dropped = [answer["sample_id"] for answer in answers if unwanted(answer)]
    facts[name] = len(dropped)
    if dropped:
        facts[f"{name}_samples"] = list(dict.fromkeys(dropped))[:_LISTED]
        report.warn(f"{plural(len(dropped), 'answer')} {told}: {listing(facts[f'{name}_samples'])}")
    return [answer for answer in answers if not unwanted(answer)]


def _imported(ledger: pl.DataFrame) -> set[tuple[str, str, str | None]]:
    """Return whose answers to what were taken in from which file: a file says one thing of each, however often."""
    return set(ledger.select("source_sha256", "sample_id", "annotator").iter_rows())


def _why_nothing(facts: dict[str, Any]) -> str:
    names = ("not_answered", "outside_queue", "already_imported")
    reasons = [f"{facts[name]} {name.replace('_', ' ')}" for name in names if facts.get(name)]
    return ", ".join(reasons) or "it is empty"


def _decide(
    answers: list[Answer], known: dict[str, str], asked: dict[str, float], inputs: RelabelInputs
) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Return new events, conflicts, and how many answers were repeats."""
    by_sample: dict[str, list[Answer]] = {}
    for answer in answers:
        by_sample.setdefault(answer["sample_id"], []).append(answer)
    last_event = int(inputs.ledger["event"].max() or 0)  # type: ignore[arg-type]
    this_round = int(inputs.ledger["round"].max() or 0) + 1  # type: ignore[arg-type]
    events: list[dict[str, Any]] = []
    conflicts: list[dict[str, Any]] = []
    repeated = 0
    for name, given in by_sample.items():
        verdict = settle(given)
        repeated += verdict.repeated
        if verdict.label is None:
            conflicts += [{**_only(answer), "problem": verdict.problem} for answer in verdict.counted]
        for row in _events(name, verdict, known[name], asked[name]):
            shared = {"source_file": inputs.source_file, "source_sha256": inputs.source_sha256, "round": this_round}
            events.append({**row, **shared, "event": last_event + len(events) + 1})
    schema = LEDGER.empty().schema
    rows = pl.DataFrame([{name: event[name] for name in schema} for event in events], schema=schema)
    return rows, pl.DataFrame(conflicts, schema=CONFLICTS.empty().schema), repeated


def _only(answer: Answer) -> dict[str, Any]:
    return {name: answer[name] for name in ("sample_id", "label", "annotator")}


def _events(name: str, verdict: Verdict, before: str, cost: float) -> list[dict[str, Any]]:
    """Return a decision for one annotator's answer; for several, their votes and then the decision, free of charge."""

    def event(kind: str, label: str, answer: Answer | None, charged: float, who: str | None) -> dict[str, Any]:
        details = {key: None if answer is None else answer[key] for key in ("seconds", "confidence", "comment")}
        when = None if answer is None else answer["timestamp"]
        changed = {"label_before": before, "label_after": label, "cost": charged}
        return {"sample_id": name, "kind": kind, **changed, "annotator": who, "answered_at": when, **details}

    if len(verdict.counted) == 1 and verdict.label is not None:
        answer = verdict.counted[0]
        return [event("decision", verdict.label, answer, cost, answer["annotator"])]
    events = [event("vote", answer["label"], answer, cost, answer["annotator"]) for answer in verdict.counted]
    if verdict.label is not None:
        who = "; ".join(sorted(str(answer["annotator"]) for answer in verdict.counted))
        events.append(event("decision", verdict.label, None, 0.0, who))
    return events


def _counts(events: pl.DataFrame, conflicts: pl.DataFrame, repeated: int, ledger: pl.DataFrame) -> dict[str, Any]:
    decided = events.filter(kind="decision")
    changed = decided.filter(pl.col("label_before") != pl.col("label_after"))
    moves = changed.group_by("label_before", "label_after").len().sort("label_before", "label_after")
    return {
        "repeated": repeated,
        "round": int(events["round"][0]),
        "relabelled": decided.height,
        "changed": changed.height,
        "confirmed": decided.height - changed.height,
        "in_conflict": conflicts["sample_id"].n_unique(),
        "cost": float(events["cost"].sum()),
        "cost_so_far": float(ledger["cost"].sum()),
        "changes": [list(move) for move in moves.iter_rows()],
    }
