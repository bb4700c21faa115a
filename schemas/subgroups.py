"""Metrics of sub-groups of a split, by what else is known of its samples."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy


class Subgroups(dy.Schema):
    """Metrics of sub-groups: a row a column of metadata, a value of it, and a metric."""

    column = dy.String(primary_key=True, min_length=1, description="of the metadata")
    subgroup = dy.String(primary_key=True, min_length=1, description="value, or band of values")
    metric = dy.String(primary_key=True, min_length=1)
    samples = dy.Int64(min=1, description="of the sub-group in the split")
    groups = dy.Int64(min=1, description="patients or lesions among them")
    classes = dy.Int64(min=1, description="that it has samples of: means over classes are over these")
    value = dy.Float64(nullable=True, description="null where undefined")
    low = dy.Float64(nullable=True, description="of the 95 % interval; null with fewer than 20 groups")
    high = dy.Float64(nullable=True, description="of the 95 % interval; null with fewer than 20 groups")


SUBGROUPS = Contract("subgroups", version=1, schema=Subgroups)
