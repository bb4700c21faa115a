"""The samples chosen for an expert's look, best first."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy


class Queue(dy.Schema):
    """The samples chosen for an expert's look, best first."""

    rank = dy.Int64(min=1, unique=True, description="1 is looked at first")
    sample_id = dy.String(primary_key=True, min_length=1)
    given_label = dy.String(min_length=1)
    suggested_label = dy.String(min_length=1)
    score = dy.Float64(nullable=True, description="by the strategy: the larger, the more worth a look")
    reason = dy.String(description="why it was picked, in words")
    cost = dy.Float64(min=0, description="of one look, in the unit")
    unit = dy.String(min_length=1, description="what costs are counted in: labels, minutes or money")
    strategy = dy.String(nullable=True, description="by which it was picked; null where nobody said")


QUEUE = Contract(
    "queue",
    version=1,
    schema=Queue,
    optional={"reason": "", "cost": 1.0, "unit": "labels", "score": None, "strategy": None},
)
