"""Signals are what the training pass shows of each sample; the window holds the gradients of five epochs."""

from __future__ import annotations

import math

import torch

from stages.methods.variance_of_gradients import variance_of_gradients
from stages.training.signals import EpochSignals, GradientWindow


def test_a_batch_is_written_to_its_places_alone() -> None:
    signals = EpochSignals.empty(2, 5)
    logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
    labels, places = torch.tensor([0, 2]), torch.tensor([4, 1])
    posterior = signals.record(1, places, logits, torch.tensor([0.4, 3.1]), torch.tensor([0]), labels)
    torch.testing.assert_close(posterior, logits.softmax(dim=1))
    sums = (math.exp(2) + 1 + math.e, 2 + math.exp(3))
    torch.testing.assert_close(signals.loss[1], torch.tensor([0, 3.1, 0, 0, 0.4]))
    torch.testing.assert_close(signals.p_given[1], torch.tensor([0, 1 / sums[1], 0, 0, math.exp(2) / sums[0]]))
    torch.testing.assert_close(signals.margin[1], torch.tensor([0, -3.0, 0, 0, 1.0]))
    assert signals.kept[1].tolist() == [False, False, False, False, True]
    for tensor in (signals.loss[0], signals.p_given[0], signals.margin[0], signals.kept[0]):
        assert not tensor.any()
    assert signals.variance.isnan().all()


def test_signals_have_a_row_a_network_and_a_column_a_sample() -> None:
    signals = EpochSignals.empty(2, 7)
    assert {name: tuple(tensor.shape) for name, tensor in signals.tensors().items()} == dict.fromkeys(
        ("loss", "p_given", "margin", "kept", "variance"), (2, 7)
    )


def test_the_window_holds_the_last_five_epochs_and_knows_nothing_before() -> None:
    window, generator, seen = GradientWindow(), torch.Generator().manual_seed(0), []
    for epoch in range(8):
        entry = {
            "features0": torch.randn(4, 3, generator=generator),
            "residual0": torch.randn(4, 1, generator=generator),
        }
        seen.append(entry)
        window.add(epoch, entry)
        assert sorted(window.entries) == list(range(max(0, epoch - 4), epoch + 1))
        found = window.variance(0)
        if epoch < 4:
            assert found is None
        else:
            last = seen[-5:]
            features, residual = (torch.stack([one[name] for one in last]) for name in ("features0", "residual0"))
            assert found is not None
            torch.testing.assert_close(found, variance_of_gradients(features, residual))
