"""The samples of a data set: which they are, where they came from, which split and group they belong to."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy

SPLITS = ("train", "val", "test")


class Samples(dy.Schema):
    """The samples of a data set: which they are, where they came from, which split and group they belong to."""

    sample_id = dy.String(primary_key=True, min_length=1, description="unique and stable name of the sample")
    split = dy.String(check={"is_train_val_or_test": lambda c: c.is_in(SPLITS)}, description="train, val or test")
    group_id = dy.String(nullable=True, description="patient or lesion; null where unknown")
    source = dy.String(description="relative path or record the image was read from")
    width = dy.Int32(min=1, description="of the original image, in pixels")
    height = dy.Int32(min=1, description="of the original image, in pixels")


SAMPLES = Contract("samples", version=1, schema=Samples, optional={"group_id": None})
