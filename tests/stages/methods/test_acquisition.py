"""The contract of every strategy: it takes what is known of the candidates, and gives each its worth."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stages.methods import uncertainty
from stages.methods.acquisition import STRATEGIES, Candidates, Strategy, best

Floats = NDArray[np.float64]
BY_CANDIDATE = [name for name in STRATEGIES if name != "random"]


def candidates(posterior: Floats) -> Candidates:
    """What is known of these posteriors (N, K)."""
    return Candidates(
        uncertainty.entropy(posterior), uncertainty.least_confidence(posterior), uncertainty.margin(posterior)
    )


def drawn(count: int, classes: int, seed: int) -> Floats:
    """Posteriors of so many candidates."""
    return np.asarray(np.random.default_rng(seed).dirichlet(np.ones(classes), count))


def test_every_strategy_that_can_be_asked_for_exists() -> None:
    assert tuple(STRATEGIES) == get_args(Strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(st.integers(1, 30), st.integers(2, 7), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_each_candidate_has_a_finite_worth(strategy: str, count: int, classes: int, seed: int) -> None:
    worth = STRATEGIES[strategy](candidates(drawn(count, classes, seed)), np.random.default_rng(seed))
    assert worth.shape == (count,)
    assert worth.dtype == np.float64
    assert np.isfinite(worth).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_seed_gives_the_same_worth(strategy: str) -> None:
    known = candidates(drawn(50, 4, 0))
    first, again = (STRATEGIES[strategy](known, np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_candidates_are_left_as_they_were(strategy: str) -> None:
    known, same = candidates(drawn(50, 4, 0)), candidates(drawn(50, 4, 0))
    worth = STRATEGIES[strategy](known, np.random.default_rng(0))
    best(worth, 10)
    for name in ("entropy", "least_confidence", "margin"):
        assert np.array_equal(getattr(known, name), getattr(same, name))


@pytest.mark.parametrize("strategy", BY_CANDIDATE)
@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_a_candidates_worth_does_not_depend_on_the_others(strategy: str, seed: int) -> None:
    posterior, generator = drawn(20, 4, seed), np.random.default_rng(seed)
    order = generator.permutation(20)
    shuffled = STRATEGIES[strategy](candidates(posterior[order]), np.random.default_rng(1))
    assert np.array_equal(shuffled, STRATEGIES[strategy](candidates(posterior), np.random.default_rng(2))[order])


@pytest.mark.parametrize("strategy", BY_CANDIDATE)
def test_the_less_sure_of_two_classes_is_worth_more(strategy: str) -> None:
    posterior = np.array([[0.99, 0.01], [0.5, 0.5], [0.3, 0.7], [0.9, 0.1]])
    worth = STRATEGIES[strategy](candidates(posterior), np.random.default_rng(0))
    assert best(worth, 4).tolist() == [1, 2, 3, 0]


def test_each_strategy_has_a_favourite_of_its_own() -> None:
    posterior = np.array([[0.4, 0.2, 0.2, 0.2], [0.45, 0.45, 0.1, 0.0], [0.395, 0.35, 0.255, 0.0]])
    known, generator = candidates(posterior), np.random.default_rng(0)
    favourite = {name: int(best(STRATEGIES[name](known, generator), 1)[0]) for name in BY_CANDIDATE}
    assert favourite == {"entropy": 0, "margin": 1, "least-confidence": 2}


def test_random_worth_is_even_and_blind() -> None:
    known = candidates(drawn(5000, 4, 0))
    worth = STRATEGIES["random"](known, np.random.default_rng(0))
    assert worth.mean() == pytest.approx(0.5, abs=0.02)
    assert abs(np.corrcoef(worth, known.entropy)[0, 1]) < 0.05
    assert not np.array_equal(worth, STRATEGIES["random"](known, np.random.default_rng(1)))


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_the_best_come_largest_first_and_of_equals_the_earlier(worth: list[int], budget: int) -> None:
    expected = sorted(range(len(worth)), key=lambda place: (-worth[place], place))[:budget]
    assert best(np.array(worth, dtype=np.float64), budget).tolist() == expected
