"""From answers that stand to decisions: the events that bring a sample's label to what its answers come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from stages.methods import ledger as ledgers
from stages.methods.consensus import Answer, Rules, Verdict, latest_by_annotator, settle

Row = dict[str, Any]


@dataclass(frozen=True)
class State:
    """Where a sample stands.

    Attributes:
        label: now.
        relabelled: whether an expert gave it.
        decided: whether the answers that stood came to a label.
        original: the label before the first event, and whether an expert gave it.
    """

    label: str
    relabelled: bool
    decided: bool
    original: tuple[str, bool]


def states(names: Iterable[str], labels: pl.DataFrame, ledger: pl.DataFrame) -> dict[str, State]:
    """Return where each of these samples stands."""
    wanted = pl.DataFrame({"sample_id": list(names)}, schema={"sample_id": pl.String})
    now = labels.join(wanted, on="sample_id", how="semi", maintain_order="left")
    about = ledger.join(wanted, on="sample_id", how="semi", maintain_order="left")
    decided, original = ledgers.decided(about), ledgers.original(about)
    return {
        name: State(label, by_expert, decided.get(name, False), original.get(name, (label, by_expert)))
        for name, label, by_expert in now.select("sample_id", "label", "relabelled").iter_rows()
    }


def decide(
    states: Mapping[str, State], answers: Mapping[str, Sequence[Row]], rules: Rules
) -> tuple[list[Row], dict[str, Verdict]]:
    """Return the decisions and reversals that bring each sample to what its answers come to, and the verdicts.

    A sample's label depends on the answers that stand and on nothing else, so that it does not matter in which order
    files come in: where the answers come to nothing, the sample has the label it had before anyone answered.

    Args:
        states: of the samples to decide.
        answers: those that stand, by sample, in the order they came in.
        rules: how several become one.
    """
    events, verdicts = [], {}
    for name, state in states.items():
        given = answers.get(name, [])
        verdict = settle(given, rules) if given else Verdict(None)
        verdicts[name] = verdict
        if verdict.label is not None and not (state.decided and state.label == verdict.label):
            who = named_by(given, verdict.label)
            events.append(event("decision", name, state, verdict.label, annotator="; ".join(who) or None))
        elif verdict.label is None and state.decided:
            events.append(event("reversal", name, state, state.original[0]))
    return events, verdicts


def named_by(answers: Sequence[Row], label: str) -> list[str]:
    """Return who named a class: the adjudicators, if there are any, else the annotators."""
    if len(answers) == 1:
        return [answers[0]["annotator"]] if answers[0]["annotator"] is not None else []
    final: Sequence[Answer] = [answer for answer in answers if answer["kind"] == "adjudication"]
    pool = final or answers
    counted = pool if len(pool) == 1 else [one for one in latest_by_annotator(pool) if one["answer"] == label]
    return sorted({str(one["annotator"]) for one in counted if one["annotator"] is not None})


def event(kind: str, name: str, state: State, after: str | None = None, **details: Any) -> Row:
    """Return an event of a sample; without `after` it leaves the label as it is."""
    return {
        "kind": kind,
        "sample_id": name,
        "label_before": state.label,
        "label_after": state.label if after is None else after,
        "relabelled_before": state.relabelled,
        "charged": False,
        "cost": 0.0,
        "unit": "labels",
        **details,
    }
