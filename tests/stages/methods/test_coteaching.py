"""The forget rate follows its formula; picks are those of brute force, whatever the order of the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stages.methods.coteaching import forget_rate, how_many, small_loss, small_loss_and_variance

distinct = st.lists(st.integers(-1000, 1000), min_size=1, max_size=30, unique=True)


def tensor(values: list[int]) -> Tensor:
    """Whole numbers as a batch's losses, so that no rounding decides."""
    return torch.tensor(values, dtype=torch.float32)


@pytest.mark.parametrize("tau", [0.0, 0.2, 0.45, 0.9])
@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("num_gradual", [1, 2, 5, 10])
def test_forget_rate_equals_the_formula_at_every_epoch(tau: float, exponent: float, num_gradual: int) -> None:
    schedule = np.full(15, tau)
    schedule[:num_gradual] = np.linspace(0, tau**exponent, num_gradual)
    found = [forget_rate(epoch, tau, num_gradual, exponent) for epoch in range(15)]
    np.testing.assert_allclose(found, schedule, rtol=0, atol=1e-12)


@given(st.floats(0, 1), st.integers(1, 12), st.floats(0.5, 4))
@settings(max_examples=50, deadline=None)
def test_forget_rate_begins_at_nothing_never_falls_before_its_end_and_ends_at_tau(
    tau: float, num_gradual: int, exponent: float
) -> None:
    rates = [forget_rate(epoch, tau, num_gradual, exponent) for epoch in range(num_gradual + 3)]
    assert rates[0] == 0
    assert rates[num_gradual:] == [tau] * 3
    assert rates[:num_gradual] == sorted(rates[:num_gradual])
    assert all(0 <= rate <= 1 for rate in rates)


@given(st.integers(0, 99), st.integers(1, 500))
@settings(max_examples=200, deadline=None)
def test_the_number_kept_is_exact_where_floats_would_lose_one(percent: int, batch: int) -> None:
    assert how_many(percent / 100, batch) == max(1, (100 - percent) * batch // 100)


@given(distinct, st.data())
@settings(max_examples=50, deadline=None)
def test_small_loss_picks_are_those_of_brute_force(losses: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(losses)))
    smallest = sorted(losses)[:count]
    assert [losses[place] for place in small_loss(tensor(losses), count).tolist()] == smallest


def test_of_equal_losses_the_earlier_is_picked() -> None:
    assert small_loss(torch.zeros(100), 7).tolist() == list(range(7))


@given(distinct, st.data())
@settings(max_examples=50, deadline=None)
def test_small_loss_picks_do_not_depend_on_the_order_of_the_batch(losses: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(losses)))
    order = torch.tensor(data.draw(st.permutations(range(len(losses)))))
    loss = tensor(losses)
    assert torch.equal(order[small_loss(loss[order], count)], small_loss(loss, count))


@given(distinct, st.integers(0, 10), st.data())
@settings(max_examples=80, deadline=None)
def test_mixed_picks_come_by_loss_and_then_by_variance_among_the_rest(
    losses: list[int], tenths: int, data: st.DataObject
) -> None:
    variances = data.draw(st.permutations(range(len(losses))))
    count = data.draw(st.integers(1, len(losses)))
    picks = small_loss_and_variance(tensor(losses), tensor(variances), count, tenths / 10).tolist()
    by_loss = sorted(range(len(losses)), key=losses.__getitem__)[: count * (10 - tenths) // 10]
    rest = [place for place in range(len(losses)) if place not in by_loss]
    by_variance = sorted(rest, key=variances.__getitem__)[: count * tenths // 10]
    smallest = [losses.index(min(losses))]
    assert picks == (by_loss + by_variance or smallest)
    assert len(set(picks)) == len(picks)
    assert 1 <= len(picks) <= count


@given(distinct, st.sampled_from([0.0, 0.2, 0.5, 1.0]), st.data())
@settings(max_examples=50, deadline=None)
def test_mixed_picks_do_not_depend_on_the_order_of_the_batch(
    losses: list[int], mix_ratio: float, data: st.DataObject
) -> None:
    loss = tensor(losses)
    variance = tensor(data.draw(st.permutations(range(len(losses)))))
    count = data.draw(st.integers(1, len(losses)))
    order = torch.tensor(data.draw(st.permutations(range(len(losses)))))
    shuffled = order[small_loss_and_variance(loss[order], variance[order], count, mix_ratio)]
    assert torch.equal(shuffled, small_loss_and_variance(loss, variance, count, mix_ratio))


def test_mixed_picks_leave_loss_and_variance_as_they_were() -> None:
    loss, variance = torch.arange(8.0), torch.arange(8.0).flip(0)
    small_loss_and_variance(loss, variance, 6, 0.5)
    assert torch.equal(loss, torch.arange(8.0))
    assert torch.equal(variance, torch.arange(8.0).flip(0))


@pytest.mark.parametrize(
    ("count", "mix_ratio", "by_loss", "by_variance"), [(10, 0.2, 8, 2), (7, 0.2, 5, 1), (100, 0.3, 70, 30)]
)
def test_the_shares_of_loss_and_variance_are_cut_down_each(
    count: int, mix_ratio: float, by_loss: int, by_variance: int
) -> None:
    loss = torch.arange(200.0)
    picks = small_loss_and_variance(loss, -loss, count, mix_ratio).tolist()
    assert picks == [*range(by_loss), *range(199, 199 - by_variance, -1)]
