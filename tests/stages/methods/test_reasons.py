"""Every reason is a sentence that an expert can check, to the letter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.methods.acquisition import QUALITY, UNCERTAINTY, Quality, Strategy
from stages.methods.reasons import Grounds, reasons

LOSS = pl.Series("loss", np.arange(100, dtype=np.float64))
"""Of a hundred samples: 99 is in the top 1 %, 90 in the top 10 %, 89 in the top 11 %."""


def chosen(**changed: Any) -> pl.DataFrame:
    """One sample given red that the only network says is blue, at a loss of no account."""
    row: dict[str, Any] = {
        "given_label": "red",
        "predicted_label": "blue",
        "peer_label": None,
        "suggested_certainty": 0.75,
        "loss": 5.0,
    }
    kinds = {"peer_label": pl.String, "suggested_certainty": pl.Float32}
    return pl.DataFrame({name: [value] for name, value in (row | changed).items()}, schema_overrides=kinds)


def reason(
    table: pl.DataFrame,
    strategy: str = "random",
    columns: Mapping[str, pl.Series] | None = None,
    chance: Sequence[float] | None = None,
) -> str:
    """Why the only sample was chosen."""
    wrong = None if chance is None else np.array(chance)
    found = reasons(table, Grounds([strategy], LOSS, wrong, columns or {}))
    assert len(found) == 1
    return str(found[0])


VIEWS = [
    ({}, "given red, the network says blue at 0.75"),
    ({"predicted_label": "red"}, "given red, the network agrees at 0.75"),
    ({"suggested_certainty": None}, "given red, the network says blue"),
    ({"predicted_label": "red", "suggested_certainty": None}, "given red, the network agrees"),
    ({"peer_label": "blue"}, "given red, both networks say blue at 0.75"),
    ({"peer_label": "red", "predicted_label": "red"}, "given red, both networks agree at 0.75"),
    ({"peer_label": "green"}, "given red, the networks say blue at 0.75 and green"),
    ({"peer_label": "red"}, "given red, the networks say blue at 0.75 and red"),
    ({"peer_label": "blue", "predicted_label": "red"}, "given red, the networks say red at 0.75 and blue"),
    ({"peer_label": "green", "suggested_certainty": None}, "given red, the networks say blue and green"),
    ({"peer_label": "blue", "suggested_certainty": None}, "given red, both networks say blue"),
    ({"suggested_certainty": 0.999}, "given red, the network says blue at 1.00"),
]


@pytest.mark.parametrize(("changed", "view"), VIEWS)
def test_it_says_what_the_label_is_and_what_the_networks_say(changed: dict[str, Any], view: str) -> None:
    assert reason(chosen(**changed)) == f"{view}; drawn at random"


WORDS = {
    "random": "drawn at random",
    "class-balanced-random": "drawn at random, each class in turn",
    "coreset": "unlike all that is trusted or chosen before it",
    "badge": "unsure, and unlike those chosen before it",
    "typiclust": "typical of many images like it, few or none of them labelled by an expert",
    "group": "of the same group as the one before",
}


@pytest.mark.parametrize("strategy", WORDS)
def test_strategies_without_a_number_are_told_in_words(strategy: str) -> None:
    assert reason(chosen(), strategy) == f"given red, the network says blue at 0.75; {WORDS[strategy]}"


BY_COLUMN = {
    "entropy": ("entropy", "entropy 90, in the top 10 %"),
    "least-confidence": ("least_confidence", "least confidence 90, in the top 10 %"),
    "margin": ("margin", "margin 90, in the lowest 91 %"),
    "bald": ("bald", "bald 90, in the top 10 %"),
    "disagreement": ("disagreement", "disagreement 90, in the top 10 %"),
    "neighbours": ("neighbour_disagreement", "neighbour disagreement 90, in the top 10 %"),
}
BY_QUALITY = {
    "self-confidence": ("self_confidence", "self confidence 90, in the lowest 91 %"),
    "normalised-margin": ("normalised_margin", "normalised margin 90, in the lowest 91 %"),
    "cross-entropy-less-entropy": ("cross_entropy_less_entropy", "cross entropy less entropy 90, in the top 10 %"),
    "confidence-weighted-entropy": ("confidence_weighted_entropy", "confidence weighted entropy 90, in the top 10 %"),
    "area-under-margin": ("area_under_margin", "area under margin 90, in the lowest 91 %"),
}


def test_every_strategy_and_measure_has_its_words_here() -> None:
    assert {*WORDS, *BY_COLUMN, "expected-correction", "label-quality", "mix"} == {*get_args(Strategy), "group"}
    assert set(BY_COLUMN) == set(UNCERTAINTY)
    assert set(BY_QUALITY) == set(QUALITY) == set(get_args(Quality))


@pytest.mark.parametrize("strategy", BY_COLUMN)
def test_strategies_by_a_column_tell_its_value_and_place_among_all(strategy: str) -> None:
    column, words = BY_COLUMN[strategy]
    found = reason(chosen(**{column: 90.0}), strategy, {strategy: LOSS.alias(column)})
    assert found == f"given red, the network says blue at 0.75; {words}"


@pytest.mark.parametrize("quality", BY_QUALITY)
def test_label_quality_tells_the_measure_it_went_by(quality: str) -> None:
    column, words = BY_QUALITY[quality]
    found = reason(chosen(**{column: 90.0}), "label-quality", {"label-quality": LOSS.alias(column)})
    assert found == f"given red, the network says blue at 0.75; {words}"


def test_expected_correction_tells_the_chance_of_being_wrong() -> None:
    assert reason(chosen(), "expected-correction", chance=[0.876]) == (
        "given red, the network says blue at 0.75; wrong with a chance of 0.88, and worth mending for its class"
    )


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (99.0, "; loss in the top 1 %"),
        (98.0, "; loss in the top 2 %"),
        (90.0, "; loss in the top 10 %"),
        (89.0, ""),
        (0.0, ""),
    ],
)
def test_a_loss_among_the_largest_is_worth_a_word(loss: float, words: str) -> None:
    assert reason(chosen(loss=loss)) == f"given red, the network says blue at 0.75; drawn at random{words}"


@pytest.mark.parametrize(
    ("strategy", "column", "value", "words"),
    [
        ("entropy", "entropy", 99.0, "entropy 99, in the top 1 %"),
        ("entropy", "entropy", 0.0, "entropy 0, in the top 100 %"),
        ("margin", "margin", 0.0, "margin 0, in the lowest 1 %"),
        ("margin", "margin", 99.0, "margin 99, in the lowest 100 %"),
        ("entropy", "entropy", 12.3456, "entropy 12.3, in the top 87 %"),
    ],
)
def test_shares_reach_from_one_per_cent_to_all(strategy: str, column: str, value: float, words: str) -> None:
    found = reason(chosen(**{column: value}), strategy, {strategy: LOSS.alias(column)})
    assert found == f"given red, the network says blue at 0.75; {words}"


def test_a_share_is_rounded_up_and_equals_count_as_one() -> None:
    values = pl.Series("entropy", [0.5, 0.5, 0.5, 0.1, 0.2, 0.3, 0.9])
    assert reason(chosen(entropy=0.5), "entropy", {"entropy": values}).endswith("entropy 0.5, in the top 58 %")
    assert reason(chosen(entropy=0.9), "entropy", {"entropy": values}).endswith("entropy 0.9, in the top 15 %")


def test_samples_whose_value_is_not_known_do_not_count_in_the_share() -> None:
    values = pl.Series("bald", [None, 0.1, None, 0.2, 0.3, 0.4])
    assert reason(chosen(bald=0.3), "bald", {"bald": values}).endswith("; bald 0.3, in the top 50 %")


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.booleans(), st.data())
@settings(max_examples=30, deadline=None)
def test_a_share_is_that_of_all_that_are_as_large_or_as_small(
    values: list[int], smallest: bool, data: st.DataObject
) -> None:
    value = data.draw(st.sampled_from(values))
    name = "margin" if smallest else "entropy"
    found = reason(chosen(**{name: float(value)}), name, {name: pl.Series(name, values, dtype=pl.Float64)})
    beyond = sum(other <= value if smallest else other >= value for other in values)
    share = -(-100 * beyond // len(values))
    assert found.endswith(f"; {name} {value}, in the {'lowest' if smallest else 'top'} {share} %")


def test_each_sample_is_told_by_the_strategy_that_picked_it() -> None:
    table = pl.concat(
        [
            chosen(entropy=99.0),
            chosen(entropy=1.0, loss=99.0),
            chosen(entropy=90.0, given_label="green"),
            chosen(entropy=1.0),
            chosen(entropy=3.0),
        ]
    )
    strategies = ["entropy", "expected-correction", "entropy", "group", "expected-correction"]
    wrong = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    found = reasons(table, Grounds(strategies, LOSS, wrong, {"entropy": LOSS.alias("entropy")}))
    says = "the network says blue at 0.75"
    mend = "and worth mending for its class"
    assert found.to_list() == [
        f"given red, {says}; entropy 99, in the top 1 %",
        f"given red, {says}; wrong with a chance of 0.20, {mend}; loss in the top 1 %",
        f"given green, {says}; entropy 90, in the top 10 %",
        f"given red, {says}; of the same group as the one before",
        f"given red, {says}; wrong with a chance of 0.50, {mend}",
    ]
