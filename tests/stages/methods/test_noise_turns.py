"""What heads say of a sample is said by none that has learnt from it, and is the mean over the views."""

from __future__ import annotations

import numpy as np
import pytest

from stages.methods import noise_turns, transition
from stages.methods.mislabelling import symmetric_transition
from stages.methods.noise_turns import View, Work
from stages.methods.transition_model import UNKNOWN

MATRIX = symmetric_transition(0.3, 3)


def view(seed: int) -> View:
    generator = np.random.default_rng(seed)
    return View(generator.normal(size=(60, 4)), np.array_split(generator.permutation(60), 3))


def work(*views: View) -> Work:
    given = np.random.default_rng(9).integers(0, 3, 60)
    return Work(views, given, np.full(60, UNKNOWN), 3)


def test_what_heads_say_is_the_mean_over_views_and_a_try_has_one_of_them() -> None:
    one, other = view(0), view(1)
    logits, heads = noise_turns.out_of_sample(work(one, other), MATRIX)
    alone = [noise_turns.out_of_sample(work(each), MATRIX)[0] for each in (one, other)]
    assert np.abs(alone[0] - alone[1]).max() > 0.1
    np.testing.assert_allclose(logits, (alone[0] + alone[1]) / 2)
    assert [len(of_view) for of_view in heads] == [3, 3]
    np.testing.assert_array_equal(noise_turns.out_of_sample(work(one, other).quick, MATRIX)[0], alone[0])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_samples_own_label_says_nothing_of_it(number: int) -> None:
    whole = work(view(0))
    fold = whole.views[0].folds[number]
    before, _ = noise_turns.out_of_sample(whole, MATRIX)
    whole.given[fold] = (whole.given[fold] + 1) % 3
    after, _ = noise_turns.out_of_sample(whole, MATRIX)
    np.testing.assert_array_equal(before[fold], after[fold])
    assert np.abs(np.delete(before, fold, axis=0) - np.delete(after, fold, axis=0)).max() > 0.1


def test_a_turn_tells_the_heads_that_its_matrix_was_fitted_to() -> None:
    found = noise_turns.take(work(view(0), view(1)), MATRIX, transition.STRUCTURES[:1], [MATRIX])
    logits, heads = found.judgement
    assert logits is found.evidence.logits and heads is found.heads
    np.testing.assert_allclose(found.matrix.sum(axis=1), 1)
