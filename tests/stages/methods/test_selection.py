"""What a selection is asked for is read, or refused in words that say what to mend."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from schemas.errors import UsageError
from stages.methods.acquisition import Quality, Strategy
from stages.methods.queueing import Limits
from stages.methods.selection import SelectionOptions, limits
from stages.report import Report

NAMES = ("red", "green", "blue")
POOL = pl.DataFrame(
    {
        "sample_id": ["a", "b", "c", "d", "x", "e"],
        "group_id": ["x", None, "x", None, None, "y"],
    }
)
LABEL = np.array([0, 0, 0, 1, 3, 2])  # one that is none of the names is past the end


def options(**changed: Any) -> SelectionOptions:
    return SelectionOptions.model_validate(changed)


def limited(report: Report, **changed: Any) -> Limits:
    return limits(options(**changed), POOL, LABEL, NAMES, report)


MIX_TOGETHER = "--strategy mix and --mix STRATEGY=WEIGHT go together"
BY_ITSELF = "--diversity is for strategies that rank; {} looks at the batch by itself"
NOT_WHOLE = "--floor and --quota count samples one by one: not with --group whole"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"strategy": "mix"}, MIX_TOGETHER),
        ({"strategy": "entropy", "mix": ("entropy=1", "random=1")}, MIX_TOGETHER),
        ({"mix": ("entropy=1", "random=1")}, MIX_TOGETHER),
        ({"strategy": "coreset", "diversity": 0.5}, BY_ITSELF.format("coreset")),
        ({"strategy": "badge", "diversity": 0.5}, BY_ITSELF.format("badge")),
        ({"strategy": "typiclust", "diversity": 0.1}, BY_ITSELF.format("typiclust")),
        ({"strategy": "mix", "mix": ("entropy=1", "random=1"), "diversity": 0.5}, BY_ITSELF.format("mix")),
        ({"group": "whole", "floor": ("red=1",)}, NOT_WHOLE),
        ({"group": "whole", "quota": ("red=1",)}, NOT_WHOLE),
        ({"unit": "money"}, "--unit money needs --cost, the price of one look"),
    ],
)
def test_options_that_do_not_go_together_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        options(**changed)
    assert [error["msg"] for error in caught.value.errors()] == [f"Value error, {message}"]


@pytest.mark.parametrize(
    "fine",
    [
        {"group": "one", "floor": ("red=1",), "quota": ("red=2",)},
        {"group": "whole", "class_cost": ("red=2",)},
        {"unit": "money", "cost": 2.5},
        {"strategy": "mix", "mix": ("coreset=1", "random=1")},
        {"strategy": "coreset", "diversity": 0},
        {"strategy": "entropy", "diversity": 0.9},
    ],
)
def test_options_that_go_together_are_taken(fine: dict[str, Any]) -> None:
    assert options(**fine).model_dump(include=set(fine)) == fine


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strategy", "entropi"),
        ("budget", 0),
        ("budget", float("nan")),
        ("budget", float("inf")),
        ("cost", float("inf")),
        ("unit", "hours"),
        ("cost", 0),
        ("pool", "clean"),
        ("by", "true"),
        ("group", "all"),
        ("diversity", 1),
        ("diversity", -0.1),
        ("label_quality", "margin"),
        ("class_worth", -1),
        ("class_worth", 4.5),
        ("seed", -1),
        ("budjet", 3),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        options(**{name: value})
    assert [error["loc"] for error in caught.value.errors()] == [(name,)]


KNOWN = (
    "entropy, least-confidence, margin, bald, disagreement, neighbours, random, class-balanced-random, "
    "label-quality, expected-correction, coreset, badge, typiclust"
)


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        (("entropi=1", "random=1"), f"--mix: 'entropi' is not one of {KNOWN}; did you mean 'entropy'?"),
        (("mix=1", "random=1"), f"--mix: 'mix' is not one of {KNOWN}"),
        (("random=1", "random=2"), "--mix: 'random' is given twice"),
        (("random=much", "badge=1"), "--mix: 'random=much' is not of the form NAME=NUMBER"),
        (("random=", "badge=1"), "--mix: 'random=' is not of the form NAME=NUMBER"),
        (("random", "badge=1"), "--mix: 'random' is not of the form NAME=NUMBER"),
        (("random=nan", "badge=1"), "--mix: 'random=nan' is not of the form NAME=NUMBER"),
        (("random=inf", "badge=1"), "--mix: 'random=inf' is not of the form NAME=NUMBER"),
        (("random=0", "badge=1"), "--mix: a weight must be above 0"),
        (("random=-1", "badge=1"), "--mix: a weight must be above 0"),
        (
            ("random=x", "badge=1", "badge=2", "typiclus=1"),
            "--mix: 'random=x' is not of the form NAME=NUMBER; --mix: 'badge' is given twice; "
            f"--mix: 'typiclus' is not one of {KNOWN}; did you mean 'typiclust'?",
        ),
    ],
)
def test_a_mix_that_cannot_be_read_is_refused_all_problems_at_once(mix: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _ = options(strategy="mix", mix=mix).strategies
    assert str(caught.value) == message


def test_every_strategy_but_mix_can_be_mixed() -> None:
    names = [name for name in get_args(Strategy) if name != "mix"]
    mixed = options(strategy="mix", mix=tuple(f"{name}={weight + 0.5}" for weight, name in enumerate(names)))
    assert mixed.strategies == {name: weight + 0.5 for weight, name in enumerate(names)}


@pytest.mark.parametrize("strategy", [name for name in get_args(Strategy) if name != "mix"])
def test_a_strategy_alone_is_all_of_the_mix(strategy: str) -> None:
    assert options(strategy=strategy).strategies == {strategy: 1.0}


@pytest.mark.parametrize(
    ("flag", "texts", "message"),
    [
        ("floor", ("rad=1",), "--floor: 'rad' is not one of red, green, blue; did you mean 'red'?"),
        ("quota", ("Gren=1",), "--quota: 'Gren' is not one of red, green, blue; did you mean 'green'?"),
        ("class_cost", ("mauve=1",), "--class-cost: 'mauve' is not one of red, green, blue"),
        ("floor", ("red=1", "red=2"), "--floor: 'red' is given twice"),
        ("floor", ("red=many",), "--floor: 'red=many' is not of the form NAME=NUMBER"),
        ("floor", ("red=1.5",), "--floor: red=1.5 is no count"),
        ("quota", ("green=-1",), "--quota: green=-1 is no count"),
        ("class_cost", ("red=0",), "--class-cost: a cost must be above 0"),
        ("class_cost", ("red=-2",), "--class-cost: a cost must be above 0"),
        ("class_cost", ("red=nan",), "--class-cost: 'red=nan' is not of the form NAME=NUMBER"),
        ("class_cost", ("red=inf",), "--class-cost: 'red=inf' is not of the form NAME=NUMBER"),
        ("floor", ("red=nan",), "--floor: 'red=nan' is not of the form NAME=NUMBER"),
        ("quota", ("red=inf",), "--quota: 'red=inf' is not of the form NAME=NUMBER"),
        ("floor", ("red",), "--floor: 'red' is not of the form NAME=NUMBER"),
        ("floor", ("=2",), "--floor: '=2' is not of the form NAME=NUMBER"),
        (
            "quota",
            ("blu=1", "red=x", "green=1", "green=2"),
            "--quota: 'blu' is not one of red, green, blue; did you mean 'blue'?; "
            "--quota: 'red=x' is not of the form NAME=NUMBER; --quota: 'green' is given twice",
        ),
        ("floor", ("red=60", "green=50"), "--floor: the floors together cost 110, more than the budget of 100"),
    ],
)
def test_numbers_that_cannot_be_kept_are_refused(
    flag: str, texts: tuple[str, ...], message: str, report: Report
) -> None:
    with pytest.raises(UsageError) as caught:
        limited(report, **{flag: texts})
    assert str(caught.value) == message


def test_problems_of_several_options_are_told_at_once(report: Report) -> None:
    with pytest.raises(UsageError) as caught:
        limited(report, floor=("red=x",), quota=("green=0.5",), class_cost=("blue=0",))
    assert str(caught.value) == (
        "--floor: 'red=x' is not of the form NAME=NUMBER; --quota: green=0.5 is no count; "
        "--class-cost: a cost must be above 0"
    )


def test_floors_are_counted_at_what_their_classes_cost(report: Report) -> None:
    asked = {"floor": ("red=2", "green=1"), "class_cost": ("red=0.5",), "unit": "minutes"}
    with pytest.raises(UsageError) as caught:
        limited(report, budget=1.25, **asked)
    assert str(caught.value) == "--floor: the floors together cost 1.5, more than the budget of 1.25"
    assert limited(report, budget=1.5, **asked).least == {0: 2, 1: 1}


def test_a_floor_above_the_quota_is_refused(report: Report) -> None:
    with pytest.raises(UsageError) as caught:
        limited(report, floor=("red=3",), quota=("red=2",))
    assert str(caught.value) == "--floor: 3 of red at least, and --quota: 2 at most"
    assert limited(report, floor=("red=2",), quota=("red=2",)).most == {0: 2}


def test_a_floor_that_the_pool_cannot_meet_is_warned_of(report: Report, heard: list[str]) -> None:
    limited(report, floor=("red=3", "green=2"))
    assert heard == ["--floor: 2 of green asked for, and the pool holds 1"]


@pytest.mark.parametrize(
    ("changed", "cost"),
    [
        ({}, [1.0] * 6),
        ({"unit": "minutes"}, [0.5] * 6),
        ({"unit": "money", "cost": 3.0}, [3.0] * 6),
        ({"cost": 2.0, "class_cost": ("red=5", "blue=0.25")}, [5.0, 5.0, 5.0, 2.0, 2.0, 0.25]),
    ],
)
def test_a_look_costs_what_its_unit_or_class_costs(changed: dict[str, Any], cost: list[float], report: Report) -> None:
    assert limited(report, **changed).cost.tolist() == cost


def test_limits_are_those_asked_for(report: Report, heard: list[str]) -> None:
    found = limited(report, budget=7, quota=("red=2", "blue=0"), floor=("green=1",))
    assert (found.budget, found.most, found.least, found.whole) == (7, {0: 2, 2: 0}, {1: 1}, False)
    assert found.group is None
    assert np.array_equal(found.label, LABEL)
    assert heard == []


@pytest.mark.parametrize("group", ["one", "whole"])
def test_samples_of_a_group_share_a_number_and_those_of_none_stand_alone(group: str, report: Report) -> None:
    found = limited(report, group=group)
    assert found.whole == (group == "whole")
    assert found.group is not None
    numbers = found.group.tolist()
    assert numbers[0] == numbers[2]  # both of x; the sample that is called x is not of that group
    assert len(set(numbers)) == 5


ALWAYS = {
    "sample_id",
    "given_label",
    "relabelled",
    "judged_clean",
    "predicted_label",
    "suggested_label",
    "suggested_certainty",
    "peer_label",
    "loss",
}


@pytest.mark.parametrize(
    ("changed", "also"),
    [
        ({"strategy": "random"}, set()),
        ({"strategy": "class-balanced-random"}, set()),
        ({"strategy": "coreset"}, set()),
        ({"strategy": "typiclust"}, set()),
        ({"strategy": "entropy"}, {"entropy"}),
        ({"strategy": "least-confidence"}, {"least_confidence"}),
        ({"strategy": "margin"}, {"margin"}),
        ({"strategy": "bald"}, {"bald"}),
        ({"strategy": "disagreement"}, {"disagreement"}),
        ({"strategy": "neighbours"}, {"neighbour_disagreement"}),
        ({"strategy": "label-quality"}, {"self_confidence"}),
        ({"strategy": "badge"}, {"posterior"}),
        ({}, {"posterior", "true_posterior"}),
        ({"strategy": "random", "group": "one"}, {"group_id"}),
        ({"strategy": "random", "group": "whole"}, {"group_id"}),
        ({"strategy": "entropy", "where": "margin < 0.1 AND age > 50 OR margin > loss"}, {"entropy", "margin", "age"}),
        ({"strategy": "mix", "mix": ("bald=1", "badge=1", "entropy=2")}, {"bald", "posterior", "entropy"}),
    ],
)
def test_the_columns_looked_at_are_those_that_are_needed_each_once(changed: dict[str, Any], also: set[str]) -> None:
    found = options(**changed).columns
    assert set(found) == ALWAYS | also
    assert len(found) == len(set(found))
    assert found[0] == "sample_id"


@pytest.mark.parametrize("quality", get_args(Quality))
def test_label_quality_goes_by_the_column_of_its_measure(quality: str) -> None:
    asked = options(strategy="label-quality", label_quality=quality)
    assert asked.column("label-quality") == quality.replace("-", "_")
    assert quality.replace("-", "_") in asked.columns


def test_a_strategy_without_a_column_of_its_own_has_none() -> None:
    assert [options().column(name) for name in ("random", "coreset", "expected-correction", "group")] == [None] * 4


EMBEDDED = ({"strategy": "coreset"}, {"strategy": "badge"}, {"strategy": "typiclust"})


def test_embeddings_are_needed_for_batches_and_diversity_alone() -> None:
    assert all(options(**asked).needs_embeddings for asked in EMBEDDED)
    assert options(strategy="entropy", diversity=0.1).needs_embeddings
    assert options(strategy="mix", mix=("entropy=1", "coreset=1")).needs_embeddings
    assert not options(strategy="mix", mix=("entropy=1", "random=1")).needs_embeddings
    assert not options().needs_embeddings


def test_posteriors_are_needed_for_badge_and_expected_correction_alone() -> None:
    needing = [name for name in get_args(Strategy) if name != "mix" and options(strategy=name).needs_posterior]
    assert needing == ["expected-correction", "badge"]
    assert options(strategy="mix", mix=("entropy=1", "badge=1")).needs_posterior
    assert not options(strategy="mix", mix=("entropy=1", "coreset=1")).needs_posterior


def test_the_columns_of_a_condition_are_those_it_names_each_once() -> None:
    assert options().where_columns == ()
    assert options(where="loss > 1").where_columns == ("loss",)
    found = options(where="given_label IN ('red', 'loss') AND (loss > 1 OR loss < margin)").where_columns
    assert sorted(found) == ["given_label", "loss", "margin"]


@pytest.mark.parametrize("where", ["loss >", "", "*", "loss > 1 AND"])
def test_what_is_no_condition_is_refused(where: str) -> None:
    with pytest.raises(UsageError) as caught:
        _ = options(where=where).where_columns
    assert str(caught.value) == f"--where: '{where}' is no condition (unable to parse '{where}' as Expr)"
