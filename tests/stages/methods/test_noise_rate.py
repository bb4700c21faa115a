"""The noise rate is estimated within each given class, so that a rare class is not counted as noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stages.methods.noise_rate import noise_rate, noise_rate_by_class


def two_humps(clean: int, noisy: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Losses of so many right and so many wrong labels, well apart."""
    return np.r_[generator.normal(0.5, 0.1, clean), generator.normal(3.0, 0.3, noisy)].clip(0)


def test_well_parted_losses_give_each_class_its_rate() -> None:
    generator = np.random.default_rng(0)
    loss = np.r_[two_humps(180, 20, generator), two_humps(60, 40, generator)]
    label = np.repeat([0, 1], [200, 100])
    np.testing.assert_allclose(noise_rate_by_class(loss, label, 2, 0), [0.1, 0.4], atol=0.02)
    assert noise_rate(loss, label, 2, 0) == pytest.approx((20 + 40) / 300, abs=0.02)


@given(st.floats(0.1, 10), st.floats(0, 20))
@settings(max_examples=8, deadline=None)
def test_a_class_that_is_harder_throughout_is_not_noisier(factor: float, shift: float) -> None:
    loss = two_humps(70, 30, np.random.default_rng(1))
    both = np.r_[loss, loss * factor + shift]
    easy, hard = noise_rate_by_class(both, np.repeat([0, 1], 100), 2, 0)
    assert hard == pytest.approx(easy, abs=1e-3)


def test_a_class_of_fewer_than_ten_takes_the_rate_of_the_others_by_their_size() -> None:
    generator = np.random.default_rng(2)
    parts = [two_humps(180, 20, generator), two_humps(60, 40, generator), generator.random(9) * 50]
    label = np.repeat([0, 1, 2], [200, 100, 9])
    rates = noise_rate_by_class(np.concatenate(parts), label, 4, 0)
    assert rates[2] == rates[3] == pytest.approx((200 * rates[0] + 100 * rates[1]) / 300)


def test_ten_samples_are_enough_to_judge_a_class() -> None:
    loss = np.r_[np.linspace(0, 0.1, 6), np.linspace(5, 5.1, 4), np.linspace(0, 1, 9)]
    assert noise_rate_by_class(loss, np.repeat([0, 1], [10, 9]), 2, 0)[0] == pytest.approx(0.4, abs=0.01)


def test_losses_that_do_not_differ_show_no_noise() -> None:
    assert noise_rate(np.full(40, 1.3), np.repeat([0, 1], 20), 2, 0) == 0


def test_where_no_class_can_be_judged_no_noise_is_assumed() -> None:
    assert noise_rate_by_class(np.arange(6.0), np.arange(6) % 3, 3, 0).tolist() == [0, 0, 0]


@given(st.integers(0, 1000), st.integers(2, 4))
@settings(max_examples=5, deadline=None)
def test_the_overall_rate_is_the_mean_by_class_size_and_the_same_again(seed: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    loss, label = generator.exponential(size=120), generator.integers(0, classes, 120)
    rates = noise_rate_by_class(loss, label, classes, seed)
    assert ((rates >= 0) & (rates <= 1)).all()
    assert noise_rate(loss, label, classes, seed) == pytest.approx(rates[label].mean())
    np.testing.assert_array_equal(rates, noise_rate_by_class(loss, label, classes, seed))
