"""Every label event ever, in order; rows are only ever added."""

from __future__ import annotations

import dataframely as dy

from schemas.contract import Contract


class Ledger(dy.Schema):
    """Every label event ever, in order; rows are only ever added."""

    event = dy.Int64(primary_key=True, min=1, description="counted from 1")
    round = dy.Int32(min=1, description="of relabelling")
    kind = dy.String(
        check={"is_decision_or_vote": lambda c: c.is_in(["decision", "vote"])},
        description="a decision sets the label; a vote is one of several annotators' answers, and sets nothing",
    )
    sample_id = dy.String(min_length=1)
    label_before = dy.String(min_length=1)
    label_after = dy.String(min_length=1)
    annotator = dy.String(nullable=True, description="null where the file did not say")
    answered_at = dy.String(nullable=True, description="when, as the file says; null where it did not")
    seconds = dy.Float64(nullable=True, min=0)
    confidence = dy.Float64(nullable=True)
    comment = dy.String(nullable=True)
    cost = dy.Float64(min=0, description="charged to the budget, in labels")
    source_file = dy.String(min_length=1, description="name of the file the answer came from")
    source_sha256 = dy.String(regex="^[0-9a-f]{64}$")


LEDGER = Contract("ledger", version=1, schema=Ledger)
