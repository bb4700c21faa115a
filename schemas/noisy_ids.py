"""The samples whose labels are probably wrong, by estimate, most probable first."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy


class NoisyIds(dy.Schema):
    """The samples whose labels are probably wrong, by estimate, most probable first."""

    rank = dy.Int64(min=1, unique=True, description="1 is the likeliest to be wrong")
    sample_id = dy.String(primary_key=True, min_length=1)
    given_label = dy.String(min_length=1, description="the label it bears; nothing here changes it")
    suggested_label = dy.String(
        min_length=1,
        description="likeliest of the other classes, by image and label",
    )
    probability_wrong = dy.Float64(min=0, max=1, description="estimated chance that the given label is wrong")
    suggested_probability = dy.Float64(min=0, max=1, description="estimated chance that the suggested label is right")
    loss = dy.Float32(min=0, description="cross-entropy of the given label, in nats")


NOISY_IDS = Contract("noisy_ids", version=1, schema=NoisyIds)
