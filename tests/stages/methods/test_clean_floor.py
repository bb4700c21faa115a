"""Judging labels within each class: none starves, and without a floor the likelier half counts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stages.methods.clean_floor import judge

CHANCES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=40)


@given(CHANCES, st.floats(0, 1))
def test_each_class_keeps_at_least_the_floor_of_what_is_expected_to_be_right(
    made: list[tuple[float, int]], floor: float
) -> None:
    chance, label = np.array([one for one, _ in made]), np.array([one for _, one in made])
    clean = judge(chance, label, floor)
    assert clean[chance > 0.5].all()
    for index in np.unique(label):
        mine = label == index
        assert chance[mine & clean].sum() >= floor * chance[mine].sum() - 1e-9
        if clean[mine].any() and not clean[mine].all():
            assert chance[mine & clean].min() >= chance[mine & ~clean].max()


@given(CHANCES, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_floor_keeps_more(made: list[tuple[float, int]], one: float, other: float) -> None:
    chance, label = np.array([one for one, _ in made]), np.array([one for _, one in made])
    low, high = sorted((one, other))
    assert not (judge(chance, label, low) & ~judge(chance, label, high)).any()


def test_no_more_is_kept_than_the_floor_needs() -> None:
    chance, label = np.array([0.4, 0.3, 0.2, 0.1, 0.9]), np.array([0, 0, 0, 0, 1])
    assert judge(chance, label, 0.0).tolist() == [False, False, False, False, True]
    assert judge(chance, label, 0.4).tolist() == [True, False, False, False, True]
    assert judge(chance, label, 0.7).tolist() == [True, True, False, False, True]
    assert judge(chance, label, 1.0).tolist() == [True] * 5
