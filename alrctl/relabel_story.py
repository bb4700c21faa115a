"""What a person reads after answers were taken in, or taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alrctl.console import cell
from alrctl.session import Session, Summary

QUIET = (
    *("not_answered", "outside_queue", "repeated", "already_imported", "outdated", "over_budget"),
    *("unclear", "waiting", "reversed", "in_conflict"),
)
_MOST_PAIRS = 15


def story(session: Session, summary: Summary) -> None:
    """Show the changes by class, what was spent by round and annotator, and how far annotators agree."""
    if summary["changes"]:
        rows = [[before, after, str(count)] for before, after, count in summary["changes"]]
        session.voice.table("labels changed", ["from", "to", "samples"], rows)
    costs(session, summary["spent"])
    agreement(session, summary["agreement"])


def costs(session: Session, spent: Sequence[Sequence[Any]]) -> None:
    """Show what was spent."""
    rows = [
        [str(number), name or "(nobody named)", cell(labels), _amount(minutes), _amount(money), cell(untimed)]
        for number, name, labels, minutes, untimed, money in spent
    ]
    if rows:
        header = ["round", "annotator", "labels", "minutes", "money", "without time"]
        session.voice.table("spent so far", header, rows)


def agreement(session: Session, pairs: Sequence[Sequence[Any]]) -> None:
    """Show how far each two annotators agree."""
    rows = [
        [f"{one or '(nobody named)'} - {other or '(nobody named)'}", cell(samples), cell(agreed), cell(kappa)]
        for one, other, samples, agreed, kappa in pairs[:_MOST_PAIRS]
    ]
    if rows:
        session.voice.table("agreement", ["annotators", "samples", "same answer", "Cohen's kappa"], rows)


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"
