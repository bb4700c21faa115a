"""Who is asked what, and under which code: a row a sample and annotator."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy


class Packets(dy.Schema):
    """Who is asked what, and under which code: a row a sample and annotator."""

    annotator = dy.String(primary_key=True, min_length=1)
    position = dy.Int64(primary_key=True, min=1, description="in the annotator's packet")
    code = dy.String(unique=True, min_length=1, description="what the packet calls the sample; tells nothing of it")
    sample_id = dy.String(min_length=1)


PACKETS = Contract("packets", version=1, schema=Packets)
