"""Every label event ever, in order; rows are only ever added, and each is chained to the one before by its hash."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy

ANSWERS = ("vote", "adjudication", "unclear")
SETTING = ("decision", "reversal")
KINDS = (*ANSWERS, "withdrawal", *SETTING)


class Ledger(dy.Schema):
    """Every label event ever, in order; rows are only ever added, and each is chained to the one before by its hash.

    A vote is one annotator's answer; an adjudication is an answer that stands above the votes; an unclear one names no
    class. A withdrawal takes an answer back. None of these sets a label: a decision does, and a reversal gives the
    sample the label back that it had before anyone answered.
    """

    event = dy.Int64(primary_key=True, min=1, description="counted from 1")
    round = dy.Int32(min=1, description="of relabelling")
    kind = dy.String(
        check={"is_kind_of_event": lambda c: c.is_in(KINDS)},
        description="vote, adjudication or unclear (answers), withdrawal, decision or reversal",
    )
    sample_id = dy.String(min_length=1)
    answer = dy.String(nullable=True, min_length=1, description="the class that the annotator named")
    label_before = dy.String(min_length=1)
    label_after = dy.String(min_length=1, description="other than before only where a decision or reversal says so")
    relabelled_before = dy.Bool(description="whether the label before was an expert's")
    annotator = dy.String(nullable=True, description="null where nobody said; of a decision, who named the class")
    answered_at = dy.String(nullable=True, description="when, in UTC where the file's time could be read")
    seconds = dy.Float64(nullable=True, min=0)
    confidence = dy.Float64(nullable=True)
    comment = dy.String(nullable=True)
    problem = dy.String(nullable=True, description="why an unclear answer names no class")
    withdraws = dy.Int64(nullable=True, min=1, description="the event that a withdrawal takes back")
    charged = dy.Bool(description="whether it counts against the budget: each answer once, nothing else")
    cost = dy.Float64(min=0, description="of one look, in the unit; 0 where not charged")
    unit = dy.String(min_length=1, description="labels, minutes or money, as the queue counts")
    source_file = dy.String(nullable=True, description="name of the file the answer came from; null for an undo")
    source_sha256 = dy.String(nullable=True, regex="^[0-9a-f]{64}$")
    version = dy.String(min_length=1, description="of the program that wrote the event")
    previous = dy.String(
        regex="^[0-9a-f]{64}$", description="hash of the event before; of the first labels for event 1"
    )
    hash = dy.String(regex="^[0-9a-f]{64}$", description="SHA-256 of this event and `previous`")


LEDGER = Contract("ledger", version=2, schema=Ledger)
