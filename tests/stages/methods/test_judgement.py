"""Precision by given class and recall by true class of what was judged clean."""

from __future__ import annotations

import numpy as np

from stages.methods.judgement import Seen, judge, losses

TRUE = np.array([0, 0, 0, 1, 1, 2])
GIVEN = np.array([0, 0, 1, 1, 1, 0])
CLEAN = np.array([True, False, True, True, False, True])


def test_precision_and_recall_are_counted_by_hand() -> None:
    found = judge(CLEAN, GIVEN, TRUE, 3)
    assert found.precision == 2 / 4
    assert found.recall == 2 / 4
    assert found.precision_by_class == [1 / 2, 1 / 2, None]
    assert found.recall_by_class == [1 / 2, 1 / 2, None]
    assert found.worst_recall == 1 / 2


def test_of_nothing_nothing_is_said() -> None:
    nothing = np.zeros(6, dtype=bool)
    found = judge(nothing, GIVEN, TRUE, 3)
    assert found.precision is None
    assert found.recall == 0
    assert judge(CLEAN, (TRUE + 1) % 3, TRUE, 3).worst_recall is None


def test_losses_are_means_over_those_seen_that_are_right_wrong_and_picked() -> None:
    seen = Seen(0, np.array([True, True, False, False]), np.array([1.0, 5.0, 3.0, np.nan]))
    assert losses(seen, np.array([True, False, True, False])) == (2, 5, 3)
    assert losses(seen, np.array([False, False, False, True])) == (None, 3, 3)
    nothing = Seen(0, np.zeros(4, dtype=bool), np.full(4, np.nan))
    assert losses(nothing, np.ones(4, dtype=bool)) == (None, None, None)
