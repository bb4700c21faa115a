"""What the ledger says: the labels it leads to, the answers that stand, and what was spent."""

from __future__ import annotations

from typing import Any

import polars as pl

from schemas.errors import MismatchError, plural
from schemas.ledger import ANSWERS, SETTING
from stages.methods import chain

_OF_AN_ANSWER = (
    "event",
    "round",
    "kind",
    "sample_id",
    "answer",
    "annotator",
    "answered_at",
    "problem",
    "source_sha256",
)


def fold(labels: pl.DataFrame, ledger: pl.DataFrame) -> pl.DataFrame:
    """Return the labels after the ledger's events, in order: a sample's last decision or reversal says what it is.

    Args:
        labels: sample_id, label, relabelled, as they were before the first event.
        ledger: events; answers and withdrawals set nothing.
    """
    setting = ledger.filter(pl.col("kind").is_in(SETTING))
    original = pl.col("relabelled_before").first() & (pl.col("kind").last() == "reversal")
    by_expert = (pl.col("kind").last() == "decision") | original
    last = setting.group_by("sample_id", maintain_order=True).agg(
        pl.col("label_after").last(), by_expert.alias("by_expert")
    )
    joined = labels.join(last, on="sample_id", how="left", maintain_order="left")
    return joined.select(
        "sample_id",
        pl.coalesce("label_after", "label").alias("label"),
        pl.coalesce("by_expert", "relabelled").alias("relabelled"),
    )


def before_all(labels: pl.DataFrame, ledger: pl.DataFrame) -> pl.DataFrame:
    """Return the labels as they were before the ledger's first event."""
    joined = labels.join(_first(ledger), on="sample_id", how="left", maintain_order="left")
    return joined.select(
        "sample_id",
        pl.coalesce("label_before", "label").alias("label"),
        pl.coalesce("relabelled_before", "relabelled").alias("relabelled"),
    )


def check(labels: pl.DataFrame, ledger: pl.DataFrame, source: str = "ledger") -> pl.DataFrame:
    """Hold labels to the ledger beside them, and return the labels as they were before its first event.

    Args:
        labels: sample_id, label, relabelled.
        ledger: every event.
        source: the ledger's file, for messages.

    Raises:
        MismatchError: the labels are not the ledger's fold, or an event is not as it was written.
    """
    if not ledger.height:
        return labels
    first = before_all(labels, ledger)
    folded = fold(first, ledger)
    same = (labels["label"] == folded["label"]) & (labels["relabelled"] == folded["relabelled"])
    if not same.all():
        wrong = labels.filter(~same)
        raise MismatchError(
            f"{source}: the labels are not what the ledger beside them says of {plural(wrong.height, 'sample')} "
            f"(first: '{wrong['sample_id'][0]}'); was one of the two files replaced?"
        )
    unknown = ledger.filter(~ledger["sample_id"].is_in(labels["sample_id"].implode()))
    if unknown.height:
        raise MismatchError(
            f"{source}: the ledger names {plural(unknown['sample_id'].n_unique(), 'sample')} that the labels do not "
            f"have (first: '{unknown['sample_id'][0]}'); was one of the two files replaced?"
        )
    chain.check(ledger, first, source)
    return first


def answers(ledger: pl.DataFrame) -> pl.DataFrame:
    """Return the answers among the events, with `withdrawn`: whether a later event takes them back."""
    taken_back = ledger["withdraws"].drop_nulls()
    given = ledger.filter(pl.col("kind").is_in(ANSWERS))
    return given.with_columns(withdrawn=pl.col("event").is_in(taken_back.implode()))


def standing(ledger: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Return the answers that are not withdrawn, by sample, in the order of their events."""
    by_sample: dict[str, list[dict[str, Any]]] = {}
    for answer in answers(ledger).filter(~pl.col("withdrawn")).select(_OF_AN_ANSWER).iter_rows(named=True):
        by_sample.setdefault(answer["sample_id"], []).append(answer)
    return by_sample


def decided(ledger: pl.DataFrame) -> dict[str, bool]:
    """Return of each sample that a decision or reversal names whether the last of them was a decision."""
    setting = ledger.filter(pl.col("kind").is_in(SETTING))
    last = setting.group_by("sample_id", maintain_order=True).agg((pl.col("kind").last() == "decision").alias("is"))
    return dict(last.iter_rows())


def original(ledger: pl.DataFrame) -> dict[str, tuple[str, bool]]:
    """Return the label, and whether it was an expert's, that each sample named had before its first decision."""
    return {name: (label, by_expert) for name, label, by_expert in _first(ledger).iter_rows()}


def _first(ledger: pl.DataFrame) -> pl.DataFrame:
    """Return label_before and relabelled_before of each sample's first decision."""
    setting = ledger.filter(pl.col("kind").is_in(SETTING))
    before = (pl.col(name).first() for name in ("label_before", "relabelled_before"))
    return setting.group_by("sample_id", maintain_order=True).agg(*before)


def spent(ledger: pl.DataFrame, rate_per_hour: float | None = None) -> pl.DataFrame:
    """Return what answers cost, a row a round and annotator.

    Returns:
        Columns round, annotator, labels (answers charged), minutes, untimed (answers charged whose time nobody noted)
        and money; minutes or money are null where nothing is known of them.
    """
    charged = answers(ledger).filter("charged")
    hourly = pl.lit(rate_per_hour, pl.Float64)
    minutes = pl.when(unit="minutes").then("cost").otherwise(pl.col("seconds") / 60)
    money = pl.when(unit="money").then("cost").otherwise(pl.col("seconds") / 3600 * hourly)
    known = charged.with_columns(minutes=minutes, money=money)
    return (
        known.group_by("round", "annotator", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("labels"),
            _sum("minutes"),
            pl.col("minutes").is_null().sum().cast(pl.Int64).alias("untimed"),
            _sum("money"),
        )
        .sort("round", "annotator", nulls_last=True)
    )


def _sum(name: str) -> pl.Expr:
    """Return a sum that is null, and not 0, where nothing is known."""
    return pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)
