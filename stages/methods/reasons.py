"""Why a sample was chosen, in words that an expert can check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from stages.methods.acquisition import QUALITY, UNCERTAINTY, Floats

_TELLING = 10  # per cent: a loss among so many of the largest is worth a word
_BECAUSE = {
    "random": "drawn at random",
    "class-balanced-random": "drawn at random, each class in turn",
    "coreset": "unlike all that is trusted or chosen before it",
    "badge": "unsure, and unlike those chosen before it",
    "typiclust": "typical of many images like it, few or none of them labelled by an expert",
    "group": "of the same group as the one before",
}


@dataclass(frozen=True)
class Grounds:
    """What the choice of n samples went by.

    Attributes:
        strategy: by which each was chosen.
        loss: of all samples scored, (N,).
        probability_wrong: (n,) chance that the label is wrong; None where it was not estimated.
        columns: by strategy, the column of all samples scored that it goes by, (N,).
    """

    strategy: Sequence[str]
    loss: pl.Series
    probability_wrong: Floats | None
    columns: Mapping[str, pl.Series]


def reasons(chosen: pl.DataFrame, grounds: Grounds) -> pl.Series:
    """Return a reason for each chosen sample, (n,): what it bears, what the networks say, why it was picked."""
    because = [""] * chosen.height
    for strategy in dict.fromkeys(grounds.strategy):
        mine = [place for place, name in enumerate(grounds.strategy) if name == strategy]
        for place, words in zip(mine, _because(strategy, chosen[mine], mine, grounds), strict=True):
            because[place] = words
    loss = _top(chosen["loss"], grounds.loss, smallest=False)
    large = [f"; loss in the top {share} %" if share <= _TELLING else "" for share in loss]
    views = [_view(row) for row in chosen.iter_rows(named=True)]
    return pl.Series([f"{view}; {why}{also}" for view, why, also in zip(views, because, large, strict=True)])


def _view(row: Mapping[str, object]) -> str:
    """Say what the label is, and what the networks make of the image."""
    given, said, peer = row["given_label"], row["predicted_label"], row["peer_label"]
    sure = "" if row["suggested_certainty"] is None else f" at {row['suggested_certainty']:.2f}"
    who, verb = ("the network", "says") if peer is None else ("both networks", "say")
    if peer is not None and peer != said:
        return f"given {given}, the networks say {said}{sure} and {peer}"
    if said == given:
        return f"given {given}, {who} agree{'s' if peer is None else ''}{sure}"
    return f"given {given}, {who} {verb} {said}{sure}"


def _because(strategy: str, chosen: pl.DataFrame, places: list[int], grounds: Grounds) -> list[str]:
    if strategy in _BECAUSE:
        return [_BECAUSE[strategy]] * chosen.height
    if strategy == "expected-correction":
        assert grounds.probability_wrong is not None
        chance = grounds.probability_wrong[places]
        return [f"wrong with a chance of {found:.2f}, and worth mending for its class" for found in chance]
    series = grounds.columns[strategy]
    smallest = dict([*UNCERTAINTY.values(), *QUALITY.values()])[series.name] < 0
    name = series.name.replace("_", " ")
    end = "lowest" if smallest else "top"
    found = zip(chosen[series.name], _top(chosen[series.name], series, smallest), strict=True)
    return [f"{name} {value:.3g}, in the {end} {share} %" for value, share in found]


def _top(values: pl.Series, everything: pl.Series, smallest: bool) -> list[int]:
    """Return the per cent of all samples, rounded up, that are as large as each value (as small, for `smallest`)."""
    known = np.sort(everything.drop_nulls().to_numpy())
    if not len(known):
        return [100] * len(values)
    wanted = values.to_numpy()
    below = np.searchsorted(known, wanted, side="right" if smallest else "left")
    share = below / len(known) if smallest else 1 - below / len(known)
    return [max(1, int(np.ceil(100 * value - 1e-9))) for value in share]
