"""Answers that need a decision: nothing was changed by them."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy


class Conflicts(dy.Schema):
    """Answers that need a decision: nothing was changed by them."""

    sample_id = dy.String(min_length=1)
    label = dy.String(nullable=True)
    annotator = dy.String(nullable=True)
    problem = dy.String(min_length=1, description="what stands in the way")


CONFLICTS = Contract("conflicts", version=1, schema=Conflicts)
