"""What a queue may cost."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stages.methods.accounts import USUAL_COST, Unit


class Spending(BaseModel):
    """Options of whatever chooses within a budget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: float = Field(100.0, gt=0, allow_inf_nan=False, description="what all looks together may cost")
    unit: Unit = Field("labels", description="what the budget is counted in")
    cost: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="of one look (default: 1 label, half a minute; money has none)",
    )

    @model_validator(mode="after")
    def _money_has_a_price(self) -> Self:
        if self.unit == "money" and self.cost is None:
            raise ValueError("--unit money needs --cost, the price of one look")
        return self

    @property
    def price(self) -> float:
        """Of one look, in the unit."""
        return self.cost if self.cost is not None else USUAL_COST[self.unit]
