"""How good labels are, counted by hand; and how many are wrong, estimated from those looked at by chance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from stages.methods.label_audit import BY_CLASS, Audit, Labels, by_class, by_truth, estimate, judged, transition
from stages.methods.stratified import Stratum, share

CLASSES = ("red", "green", "blue", "black")


def labels(**changed: list[int]) -> Labels:
    """Twelve training samples, and a class that has none.

    place             0  1  2  3 | 4  5  6 | 7  8  9 10 11
    true              r  r  r  r | g  g  g | b  b  b  b  b
    first             r  r  g  b | g  g  r | r  g  b  b  b
    relabelled        .  x  x  x | .  .  x | .  x  .  x  .
    now               r  g  r  b | g  g  g | r  b  b  b  b
    judged clean      x  .  x  . | x  .  . | .  ?  .  x  x
    """
    columns: dict[str, NDArray[Any]] = {
        "true_label": np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2]),
        "first_label": np.array([0, 0, 1, 2, 1, 1, 0, 0, 1, 2, 2, 2]),
        "label": np.array([0, 1, 0, 2, 1, 1, 1, 0, 2, 2, 2, 2]),
        "relabelled": np.array([0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0], dtype=bool),
        "judged_clean": np.array([1, 0, 1, 0, 1, 0, 0, 0, -1, 0, 1, 1], dtype=np.int8),
    }
    return Labels(**(columns | {name: np.array(values) for name, values in changed.items()}))


def test_figures_are_those_counted_by_hand() -> None:
    assert by_truth(labels(), CLASSES) == {
        "samples": 12,
        "noise_rate": pytest.approx(5 / 12),  # 2 3 6 7 8
        "label_accuracy_before": pytest.approx(7 / 12),
        "label_accuracy": pytest.approx(9 / 12),  # all but 1 3 7
        "relabelled": 6,
        "errors_found": 4,  # 2 3 6 8
        "errors_mended": 3,  # 2 6 8
        "errors_made": 1,  # 1
        "errors_left": 3,  # 1 3 7
        "expert_errors": 2,  # 1 3
        "clean_precision": pytest.approx(4 / 5),  # 0 4 10 11 of 0 2 4 10 11
        "clean_recall": pytest.approx(4 / 7),  # 0 4 10 11 of 0 1 4 5 9 10 11
        "clean_recall_worst_class": 0.5,  # red: 0 of 0 1; green: 4 of 4 5; blue: 10 11 of 9 10 11
        "thrown_out": 3,  # 1 5 9
        "thrown_out_rarest_class": {"label": "red", "right": 2, "thrown_out": 1, "share": 0.5},
    }


def test_figures_by_class_are_those_counted_by_hand() -> None:
    found = by_class(labels(), 4)
    assert tuple(found) == BY_CLASS
    assert found["label_accuracy_before"] == [2 / 4, pytest.approx(2 / 3), 3 / 5, None]
    assert found["label_accuracy"] == [2 / 4, 1.0, 4 / 5, None]
    assert found["errors_found"] == [2, 1, 1, 0]
    assert found["errors_mended"] == [1, 1, 1, 0]
    assert found["errors_made"] == [1, 0, 0, 0]
    assert found["clean_precision"] == [1.0, 1 / 2, 1.0, None]  # by first label: r of 0; g of 2 4; b of 10 11
    assert found["clean_recall"] == [1 / 2, 1 / 2, pytest.approx(2 / 3), None]
    assert found["thrown_out"] == [1, 1, 1, 0]


def test_without_a_judgement_its_figures_are_unknown_and_the_others_are_told() -> None:
    unjudged = labels(judged_clean=[-1] * 12)
    told, names = by_truth(unjudged, CLASSES), ("clean_precision", "clean_recall", "clean_recall_worst_class")
    assert [told[name] for name in (*names, "thrown_out", "thrown_out_rarest_class")] == [None] * 5
    assert told["errors_found"] == 4
    by = by_class(unjudged, 4)
    assert by["clean_precision"] == by["clean_recall"] == by["thrown_out"] == [None] * 4
    assert by["errors_made"] == [1, 0, 0, 0]
    assert judged(unjudged, 4) is None


def test_without_the_truth_every_figure_by_class_is_unknown() -> None:
    assert by_class(None, 4) == dict.fromkeys(BY_CLASS, [None] * 4)


def test_samples_without_a_judgement_do_not_count_against_recall() -> None:
    told = by_truth(labels(judged_clean=[1, -1, 1, 0, 1, -1, 1, 0, 0, -1, 1, 1]), CLASSES)
    assert told["clean_recall"] == told["clean_recall_worst_class"] == 1
    assert told["thrown_out"] == 0
    assert told["thrown_out_rarest_class"] == {"label": "red", "right": 1, "thrown_out": 0, "share": 0}


def test_where_nothing_is_judged_clean_precision_is_undefined_and_all_that_is_right_is_thrown_out() -> None:
    told = by_truth(labels(judged_clean=[0] * 12), CLASSES)
    assert (told["clean_precision"], told["clean_recall"]) == (None, 0)
    assert told["thrown_out"] == 7
    assert told["thrown_out_rarest_class"]["share"] == 1


def test_labels_that_are_all_wrong_have_no_clean_recall_and_nothing_to_throw_out() -> None:
    told = by_truth(labels(first_label=((labels().true_label + 1) % 3).tolist()), CLASSES)
    assert (told["noise_rate"], told["clean_precision"], told["label_accuracy_before"]) == (1, 0, 0)
    assert told["clean_recall"] is told["clean_recall_worst_class"] is told["thrown_out_rarest_class"] is None
    assert told["thrown_out"] == 0


def test_the_rarest_class_is_that_with_the_fewest_right_labels_that_were_judged() -> None:
    told = by_truth(labels(judged_clean=[1, 1, 1, 1, 0, -1, 1, 1, 1, 1, 1, 1]), CLASSES)
    assert told["thrown_out_rarest_class"] == {"label": "green", "right": 1, "thrown_out": 1, "share": 1}


def test_of_no_samples_shares_are_undefined() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    told = by_truth(Labels(nothing, nothing, nothing, nothing.astype(bool), nothing.astype(np.int8)), CLASSES)
    assert told["noise_rate"] is told["label_accuracy"] is told["label_accuracy_before"] is None
    assert told["samples"] == told["errors_left"] == 0


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_errors_found_are_mended_or_left_and_those_made_are_new(seed: int) -> None:
    generator = np.random.default_rng(seed)
    true, first, asked = (generator.integers(0, 3, 30) for _ in range(3))
    given = replace(labels(), true_label=true, first_label=first, relabelled=asked == 0)
    now = np.where(given.relabelled, generator.integers(0, 3, 30), first)
    given = replace(given, label=now, judged_clean=generator.integers(-1, 2, 30).astype(np.int8))
    told, by = by_truth(given, CLASSES), by_class(given, 4)
    wrong_before = round(told["noise_rate"] * 30)
    assert told["errors_left"] == wrong_before - told["errors_mended"] + told["errors_made"]
    assert told["expert_errors"] == told["errors_found"] - told["errors_mended"] + told["errors_made"]
    for name in ("errors_found", "errors_mended", "errors_made"):
        assert sum(by[name]) == told[name], name
    assert sum(count or 0 for count in by["thrown_out"]) == (told["thrown_out"] or 0)


def test_rows_of_the_transition_are_true_classes() -> None:
    assert transition(np.array([0, 0, 1]), np.array([1, 1, 0]), 3).tolist() == [[0, 2, 0], [1, 0, 0], [0, 0, 0]]


def audit(round_: int, wrong: int, right: int, pool: int = 500) -> Audit:
    return Audit(round_, (Stratum(pool, wrong + right, wrong),), 1000)


@pytest.mark.parametrize(("wrong", "right"), [(3, 17), (0, 20), (20, 0), (1, 0), (150, 250)])
def test_the_estimate_is_the_share_changed_with_the_exact_interval(wrong: int, right: int) -> None:
    told, count = estimate([audit(1, wrong, right)]), wrong + right
    assert told is not None
    exact = share(Stratum(500, count, wrong))
    assert exact is not None
    ends = {"value": wrong / count, "low": pytest.approx(exact.low), "high": pytest.approx(exact.high)}
    assert told == ends | {"wrong": wrong, "looked_at": count, "pool": 500, "samples": 1000, "round": 1}
    binomial = stats.binomtest(wrong, count).proportion_ci(0.95, method="exact")
    assert binomial.low - 0.001 <= told["low"] <= told["high"] <= binomial.high + 0.001  # no wider than with all drawn


def test_the_estimate_is_from_the_round_that_drew_from_most() -> None:
    told = estimate([audit(3, 9, 1, 100), audit(2, 1, 3, 400), audit(4, 3, 1, 400)])
    assert told is not None
    assert (told["round"], told["value"], told["pool"], told["looked_at"]) == (2, 0.25, 400, 4)


def test_an_audit_without_an_answer_for_a_class_tells_nothing_of_the_whole() -> None:
    part = Audit(1, (Stratum(900, 9, 3), Stratum(9, 0, 0)), 1000)
    assert estimate([part]) is None
    told = estimate([part, audit(2, 1, 3, 400)])
    assert told is not None
    assert told["round"] == 2


def test_nothing_looked_at_by_chance_estimates_nothing() -> None:
    assert estimate([]) is None
