"""What training saw of each sample: a row a sample, epoch and network."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy


class Signals(dy.Schema):
    """What training saw of each sample: a row a sample, epoch and network."""

    sample_id = dy.String(primary_key=True, min_length=1)
    epoch = dy.Int32(primary_key=True, min=0, description="counted from 0")
    network = dy.Int8(primary_key=True, min=1, max=2)
    loss = dy.Float32(min=0, description="cross-entropy of the given label, in nats")
    p_given = dy.Float32(min=0, max=1, description="posterior of the given label")
    margin = dy.Float32(description="logit of the given label less the largest other logit")
    kept = dy.Bool(description="whether this network picked the sample as clean")
    variance_of_gradients = dy.Float32(nullable=True, min=0, description="null until enough epochs are seen")


SIGNALS = Contract("signals", version=1, schema=Signals, optional={"variance_of_gradients": None})
