"""Which training samples phase 1 judged to bear a right label, and how surely."""

from __future__ import annotations

import dataframely as dy

from schemas.contract import Contract


class Clean(dy.Schema):
    """Which training samples phase 1 judged to bear a right label, and how surely."""

    sample_id = dy.String(primary_key=True, min_length=1)
    judged_clean = dy.Bool(nullable=True, description="null where the method makes no judgement (cross-entropy)")
    certainty = dy.Float32(
        nullable=True, min=0, max=1, description="share of the last epochs and networks in which it was picked"
    )


CLEAN = Contract("clean", version=1, schema=Clean, optional={"certainty": None})
