"""Samples whose answers come to nothing, and the queue by which an adjudicator settles them."""

from __future__ import annotations

from collections import Counter

import polars as pl

from schemas.conflicts import CONFLICTS
from schemas.queue import QUEUE
from stages.methods import ledger as ledgers
from stages.methods.consensus import Rules, latest_by_annotator, settle


def of(ledger: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Return the answers, of this round and earlier ones, that stand and settle nothing: a row an annotator.

    Samples that only wait for more annotators are not among them.
    """
    decided = pl.Series([name for name, is_ in ledgers.decided(ledger).items() if is_], dtype=pl.String)
    rows = []
    for name, answers in ledgers.standing(ledger.filter(~pl.col("sample_id").is_in(decided.implode()))).items():
        verdict = settle(answers, rules)
        if verdict.waiting:
            continue
        problem = verdict.problem or "undecided under the options it came in with"
        rows += [
            {"sample_id": name, "label": answer["answer"], "annotator": answer["annotator"], "problem": problem}
            for answer in latest_by_annotator(answers)
        ]
    return pl.DataFrame(rows, schema=CONFLICTS.empty().schema)


def queue(conflicts: pl.DataFrame, labels: pl.DataFrame, asked: pl.DataFrame | None) -> pl.DataFrame:
    """Return the samples in conflict as a queue, in the order they were asked in.

    The suggested label is the one that most annotators named, the given label where none named any.
    """
    if not conflicts.height:
        return QUEUE.empty()
    about = labels.filter(labels["sample_id"].is_in(conflicts["sample_id"].implode()))
    given = dict(about.select("sample_id", "label").iter_rows())
    price = {} if asked is None else {row["sample_id"]: row for row in asked.iter_rows(named=True)}
    named = conflicts.group_by("sample_id", maintain_order=True).agg("label", pl.col("problem").first())
    found = sorted(named.iter_rows(), key=lambda row: (row[0] not in price, price.get(row[0], {}).get("rank", 0)))
    rows = []
    for rank, (name, votes, problem) in enumerate(found, 1):
        common = Counter(vote for vote in votes if vote is not None).most_common(1)
        known = price.get(name, {})
        rows.append(
            {
                "rank": rank,
                "sample_id": name,
                "given_label": given[name],
                "suggested_label": common[0][0] if common else given[name],
                "score": None,
                "reason": problem,
                "cost": known.get("cost", 1.0),
                "unit": known.get("unit", "labels"),
            }
        )
    return QUEUE.check(pl.DataFrame(rows, schema=QUEUE.empty().schema), "queue")
