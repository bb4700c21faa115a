"""Simulated experts err as often as they are told to, and say the same of a sample whenever it is asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.methods.experts import answer, even_errors

SKEWED = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
IDS = [f"s{number}" for number in range(6000)]
TRUTH = np.arange(6000) % 3


def test_even_errors_are_shared_by_all_other_classes() -> None:
    assert even_errors(0.3, 4) == pytest.approx(np.full((4, 4), 0.1) + 0.6 * np.eye(4))
    assert (even_errors(0.0, 2) == np.eye(2)).all()


@pytest.mark.parametrize("confusion", [SKEWED, even_errors(0.3, 3)], ids=["skewed", "even"])
def test_answers_are_confused_as_often_as_the_matrix_says(confusion: np.ndarray) -> None:
    said = answer(IDS, TRUTH, confusion, seed=0, expert=1)
    shares = np.array([np.bincount(said[TRUTH == name], minlength=3) for name in range(3)]) / 2000
    assert np.abs(shares - confusion).max() < 0.04  # about four standard deviations
    assert (shares[confusion == 0] == 0).all()


def test_an_expert_who_does_not_err_says_the_truth_and_one_who_always_errs_never() -> None:
    assert (answer(IDS[:200], TRUTH[:200], even_errors(0.0, 3), 0, 1) == TRUTH[:200]).all()
    assert (answer(IDS[:200], TRUTH[:200], even_errors(1.0, 3), 0, 1) != TRUTH[:200]).all()


@given(st.lists(st.integers(0, 99), min_size=1, max_size=20), st.integers(0, 5), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_an_answer_depends_on_seed_expert_and_sample_and_on_no_other_sample(
    asked: list[int], seed: int, expert: int
) -> None:
    all_said = answer(IDS[:100], TRUTH[:100], SKEWED, seed, expert)
    assert (answer([IDS[place] for place in asked], TRUTH[asked], SKEWED, seed, expert) == all_said[asked]).all()


def test_another_seed_another_expert_and_another_id_are_other_answers() -> None:
    fair = even_errors(2 / 3, 3)
    truth = np.zeros(300, dtype=np.int64)
    said = answer(IDS[:300], truth, fair, 0, 1)
    for others in (
        answer(IDS[:300], truth, fair, 1, 1),
        answer(IDS[:300], truth, fair, 0, 2),
        answer(IDS[300:600], truth, fair, 0, 1),
    ):
        assert 0.2 < np.mean(said == others) < 0.47  # a third by chance


def test_answers_are_those_that_earlier_experiments_got() -> None:
    assert answer(IDS[:12], TRUTH[:12], even_errors(0.5, 3), 0, 1).tolist() == [2, 0, 1, 0, 1, 2, 2, 0, 2, 0, 1, 2]


def test_no_samples_are_no_answers() -> None:
    assert answer([], np.array([], dtype=np.int64), SKEWED, 0, 1).shape == (0,)
