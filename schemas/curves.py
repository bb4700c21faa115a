"""Budget curves: a metric by what was spent, for each way to spend it and each seed."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy


class Curves(dy.Schema):
    """Budget curves: a row an arm, seed and budget, and one for the mean over seeds."""

    arm = dy.String(min_length=1, description="way to spend the budget: the strategy, and whatever else differs")
    seed = dy.String(nullable=True, min_length=1, description="null for the mean over seeds")
    budget = dy.Float64(min=0, description="spent before, in the unit")
    unit = dy.String(min_length=1, description="labels, minutes or money")
    metric = dy.String(min_length=1)
    value = dy.Float64()
    low = dy.Float64(nullable=True, description="of the 95 % interval; of one seed, of test samples only")
    high = dy.Float64(nullable=True, description="of the 95 % interval")
    deviation = dy.Float64(nullable=True, min=0, description="standard deviation over seeds; null of one seed")


CURVES = Contract("curves", version=1, schema=Curves)
