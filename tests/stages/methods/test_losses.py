"""Robust losses equal their papers' formulas, and cross-entropy at their limits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from stages.methods import losses

LOGITS = torch.randn(40, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
LABEL = torch.arange(40) % 5
GIVEN = LOGITS.softmax(dim=1).gather(1, LABEL[:, None]).flatten()


def check_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_cross_entropy_is_minus_the_log_of_the_given_posterior() -> None:
    check_close(losses.cross_entropy(LOGITS, LABEL), -GIVEN.log())


def test_symmetric_cross_entropy_adds_the_entropy_with_roles_exchanged() -> None:
    target = functional.one_hot(LABEL, 5).double()
    logarithm = torch.where(target == 1, 0.0, -4.0).double()  # log of the one-hot label, log 0 taken as -4
    reverse = -(LOGITS.softmax(dim=1) * logarithm).sum(dim=1)
    check_close(losses.symmetric_cross_entropy(LOGITS, LABEL, 0.3, 0.7), 0.3 * -GIVEN.log() + 0.7 * reverse)
    check_close(losses.symmetric_cross_entropy(LOGITS, LABEL, 1.0, 0.0), -GIVEN.log())


@given(st.floats(0.05, 1.0))
def test_generalised_cross_entropy_is_the_box_cox_of_the_given_posterior(q: float) -> None:
    check_close(losses.generalised_cross_entropy(LOGITS, LABEL, q), (1 - GIVEN**q) / q)


def test_generalised_cross_entropy_goes_from_cross_entropy_to_the_mean_absolute_error() -> None:
    torch.testing.assert_close(losses.generalised_cross_entropy(LOGITS, LABEL, 1e-6), -GIVEN.log(), rtol=1e-4, atol=0)
    error = (LOGITS.softmax(dim=1) - functional.one_hot(LABEL, 5)).abs().sum(dim=1)
    check_close(losses.generalised_cross_entropy(LOGITS, LABEL, 1.0), error / 2)


@pytest.mark.parametrize("name", ["symmetric_cross_entropy", "generalised_cross_entropy"])
def test_a_label_against_all_evidence_pulls_less_than_under_cross_entropy(name: str) -> None:
    options = {"symmetric_cross_entropy": (0.1, 1.0), "generalised_cross_entropy": (0.7,)}[name]
    logits = torch.tensor([[9.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    wrong = torch.tensor([1])
    robust, plain = (
        torch.autograd.grad(loss.sum(), logits)[0].abs().max()
        for loss in (getattr(losses, name)(logits, wrong, *options), losses.cross_entropy(logits, wrong))
    )
    assert robust < 0.2 * plain


def test_losses_stay_finite_for_labels_of_hardly_any_posterior() -> None:
    logits = torch.tensor([[200.0, 0.0]])
    label = torch.tensor([1])
    for loss in (
        losses.symmetric_cross_entropy(logits, label, 0.1, 1.0),
        losses.generalised_cross_entropy(logits, label, 0.7),
    ):
        assert math.isfinite(float(loss))


def test_early_learning_regularisation_is_the_log_of_one_less_the_agreement() -> None:
    posterior, target = torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([[0.5, 0.25, 0.25]])
    expected = math.log(1 - (0.35 + 0.05 + 0.025))
    assert float(losses.early_learning_regularisation(posterior, target)) == pytest.approx(expected)
    sure = torch.tensor([[1.0, 0.0]])
    assert math.isfinite(float(losses.early_learning_regularisation(sure, sure)))


def test_early_learning_regularisation_pulls_towards_the_target() -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    target = torch.tensor([[0.8, 0.1, 0.1]])
    loss = losses.early_learning_regularisation(logits.softmax(dim=1), target).sum()
    slope = torch.autograd.grad(loss, logits)[0][0]
    assert slope[0] < 0 < slope[1]
    assert slope[1] == pytest.approx(float(slope[2]))


def test_a_running_target_moves_towards_the_posterior_and_carries_no_gradient() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0]], requires_grad=True)
    posterior = logits.softmax(dim=1)
    before = torch.tensor([[0.0, 0.0, 1.0]])
    found = losses.running_target(before, posterior, 0.7)
    assert not found.requires_grad
    torch.testing.assert_close(found, 0.7 * before + 0.3 * posterior.detach(), rtol=1e-5, atol=1e-6)
    assert float(found.sum()) == pytest.approx(1.0)
