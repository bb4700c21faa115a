"""Select: which samples are worth an expert's look, best first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import NothingToDoError
from stages.methods.acquisition import STRATEGIES, Candidates, Strategy, best
from stages.methods.randomness import numpy_generator


class SelectConfig(BaseModel):
    """Options of `select`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: Strategy = Field("entropy", description="how samples are ranked; random is the control")
    budget: int = Field(100, ge=1, description="labels to ask for")
    pool: Literal["noisy", "all"] = Field(
        "noisy", description="noisy: neither relabelled nor judged clean; all: whatever is not relabelled"
    )
    seed: int = Field(0, ge=0, description="of random choice")


@dataclass(frozen=True)
class SelectOutputs:
    """The queue's columns, and facts for a person."""

    queue: pl.DataFrame
    facts: dict[str, Any]


def run(config: SelectConfig, scores: pl.DataFrame) -> SelectOutputs:
    """Rank the pool and take as many as the budget allows.

    Args:
        config: strategy and budget.
        scores: the scores table.

    Raises:
        NothingToDoError: the pool is empty.
    """
    pool = scores.filter(_in_pool(config.pool))
    if pool.is_empty():
        raise NothingToDoError(
            f"no candidates: all {scores.height:,} samples are relabelled"
            + (" or judged clean; --pool all looks at those too" if config.pool == "noisy" else "")
        )
    candidates = Candidates(
        *(pool[name].to_numpy().astype(np.float64) for name in ("entropy", "least_confidence", "margin"))
    )
    worth = STRATEGIES[config.strategy](candidates, numpy_generator(config.seed, "select"))
    places = best(worth, config.budget)
    chosen = pool[places].with_columns(
        rank=pl.int_range(1, len(places) + 1, dtype=pl.Int64), score=pl.Series(worth[places]), cost=pl.lit(1.0)
    )
    chosen = chosen.with_columns(reason=_reason(config.strategy))
    counts = chosen["given_label"].value_counts(sort=True)
    facts = {
        "strategy": config.strategy,
        "asked_for": config.budget,
        "queued": chosen.height,
        "pool": pool.height,
        "network_disagrees": int((chosen["given_label"] != chosen["suggested_label"]).sum()),
        "by_given_label": dict(counts.sort("given_label").iter_rows()),
    }
    return SelectOutputs(chosen, facts)


def _in_pool(pool: Literal["noisy", "all"]) -> pl.Expr:
    free = ~pl.col("relabelled")
    return free if pool == "all" else free & ~pl.col("judged_clean").fill_null(False)


def _reason(strategy: Strategy) -> pl.Expr:
    """Say in words why a sample was picked."""
    sure = pl.format(" at {}", pl.col("suggested_certainty").round(2)).fill_null("")
    says = pl.format("given {}, the network says {}{}", "given_label", "suggested_label", sure)
    agrees = pl.format("given {}, the network agrees{}", "given_label", sure)
    view = pl.when(pl.col("given_label") == pl.col("suggested_label")).then(agrees).otherwise(says)
    if strategy == "random":
        return pl.format("drawn at random; {}", view)
    column = strategy.replace("-", "_")
    return pl.format(f"{{}}; {strategy.replace('-', ' ')} {{}}", view, pl.col(column).round(3))
