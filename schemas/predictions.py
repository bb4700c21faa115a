"""What a network says of each sample of a split."""

from __future__ import annotations

import dataframely as dy

from schemas.contract import Contract
from schemas.samples import SPLITS


class Predictions(dy.Schema):
    """What a network says of each sample of a split."""

    sample_id = dy.String(primary_key=True, min_length=1)
    split = dy.String(check={"is_train_val_or_test": lambda c: c.is_in(SPLITS)})
    label = dy.String(min_length=1, description="the reference it is judged by")
    predicted_label = dy.String(min_length=1)
    posterior = dy.List(dy.Float32(min=0, max=1), description="by class, in the order of classes.yaml; sums to 1")


PREDICTIONS = Contract("predictions", version=1, schema=Predictions)
