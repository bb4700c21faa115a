"""Select takes the best of the pool, as many as the budget allows, and says why."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.errors import NothingToDoError
from schemas.queue import QUEUE
from schemas.scores import SCORES
from stages.methods import uncertainty
from stages.select import SelectConfig, SelectOutputs, run

CLASSES = np.array(["red", "green", "blue"])


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


def select(table: pl.DataFrame, **options: Any) -> SelectOutputs:
    return run(SelectConfig.model_validate(options), table)


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
    expected = sorted(range(count), key=lambda row: sign * table[column][row])[:budget]
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
        least_confidence=pl.Series([0.5, 0.25], dtype=pl.Float32),
    )
    assert select(table).queue["reason"].to_list() == [
        "given red, the network says blue at 0.75; entropy 0.5",
        "given red, the network agrees at 0.5; entropy 0.25",
    ]
    reasons = select(table, strategy="least-confidence").queue["reason"].to_list()
    assert reasons[0] == "given red, the network agrees at 0.5; least confidence 0.5"
    reasons = select(table, strategy="random", seed=3).queue["reason"].to_list()
    assert "drawn at random; given red, the network says blue at 0.75" in reasons


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


@pytest.mark.parametrize("wrong", [{"budget": 0}, {"strategy": "entropi"}, {"pool": "clean"}, {"seed": -1}])
def test_an_option_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SelectConfig.model_validate(wrong)
