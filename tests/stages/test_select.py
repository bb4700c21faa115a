"""Select takes the best of the pool, as many as the budget allows, and says why."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.errors import NothingToDoError, UsageError
from schemas.queue import QUEUE
from schemas.scores import SCORES
from stages.methods import label_quality, mislabelling, uncertainty
from stages.report import Report, SilentReport
from stages.select import SelectConfig, SelectInputs, SelectOutputs, names, run

CLASSES = np.array(["red", "green", "blue"])
NAMES = tuple(CLASSES.tolist())


def scores(count: int = 12, seed: int = 0, **changed: Any) -> pl.DataFrame:
    """The scores of so many samples s0, s1, ..."""
    generator = np.random.default_rng(seed)
    posterior = generator.dirichlet(np.ones(3), count)
    said, label = CLASSES[posterior.argmax(axis=1)].tolist(), generator.integers(0, 3, count)
    columns: dict[str, Any] = {
        "sample_id": [f"s{number}" for number in range(count)],
        "given_label": CLASSES[label].tolist(),
        "relabelled": [False] * count,
        "judged_clean": [False] * count,
        "posterior": posterior.tolist(),
        "predicted_label": said,
        "entropy": uncertainty.entropy(posterior),
        "least_confidence": uncertainty.least_confidence(posterior),
        "margin": uncertainty.margin(posterior),
        "loss": uncertainty.given_loss(posterior, label),
        "suggested_label": said,
        "suggested_certainty": posterior.max(axis=1),
    }
    return SCORES.make(columns | changed)


def select(
    table: pl.DataFrame, report: Report | None = None, *, given: dict[str, Any] | None = None, **options: Any
) -> SelectOutputs:
    """Select by entropy, 100 of them, if the options do not say otherwise."""
    config = SelectConfig.model_validate({"strategy": "entropy", "budget": 100} | options)
    return run(config, SelectInputs(table, **({"classes": NAMES} | (given or {}))), report or SilentReport())


def ids(found: SelectOutputs) -> list[str]:
    return list(found.queue["sample_id"])


BY_COLUMN = {"entropy": ("entropy", -1), "least-confidence": ("least_confidence", -1), "margin": ("margin", 1)}


@pytest.mark.parametrize("strategy", BY_COLUMN)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 100))
@settings(max_examples=15, deadline=None)
def test_the_queue_is_the_pool_sorted_and_cut_to_the_budget(strategy: str, count: int, budget: int, seed: int) -> None:
    table = scores(count, seed)
    found = select(table, strategy=strategy, budget=budget)
    column, sign = BY_COLUMN[strategy]
    expected = sorted(sorted(range(count), key=lambda row: f"s{row}"), key=lambda row: sign * table[column][row])
    expected = expected[:budget]
    assert ids(found) == [f"s{row}" for row in expected]
    assert found.queue["rank"].to_list() == list(range(1, min(count, budget) + 1))
    assert found.queue["score"].to_list() == sorted(found.queue["score"], reverse=True)
    assert found.queue["cost"].to_list() == [1.0] * min(count, budget)


@pytest.mark.parametrize("strategy", [*BY_COLUMN, "random"])
def test_the_queue_keeps_its_contract(strategy: str) -> None:
    found = select(scores(), strategy=strategy, budget=5)
    checked = QUEUE.check(found.queue.select(QUEUE.schema.column_names()), "queue")
    assert checked.height == 5


RELABELLED = [True, True, True, True, False, False, False, False, False, False, False, False]
CLEAN = [True, False, None, True, True, True, False, False, None, None, True, False]


def test_the_noisy_pool_is_what_is_neither_relabelled_nor_judged_clean() -> None:
    found = select(scores(relabelled=RELABELLED, judged_clean=CLEAN), budget=100)
    assert set(ids(found)) == {"s6", "s7", "s8", "s9", "s11"}


def test_the_whole_pool_is_what_is_not_relabelled() -> None:
    found = select(scores(relabelled=RELABELLED, judged_clean=CLEAN), budget=100, pool="all")
    assert set(ids(found)) == {f"s{row}" for row in range(4, 12)}


def test_without_a_judgement_every_sample_is_in_the_pool() -> None:
    table = scores().drop("judged_clean", "relabelled")
    assert set(ids(select(SCORES.check(table, "scores"), budget=100))) == {f"s{row}" for row in range(12)}


def test_an_empty_noisy_pool_is_nothing_to_do_and_the_mend_is_said() -> None:
    with pytest.raises(NothingToDoError) as caught:
        select(scores(judged_clean=[True] * 12))
    assert str(caught.value) == (
        "no candidates: all 12 samples are relabelled or judged clean; --pool all looks at those too"
    )


def test_when_everything_is_relabelled_there_is_nothing_to_do() -> None:
    with pytest.raises(NothingToDoError) as caught:
        select(scores(relabelled=[True] * 12), pool="all")
    assert str(caught.value) == "no candidates: all 12 samples are relabelled"


def test_random_choice_is_the_seeds_alone() -> None:
    first, again, other = (ids(select(scores(60), strategy="random", budget=20, seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert len(set(first)) == 20


@pytest.mark.parametrize("strategy", BY_COLUMN)
def test_a_ranking_by_score_does_not_depend_on_the_seed_or_the_order_of_the_table(strategy: str) -> None:
    table = scores(30)
    assert ids(select(table, strategy=strategy, seed=0)) == ids(select(table.reverse(), strategy=strategy, seed=1))


def test_the_reason_says_what_the_network_says_and_why_it_was_picked() -> None:
    table = scores(2, given_label=["red", "red"], suggested_label=["red", "blue"], predicted_label=["red", "blue"])
    table = table.with_columns(
        suggested_certainty=pl.Series([0.5, 0.75], dtype=pl.Float32),
        entropy=pl.Series([0.25, 0.5], dtype=pl.Float32),
        loss=pl.Series([0.5, 0.5], dtype=pl.Float32),
    )
    assert select(table).queue["reason"].to_list() == [
        "given red, the network says blue at 0.75; entropy 0.5, in the top 50 %",
        "given red, the network agrees at 0.50; entropy 0.25, in the top 100 %",
    ]
    reasons = select(table, strategy="random", seed=3).queue["reason"].to_list()
    assert "given red, the network says blue at 0.75; drawn at random" in reasons


@pytest.mark.parametrize("strategy", [*BY_COLUMN, "random"])
def test_a_certainty_that_is_not_known_leaves_no_hole_in_the_reason(strategy: str) -> None:
    reasons = select(scores(suggested_certainty=[None] * 12), strategy=strategy).queue["reason"]
    assert reasons.null_count() == 0
    assert not any(word in reason for reason in reasons for word in ("says red at", "agrees at", "None", "null"))


def test_the_facts_count_the_queue() -> None:
    table = scores(40)
    found = select(table, budget=15)
    assert found.facts["asked_for"] == found.facts["queued"] == 15
    assert found.facts["pool"] == 40
    disagrees = sum(row["given_label"] != row["suggested_label"] for row in found.queue.iter_rows(named=True))
    assert found.facts["network_disagrees"] == disagrees
    counts = {name: list(found.queue["given_label"]).count(name) for name in sorted(CLASSES.tolist())}
    assert found.facts["by_given_label"] == {name: count for name, count in counts.items() if count}


def test_a_budget_larger_than_the_pool_takes_the_pool_and_says_both() -> None:
    found = select(scores(), budget=500)
    assert (found.facts["asked_for"], found.facts["queued"]) == (500, 12)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"budget": 0}, {"strategy": "entropi"}, {"pool": "clean"}, {"seed": -1}, {"cost": 0}, {"unit": "money"}),
        *({"strategy": "mix"}, {"mix": ("entropy=1", "margin=1")}, {"diversity": 1}, {"class_worth": -1}),
        {"diversity": 0.5, "strategy": "coreset"},
        *({"group": "whole", "floor": ("red=1",)}, {"group": "whole", "quota": ("red=1",)}, {"group": "two"}),
    ],
)
def test_an_option_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SelectConfig.model_validate(wrong)


# --- the pool --------------------------------------------------------------------------------------------------------


def refused(kind: type[Exception], table: pl.DataFrame, **options: Any) -> str:
    """What is said of a selection that must be refused."""
    with pytest.raises(kind) as caught:
        select(table, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ("entropy > 0.7", lambda row: row["entropy"] > 0.7),
        (
            "given_label = 'red' OR given_label <> suggested_label",
            lambda row: "red" == row["given_label"] != "" or row["given_label"] != row["suggested_label"],
        ),
        (
            "sample_id LIKE 's1%' AND loss BETWEEN 0.2 AND 3",
            lambda row: row["sample_id"][:2] == "s1" and 0.2 <= row["loss"] <= 3,
        ),
        ("given_label IN ('red', 'green') AND NOT judged_clean", lambda row: row["given_label"] in ("red", "green")),
        ("bald IS NULL", lambda row: True),
    ],
)
def test_where_keeps_of_the_pool_what_it_holds_of(where: str, holds: Any) -> None:
    table = scores(40)
    assert set(ids(select(table, where=where))) == {
        row["sample_id"] for row in table.iter_rows(named=True) if holds(row)
    }


def test_where_looks_at_the_pool_and_not_beyond_it() -> None:
    table = scores(relabelled=RELABELLED, judged_clean=CLEAN)
    assert ids(select(table, where="judged_clean", pool="all")) != []
    assert refused(NothingToDoError, table, where="judged_clean") == (
        "no candidates: --where 'judged_clean' holds of none in the pool"
    )
    assert "holds of none" in refused(NothingToDoError, table, where="relabelled", pool="all")


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("entropi > 0.5", "--where: 'entropi > 0.5': "),
        ("entropy", "--where: 'entropy': filter predicate must be of type `Boolean`, got `Float32`"),
        ("given_label", "--where: 'given_label': filter predicate must be of type `Boolean`, got `String`"),
        ("given_label = 3", "--where: 'given_label = 3': cannot compare string with numeric type"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(where: str, told: str) -> None:
    said = refused(UsageError, scores(), where=where)
    assert said.startswith(told)
    assert "\n" not in said


@pytest.mark.parametrize("where", ["", "entropy > ", "entropy > 0.5 and", "select 1", "nofunc(entropy) > 1", "a; b"])
def test_what_is_no_condition_at_all_is_told_before_anything_is_read(where: str) -> None:
    config = SelectConfig(where=where)
    with pytest.raises(UsageError) as caught:
        config.columns  # noqa: B018
    assert str(caught.value).startswith(f"--where: '{where}' is no condition (")


def test_what_is_excluded_is_never_chosen(report: Report, heard: list[str]) -> None:
    found = select(scores(), report, given={"excluded": ("s3", "s11", "s0")})
    assert set(ids(found)) == {f"s{row}" for row in range(12)} - {"s3", "s11", "s0"}
    assert found.facts["pool"] == 9
    assert heard == []


def test_what_is_excluded_and_not_in_the_scores_is_counted_and_said(report: Report, heard: list[str]) -> None:
    table = scores(judged_clean=[True, *[False] * 11])
    found = select(table, report, given={"excluded": ("s3", "x1", "s0", "x2")})
    assert found.facts["pool"] == 10
    assert heard == ["--exclude: 2 ids not in the scores (first: 'x1')"]


def test_nothing_left_is_told_by_what_left_nothing() -> None:
    everything = tuple(f"s{row}" for row in range(12))
    assert refused(NothingToDoError, scores(), given={"excluded": everything}) == (
        "no candidates: --exclude leaves none of the pool"
    )
    assert refused(NothingToDoError, scores(), where="entropy > 9") == (
        "no candidates: --where 'entropy > 9' holds of none in the pool"
    )
    assert refused(NothingToDoError, scores(), budget=0.5) == "a budget of 0.5 labels does not pay for one look"
    assert refused(NothingToDoError, scores(), quota=("red=0", "green=0", "blue=0")).startswith("a budget of 100 ")


# --- every strategy --------------------------------------------------------------------------------------------------

STRATEGIES = [
    *("random", "class-balanced-random", "entropy", "least-confidence", "margin", "bald", "disagreement", "neighbours"),
    *("label-quality", "expected-correction", "coreset", "badge", "typiclust"),
]
OPTIONS: list[dict[str, Any]] = [
    *({"strategy": name} for name in STRATEGIES),
    {"strategy": "mix", "mix": ("coreset=1", "entropy=2", "random=1")},
    {"strategy": "expected-correction", "diversity": 0.6},
]


def full(count: int = 40, seed: int = 0) -> pl.DataFrame:
    """Scores with every column that a strategy goes by; groups of four."""
    generator = np.random.default_rng(seed + 1)
    table = scores(count, seed)
    more = ("bald", "disagreement", "neighbour_disagreement", "area_under_margin", "cross_entropy_less_entropy")
    posterior = np.array(table["posterior"].to_list(), dtype=np.float64)
    label = np.array([NAMES.index(name) for name in table["given_label"]])
    return SCORES.check(
        table.with_columns(
            **{name: pl.Series(generator.random(count), dtype=pl.Float32) for name in more},
            self_confidence=pl.Series(label_quality.self_confidence(posterior, label), dtype=pl.Float32),
            normalised_margin=pl.Series(label_quality.normalised_margin(posterior, label), dtype=pl.Float32),
            group_id=pl.format("g{}", pl.int_range(pl.len()) // 4),
        ),
        "scores",
    )


def points(count: int = 40) -> torch.Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_shuffled_table_gives_the_same_queue(options: dict[str, Any]) -> None:
    table, embeddings = full().with_columns(judged_clean=pl.int_range(pl.len()) % 7 == 0), points()
    order = np.random.default_rng(5).permutation(40)
    turned = embeddings[torch.from_numpy(order)]
    first = select(table, given={"embeddings": embeddings}, budget=15, **options).queue
    other = select(table[order], given={"embeddings": turned}, budget=15, **options).queue
    assert first["sample_id"].to_list() == other["sample_id"].to_list()
    assert first["reason"].to_list() == other["reason"].to_list()
    np.testing.assert_allclose(first["score"], other["score"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("pool", ["noisy", "all"])
def test_each_strategy_queues_each_candidate_once_and_nothing_relabelled(options: dict[str, Any], pool: str) -> None:
    rows = pl.int_range(pl.len())
    table = full().with_columns(relabelled=rows % 5 == 1, judged_clean=pl.when(rows % 3 > 0).then(rows % 3 == 2))
    free = table.filter(~pl.col("relabelled") & ((pool == "all") | ~pl.col("judged_clean").fill_null(False)))
    for budget in (7, 100):
        found = select(table, given={"embeddings": points()}, budget=budget, pool=pool, **options)
        chosen = ids(found)
        assert len(chosen) == len(set(chosen)) == min(budget, free.height)
        assert set(chosen) <= set(free["sample_id"])
        assert found.queue["rank"].to_list() == list(range(1, len(chosen) + 1))
        assert found.queue["reason"].null_count() == 0
        for row in found.queue.iter_rows(named=True):
            own = table.row(by_predicate=pl.col("sample_id") == row["sample_id"], named=True)
            assert {name: row[name] for name in ("given_label", "suggested_label", "loss")} == {
                name: own[name] for name in ("given_label", "suggested_label", "loss")
            }


COLUMN_OF = {
    "bald": "bald",
    "disagreement": "disagreement",
    "neighbours": "neighbour_disagreement",
    "label-quality": "self_confidence",
}


@pytest.mark.parametrize("strategy", COLUMN_OF)
def test_a_column_that_a_strategy_needs_and_that_is_empty_is_told(strategy: str) -> None:
    column, third = COLUMN_OF[strategy], pl.int_range(pl.len()) % 3 == 0
    for empty, told in ((pl.lit(True), "20 of 20 candidates"), (third, "7 of 20 candidates")):
        table = full(20).with_columns(pl.when(~empty).then(column).alias(column))
        assert refused(UsageError, table, strategy=strategy) == (
            f"--strategy {strategy}: column '{column}' is empty for {told}; `alrctl score` says which option fills it"
        )
    known = full(20).with_columns(pl.when(~third).then(column).alias(column), relabelled=third)
    assert len(ids(select(known, strategy=strategy))) == 13, "what is no candidate may be unknown"


@pytest.mark.parametrize(
    ("quality", "column", "sign"),
    [
        ("self-confidence", "self_confidence", 1),
        ("normalised-margin", "normalised_margin", 1),
        ("cross-entropy-less-entropy", "cross_entropy_less_entropy", -1),
        ("area-under-margin", "area_under_margin", 1),
    ],
)
def test_label_quality_goes_by_the_measure_asked_for(quality: str, column: str, sign: int) -> None:
    table = full()
    found = select(table, strategy="label-quality", label_quality=quality, budget=10)
    wanted = table.sort(sign * pl.col(column))["sample_id"].head(10).to_list()
    assert ids(found) == wanted
    end = "lowest" if sign > 0 else "top"
    assert f"; {column.replace('_', ' ')} " in found.queue["reason"][0]
    assert f", in the {end} 3 %" in found.queue["reason"][0]


def test_a_mix_takes_from_each_in_proportion_and_says_which() -> None:
    found = select(full(), given={"embeddings": points()}, strategy="mix", mix=("entropy=3", "coreset=1"), budget=12)
    reasons = found.queue["reason"]
    assert reasons.str.contains("entropy").sum() == 9
    assert reasons.str.contains("unlike all that is trusted or chosen before it").sum() == 3


@pytest.mark.parametrize("mix", [("entropy=1", "random=1"), ("margin=2", "random=1", "coreset=1")])
@pytest.mark.parametrize("seed", range(5))
def test_what_random_draws_in_a_mix_is_what_it_draws_alone(mix: tuple[str, ...], seed: int) -> None:
    given: dict[str, Any] = {"embeddings": points()}
    found = select(full(), given=given, strategy="mix", mix=mix, budget=20, pool="all", seed=seed)
    drawn = found.queue.filter(pl.col("strategy") == "random")
    alone = select(full(), strategy="random", budget=drawn.height, pool="all", seed=seed)
    assert drawn["sample_id"].to_list() == alone.queue["sample_id"].to_list()
    assert found.facts["drawn_at_random"] == alone.facts["drawn_at_random"] == drawn.height > 0
    assert found.queue["sample_id"].n_unique() == 20


@pytest.mark.parametrize(
    "bent",
    [
        {"quota": ("red=2",)},
        {"floor": ("red=2",)},
        {"group": "one"},
        {"group": "whole"},
        {"class_cost": ("red=2",)},
        {"diversity": 0.5},
        {"strategy": "mix", "mix": ("entropy=1", "random=1"), "quota": ("red=2",)},
    ],
)
def test_a_random_choice_that_something_else_bends_says_so(
    bent: dict[str, Any], report: Report, heard: list[str]
) -> None:
    given: dict[str, Any] = {"embeddings": points()}
    found = select(full(), report, given=given, **{"strategy": "random", "budget": 8, "pool": "all", **bent})
    assert found.facts["drawn_at_random"] is None
    assert len(heard) == 1 and "will tell no share of wrong labels" in heard[0]


def test_where_chance_has_no_part_nothing_is_said_of_it(report: Report, heard: list[str]) -> None:
    assert select(full(), report, strategy="entropy", quota=("red=2",)).facts["drawn_at_random"] is None
    assert not heard


@pytest.mark.parametrize(
    ("mix", "told"),
    [
        (("entropi=1", "margin=1"), "--mix: 'entropi' is not one of "),
        (("entropy=1", "entropy=2"), "--mix: 'entropy' is given twice"),
        (
            ("entropy=x", "margin", "margins=1", "bald=nan"),
            "--mix: 'entropy=x' is not of the form NAME=NUMBER; --mix: 'margin' is not of the form NAME=NUMBER; "
            "--mix: 'margins' is not one of ",
        ),
        (("entropy=0", "margin=1"), "--mix: a weight must be above 0"),
        (("mix=1", "margin=1"), "--mix: 'mix' is not one of "),
    ],
)
def test_a_mix_that_makes_no_sense_is_refused(mix: tuple[str, ...], told: str) -> None:
    assert refused(UsageError, full(), strategy="mix", mix=mix).startswith(told)


# --- expected correction ---------------------------------------------------------------------------------------------


def expected(table: pl.DataFrame, exponent: float = 1.0) -> mislabelling.Correction:
    """What mending each label is worth: the relabelled are true, and the noise is learnt from the others alone."""
    posterior = np.array(table["posterior"].to_list(), dtype=np.float64)
    posterior /= posterior.sum(axis=1, keepdims=True)
    label = np.array([NAMES.index(name) for name in table["given_label"]])
    noisy = ~table["relabelled"].to_numpy()
    joint = mislabelling.confident_joint(posterior[noisy], label[noisy])
    truth = mislabelling.posterior_of_truth(posterior, label, mislabelling.transition_of_joint(joint))
    truth[~noisy] = np.eye(3)[label[~noisy]]
    return mislabelling.expected_correction(truth, label, exponent)


@given(st.integers(5, 60), st.integers(0, 200), st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=15, deadline=None)
def test_expected_correction_takes_what_an_expert_said_for_true(count: int, seed: int, worth: float) -> None:
    table = scores(count, seed).with_columns(relabelled=pl.int_range(pl.len()) % 4 == 3)
    found = select(table, strategy="expected-correction", class_worth=worth, pool="all")
    correction = expected(table, worth)
    assert (correction.probability_wrong[table["relabelled"].to_numpy()] == 0).all()
    place = {name: row for row, name in enumerate(table["sample_id"])}
    rows = [place[name] for name in ids(found)]
    assert len(rows) == int((~table["relabelled"]).sum())
    np.testing.assert_allclose(found.queue["score"], correction.expected[rows], atol=1e-9)
    assert found.queue["score"].to_list() == sorted(found.queue["score"], reverse=True)
    told = f"; wrong with a chance of {correction.probability_wrong[rows[0]]:.2f}, and worth mending for its class"
    assert told in found.queue["reason"][0]


def estimated(table: pl.DataFrame, seed: int = 3) -> tuple[pl.DataFrame, np.ndarray]:
    """Scores with a posterior of the truth that says something else than the network."""
    truth = np.random.default_rng(seed).dirichlet(np.ones(3), table.height).astype(np.float32)
    return table.with_columns(true_posterior=pl.Series(truth).arr.to_list()), truth.astype(np.float64)


def test_expected_correction_goes_by_what_training_estimated_and_looks_at_all() -> None:
    table, truth = estimated(scores(30).with_columns(judged_clean=pl.int_range(pl.len()) % 2 == 0))
    table = table.with_columns(relabelled=pl.int_range(pl.len()) == 4)
    label = np.array([NAMES.index(name) for name in table["given_label"]])
    truth[4] = np.eye(3)[label[4]]
    expected = mislabelling.expected_correction(truth / truth.sum(1, keepdims=True), label, 0.05).expected
    found = select(table, strategy="expected-correction")
    assert found.facts["chosen_from"] == "all"
    assert ids(found) == [f"s{row}" for row in np.argsort(-expected, kind="stable") if row != 4]
    np.testing.assert_allclose(found.queue["score"].to_list(), np.sort(expected[np.arange(30) != 4])[::-1], atol=1e-6)
    assert select(table, strategy="expected-correction", pool="noisy").queue.height == 15


def test_the_pool_is_the_noisy_one_for_others_and_where_a_sample_has_no_estimate() -> None:
    table, _ = estimated(scores(30).with_columns(judged_clean=pl.int_range(pl.len()) % 2 == 0))
    assert select(table, strategy="entropy").facts["chosen_from"] == "noisy"
    part = table.with_columns(true_posterior=pl.when(pl.int_range(pl.len()) > 0).then("true_posterior"))
    found = select(part, strategy="expected-correction")
    assert (found.facts["chosen_from"], found.queue.height) == ("noisy", 15)
    without = table.with_columns(true_posterior=pl.lit(None, pl.List(pl.Float32)))
    assert ids(found) == ids(select(without, strategy="expected-correction"))


def test_expected_correction_is_the_default() -> None:
    table = scores(30)
    config = SelectConfig(budget=5.0)
    assert config.strategy == "expected-correction"
    assert ids(run(config, SelectInputs(table, NAMES), SilentReport())) == ids(
        select(table, strategy="expected-correction", budget=5)
    )


@pytest.mark.parametrize("classes", [None, ("red", "green")])
def test_expected_correction_needs_the_order_of_the_classes(classes: tuple[str, ...] | None) -> None:
    assert refused(UsageError, scores(), strategy="expected-correction", given={"classes": classes}) == (
        "--strategy expected-correction: the order of the classes is not recorded; give --data"
    )


def test_other_strategies_do_not_need_to_know_the_classes() -> None:
    table = scores(given_label=["green", "red"] * 6, suggested_label=["blue"] * 12)
    assert names(table) == ("blue", "green", "red")
    found = select(table, given={"classes": None}, quota=("red=2",), floor=("green=1",))
    assert found.facts["by_given_label"] == {"green": 6, "red": 2}
    said = refused(UsageError, table, given={"classes": None}, quota=("rad=2",))
    assert said == "--quota: 'rad' is not one of blue, green, red; did you mean 'red'?"


# --- what a queue is held to -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "cost", "count"),
    [
        ({"unit": "labels", "budget": 5}, 1.0, 5),
        ({"unit": "minutes", "budget": 5}, 0.5, 10),
        ({"unit": "minutes", "budget": 5, "cost": 0.75}, 0.75, 6),
        ({"unit": "money", "budget": 20, "cost": 3}, 3.0, 6),
        ({"unit": "money", "budget": 0.3, "cost": 0.1}, 0.1, 3),
    ],
)
def test_a_budget_is_counted_in_its_unit(options: dict[str, Any], cost: float, count: int) -> None:
    found = select(scores(), **options)
    assert found.queue["cost"].to_list() == [cost] * count
    assert found.queue["unit"].to_list() == [options["unit"]] * count
    assert found.facts["cost"] == pytest.approx(cost * count)
    assert (found.facts["unit"], found.facts["asked_for"]) == (options["unit"], options["budget"])


@pytest.mark.parametrize("by", ["given", "suggested"])
@given(st.integers(1, 40), st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_looks_at_some_classes_may_cost_more(by: str, budget: int, seed: int) -> None:
    table = full(40, seed)
    try:
        found = select(table, budget=budget, by=by, class_cost=("blue=4", "green=2.5"))
    except NothingToDoError:
        assert budget < 4
        return
    price = {"blue": 4.0, "green": 2.5, "red": 1.0}
    assert found.queue["cost"].to_list() == [price[name] for name in found.queue[f"{by}_label"]]
    assert found.queue["cost"].sum() <= budget
    left = budget - found.queue["cost"].sum()
    rest = table.filter(~pl.col("sample_id").is_in(ids(found)))
    assert all(price[name] > left for name in rest[f"{by}_label"]), "what is left pays for none that is left"


@pytest.mark.parametrize("by", ["given", "suggested"])
def test_quotas_and_floors_are_of_the_label_asked_for(by: str) -> None:
    table = full(60)
    found = select(table, budget=12, by=by, quota=("red=2",), floor=("blue=7",))
    counts = dict(found.queue[f"{by}_label"].value_counts().iter_rows())
    assert counts.get("red", 0) <= 2
    assert counts["blue"] >= 7
    assert len(ids(found)) == 12
    other = select(
        table, budget=12, by="given" if by == "suggested" else "suggested", quota=("red=2",), floor=("blue=7",)
    )
    assert ids(other) != ids(found)
    assert found.facts["by_given_label"] == dict(found.queue["given_label"].value_counts().sort("given_label").rows())


def test_a_floor_that_the_pool_cannot_meet_is_said_and_met_as_far_as_it_goes(report: Report, heard: list[str]) -> None:
    table = scores(given_label=["blue", "blue", *["red"] * 10])
    found = select(table, report, budget=5, floor=("blue=4",))
    assert heard == ["--floor: 4 of blue asked for, and the pool holds 2"]
    assert found.facts["by_given_label"] == {"blue": 2, "red": 3}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"floor": ("blue=6",), "budget": 5}, "--floor: the floors together cost 6, more than the budget of 5"),
        (
            {"floor": ("blue=2", "red=1"), "class_cost": ("blue=3",), "budget": 6},
            "--floor: the floors together cost 7, more than the budget of 6",
        ),
        ({"floor": ("blue=3",), "quota": ("blue=2",)}, "--floor: 3 of blue at least, and --quota: 2 at most"),
        ({"floor": ("blue=-1",)}, "--floor: blue=-1 is no count"),
        ({"quota": ("blue=1.5",)}, "--quota: blue=1.5 is no count"),
        ({"quota": ("blu=1",)}, "--quota: 'blu' is not one of red, green, blue; did you mean 'blue'?"),
        ({"class_cost": ("blue=0",)}, "--class-cost: a cost must be above 0"),
        ({"class_cost": ("blue=nan",)}, "--class-cost: 'blue=nan' is not of the form NAME=NUMBER"),
        ({"class_cost": ("blue=dear",)}, "--class-cost: 'blue=dear' is not of the form NAME=NUMBER"),
    ],
)
def test_limits_that_make_no_sense_are_refused(options: dict[str, Any], told: str) -> None:
    assert refused(UsageError, full(), **options) == told


def test_a_class_may_have_an_equals_sign_in_its_name() -> None:
    table = scores(given_label=["a=b"] * 6 + ["red"] * 6)
    found = select(table, given={"classes": ("a=b", "red")}, quota=("a=b=1",))
    assert found.facts["by_given_label"] == {"a=b": 1, "red": 6}


def test_one_of_a_group_is_enough_and_samples_without_a_group_stand_alone() -> None:
    table = full().with_columns(group_id=pl.when(pl.int_range(pl.len()) < 36).then("group_id"))
    found = select(table, group="one")
    best = table.sort("entropy", descending=True).filter(
        pl.col("group_id").is_first_distinct() | pl.col("group_id").is_null()
    )
    assert ids(found) == best["sample_id"].to_list()
    assert len(ids(found)) == found.facts["groups"] == 9 + 4
    assert select(table).facts["groups"] is None


def test_a_group_comes_whole_or_not_at_all() -> None:
    table = full().with_columns(judged_clean=pl.int_range(pl.len()) == 5)
    found = select(table, group="whole", budget=10)
    groups = dict(zip(table["sample_id"], table["group_id"], strict=True))
    taken = [groups[name] for name in ids(found)]
    sizes = dict(table.filter(~pl.col("judged_clean"))["group_id"].value_counts().iter_rows())
    assert {name: taken.count(name) for name in taken} == {name: sizes[name] for name in taken}
    assert taken == sorted(taken, key=taken.index), "a group stands together"
    assert 7 <= len(taken) <= 10
    first = table.filter(~pl.col("judged_clean")).sort("entropy", descending=True)["group_id"][0]
    assert taken[0] == first
    told = found.queue["reason"].str.ends_with("of the same group as the one before")
    assert told.sum() >= len(taken) - len(set(taken)) - found.queue["reason"].str.contains("loss in the top").sum()


def test_the_columns_looked_at_are_those_that_the_options_need() -> None:
    plain = SelectConfig(strategy="random").columns
    assert not {"posterior", "group_id", "entropy", "bald"} & set(plain)
    assert {"sample_id", "given_label", "relabelled", "judged_clean", "suggested_label"} <= set(plain)
    assert "posterior" in SelectConfig().columns
    assert "group_id" in SelectConfig(group="one").columns
    assert "variance_of_gradients" in SelectConfig(where="variance_of_gradients > 1").columns
    mixed = SelectConfig(strategy="mix", mix=("bald=1", "badge=1")).columns
    assert {"bald", "posterior"} <= set(mixed)
    for options in OPTIONS:
        config = SelectConfig.model_validate(options | {"where": "bald > 0.1", "group": "one"})
        table = full().select(config.columns)
        assert select(table, given={"embeddings": points()}, **options, where="bald > 0.1", group="one", budget=4)


def test_the_default_budget_is_a_hundred_labels() -> None:
    found = run(SelectConfig(strategy="entropy"), SelectInputs(scores(), NAMES), SilentReport())
    assert (found.facts["asked_for"], found.facts["queued"]) == (100, 12)


@pytest.mark.parametrize("budget", ["inf", "nan"])
def test_a_budget_is_a_finite_number(budget: str) -> None:
    with pytest.raises(ValidationError):
        SelectConfig.model_validate({"budget": budget})


@pytest.mark.parametrize("count", ["nan", "inf", "1e400"])
def test_a_count_is_finite(count: str) -> None:
    told = f"--quota: 'red={count}' is not of the form NAME=NUMBER"
    assert refused(UsageError, full(), quota=(f"red={count}",)) == told


def test_what_is_wrong_with_floors_quotas_and_costs_is_told_at_once() -> None:
    told = refused(UsageError, full(), quota=("read=3",), floor=("blue",), class_cost=("green=0",))
    for part in (
        "--quota: 'read' is not one of red, green, blue; did you mean 'red'?",
        "--floor: 'blue' is not of the form NAME=NUMBER",
        "--class-cost: a cost must be above 0",
    ):
        assert part in told


@pytest.mark.parametrize("strategy", ["typiclust", "coreset", "badge", "expected-correction"])
def test_a_shuffled_table_with_relabelled_samples_gives_the_same_queue(strategy: str) -> None:
    table, embeddings = full(60).with_columns(relabelled=pl.int_range(pl.len()) % 5 == 0), torch.randn(60, 6)
    order = np.random.default_rng(0).permutation(60)
    turned = embeddings[torch.from_numpy(order)]
    first = select(table, given={"embeddings": embeddings}, strategy=strategy, budget=12)
    other = select(table[order], given={"embeddings": turned}, strategy=strategy, budget=12)
    assert first.queue.drop("row").equals(other.queue.drop("row"))
