"""How many labels are wrong, by estimate: by given class, and for all together."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy
from schemas.judgement import ALL

__all__ = ["ALL", "NOISE", "Noise"]


class Noise(dy.Schema):
    """How many labels are wrong, by estimate: a row a given class, and one for all classes."""

    label = dy.String(primary_key=True, min_length=1, description="given class; (all) for all together")
    samples = dy.Int64(min=0, description="that bear the label; of noisy-ids and audit, those no expert has relabelled")
    estimated_errors = dy.Float64(
        nullable=True, min=0, description="labels among them that are wrong, by estimate; null if the rate is not known"
    )
    noise_rate = dy.Float64(nullable=True, min=0, max=1, description="share of wrong labels, by estimate; null of none")
    low = dy.Float64(nullable=True, min=0, max=1, description="lower end of the rate's interval; null if none was made")
    high = dy.Float64(nullable=True, min=0, max=1, description="upper end of it")


NOISE = Contract("noise", version=1, schema=Noise)
