"""The true labels, known only in experiments; read by `relabel --oracle`, `evaluate` and `report` alone."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy


class Truth(dy.Schema):
    """The true labels, known only in experiments; read by `relabel --oracle`, `evaluate` and `report` alone."""

    sample_id = dy.String(primary_key=True, min_length=1)
    true_label = dy.String(min_length=1, description="name of the class")


TRUTH = Contract("truth", version=1, schema=Truth)
