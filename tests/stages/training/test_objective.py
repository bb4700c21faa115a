"""What a step lowers: robust losses with what they remember, and classes evened out."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from stages.methods import losses
from stages.training.objective import Balance, EarlyLearning, Memoryless

CPU = torch.device("cpu")
LABELS = torch.tensor([0] * 8 + [1] * 2)
LOGITS = torch.randn(10, 2, generator=torch.Generator().manual_seed(0))


def test_a_memoryless_objective_is_its_loss() -> None:
    places = torch.arange(10)
    torch.testing.assert_close(
        Memoryless().losses(0, places, LOGITS, LABELS), cross_entropy(LOGITS, LABELS, reduction="none")
    )
    assert Memoryless().tensors() == {}


def test_early_learning_remembers_each_sample_by_its_place() -> None:
    one = EarlyLearning(10, 2, strength=3.0, momentum=0.7)
    places = torch.tensor([7, 2])
    found = one.losses(0, places, LOGITS[places], LABELS[places])
    posterior = LOGITS[places].softmax(dim=1)
    target = losses.running_target(torch.zeros(2, 2), posterior, 0.7)
    expected = losses.cross_entropy(LOGITS[places], LABELS[places])
    expected = expected + 3.0 * losses.early_learning_regularisation(posterior, target)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(one.tensors()["targets"][places], target)
    assert not one.tensors()["targets"][torch.tensor([0, 1, 3, 4, 5, 6, 8, 9])].any()


def test_early_learning_goes_on_as_it_was_kept() -> None:
    one, other = EarlyLearning(10, 2, 3.0, 0.7), EarlyLearning(10, 2, 3.0, 0.7)
    places = torch.arange(10)
    one.losses(0, places, LOGITS, LABELS)
    other.restore({name: tensor.clone() for name, tensor in one.tensors().items()})
    assert torch.equal(one.losses(0, places, -LOGITS, LABELS), other.losses(0, places, -LOGITS, LABELS))


def test_logit_adjustment_adds_the_log_prior_times_tau() -> None:
    balance = Balance(LABELS, 2, "none", 0.5, CPU)
    torch.testing.assert_close(balance.adjusted(LOGITS), LOGITS + 0.5 * torch.tensor([0.8, 0.2]).log())
    assert torch.equal(Balance(LABELS, 2, "none", 0.0, CPU).adjusted(LOGITS), LOGITS)


def test_a_weighted_mean_is_torchs_own() -> None:
    loss = cross_entropy(LOGITS, LABELS, reduction="none")
    expected = cross_entropy(LOGITS, LABELS, weight=torch.tensor([1 / 8, 1 / 2]))
    torch.testing.assert_close(Balance(LABELS, 2, "balanced", 0.0, CPU).mean(loss, LABELS), expected)
    assert float(Balance(LABELS, 2, "none", 0.0, CPU).mean(loss, LABELS)) == pytest.approx(float(loss.mean()))
