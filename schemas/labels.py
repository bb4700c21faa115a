"""The current label of each sample, and whether an expert gave it."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy


class Labels(dy.Schema):
    """The current label of each sample, and whether an expert gave it."""

    sample_id = dy.String(primary_key=True, min_length=1)
    label = dy.String(min_length=1, description="name of the class")
    relabelled = dy.Bool(description="whether an expert has looked at this sample (optional: false)")


LABELS = Contract("labels", version=1, schema=Labels, optional={"relabelled": False})
