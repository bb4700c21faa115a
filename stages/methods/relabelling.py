"""How answers become labels: reading class names, settling several answers, folding events into labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

Answer = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What the answers to one sample come to.

    Attributes:
        label: the class agreed on; None where they come to nothing.
        counted: the answers that count, one an annotator.
        repeated: how many answers were the same annotator's again.
        problem: why there is no label, in words.
    """

    label: str | None
    counted: list[Answer]
    repeated: int
    problem: str = ""


def read_class(text: str, classes: tuple[str, ...]) -> str | None:
    """Return the class that a cell means: by name, by name in other capitals where only one fits, or by index."""
    if text in classes:
        return text
    alike = [name for name in classes if name.casefold() == text.casefold()]
    if len(alike) == 1:
        return alike[0]
    if text.isascii() and text.isdigit() and int(text) < len(classes):
        return classes[int(text)]
    return None


def settle(answers: list[Answer]) -> Verdict:
    """Return what the answers to one sample come to.

    Of one annotator's answers the latest by timestamp counts; if they differ and one has no timestamp, nothing does.
    Of several annotators' answers a strict majority counts; without one, nothing does.
    """
    by_annotator: dict[str | None, list[Answer]] = {}
    for answer in answers:
        by_annotator.setdefault(answer["annotator"], []).append(answer)
    counted = []
    for annotator, own in by_annotator.items():
        last = _latest(own)
        if last is None:
            return Verdict(
                None, answers, 0, f"{annotator or 'the same annotator'} answered twice, differently, undated"
            )
        counted.append(last)
    repeated = len(answers) - len(counted)
    votes: dict[str, int] = {}
    for answer in counted:
        votes[answer["label"]] = votes.get(answer["label"], 0) + 1
    label = max(votes, key=lambda name: votes[name])
    if 2 * votes[label] <= len(counted):
        told = ", ".join(f"{name} {count}" for name, count in sorted(votes.items()))
        return Verdict(None, counted, repeated, f"no majority ({told})")
    return Verdict(label, counted, repeated)


def _latest(own: list[Answer]) -> Answer | None:
    if len({answer["label"] for answer in own}) == 1:
        return own[-1]
    if any(answer["timestamp"] is None for answer in own):
        return None
    stamps = [answer["timestamp"] for answer in own]
    return own[stamps.index(max(stamps))] if stamps.count(max(stamps)) == 1 else None


def fold(labels: pl.DataFrame, ledger: pl.DataFrame) -> pl.DataFrame:
    """Return the labels after the ledger's decisions, in order: the last decision of a sample is its label.

    Args:
        labels: sample_id, label, relabelled, as they were before the first event.
        ledger: events; those of kind `vote` decide nothing.
    """
    last = ledger.filter(kind="decision").group_by("sample_id", maintain_order=True).agg(pl.col("label_after").last())
    joined = labels.join(last, on="sample_id", how="left", maintain_order="left")
    decided = pl.col("label_after").is_not_null()
    return joined.select(
        "sample_id",
        pl.when(decided).then("label_after").otherwise("label").alias("label"),
        (pl.col("relabelled") | decided).alias("relabelled"),
    )


def before_all(labels: pl.DataFrame, ledger: pl.DataFrame) -> pl.DataFrame:
    """Return the labels as they were before the ledger's first event."""
    first = (
        ledger.filter(kind="decision").group_by("sample_id", maintain_order=True).agg(pl.col("label_before").first())
    )
    joined = labels.join(first, on="sample_id", how="left", maintain_order="left")
    touched = pl.col("label_before").is_not_null()
    return joined.select(
        "sample_id",
        pl.when(touched).then("label_before").otherwise("label").alias("label"),
        (pl.col("relabelled") & ~touched).alias("relabelled"),
    )
