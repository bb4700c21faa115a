"""Pickers: how many are picked follows the forget rate; variance of gradients joins in past the warm-up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from stages.methods import coteaching
from stages.methods.transition_model import UNKNOWN
from stages.training.noise_watch import LabelEvidence, NoiseWatch
from stages.training.picking import PickAll, PickSmallLoss, SmallLossOptions
from stages.training.signals import EpochSignals, GradientWindow

SAMPLES, CLASSES, WIDTH = 36, 3, 4
LABELS = torch.arange(SAMPLES) % CLASSES


def watch(samples: int = SAMPLES, classes: int = CLASSES) -> NoiseWatch:
    """An estimate to be made of labels that go round, each sample its own group."""
    given = np.arange(samples) % classes
    return NoiseWatch(LabelEvidence(given, np.full(samples, UNKNOWN), np.arange(samples), None), classes, 0)


def picker(**changed: Any) -> PickSmallLoss:
    usual: dict[str, Any] = {"noise_rate": 0.4, "num_gradual": 2, "exponent": 1.0, "mix_ratio": 0.25}
    return PickSmallLoss(SmallLossOptions(**(usual | {"all_classes": False, "look_after": 3} | changed)), watch())


def live(one: PickSmallLoss, epochs: int, window: GradientWindow, first: int = 0) -> None:
    """Let a picker see epochs of made-up batches."""
    for epoch in range(first, epochs):
        generator = torch.Generator().manual_seed(100 + epoch)
        signals = EpochSignals.empty(2, SAMPLES)
        one.begin(epoch)
        for network in range(2) if one.observes != "none" else ():
            for places in torch.arange(SAMPLES).split(10):
                penultimate = torch.randn(len(places), WIDTH, generator=generator)
                posterior = torch.rand(len(places), CLASSES, generator=generator).softmax(dim=1)
                one.observe(network, places, penultimate, posterior, LABELS[places], SAMPLES)
        one.end(epoch, signals, LABELS, window)


def test_plain_cross_entropy_picks_everything() -> None:
    one = PickAll()
    one.begin(3)
    assert one.pick(0, torch.tensor([5, 2, 9]), torch.rand(3)).tolist() == [0, 1, 2]
    assert (one.forget_rate, one.noise_rate_estimate) == (0.0, None)


@pytest.mark.parametrize("epoch", range(12))
def test_the_number_of_picks_follows_the_forget_rate(epoch: int) -> None:
    one = picker(num_gradual=10, mix_ratio=0.0)
    one.begin(epoch)
    expected = 0.4 if epoch >= 10 else 0.4 * epoch / 9
    assert one.forget_rate == pytest.approx(expected)
    loss = torch.rand(20, generator=torch.Generator().manual_seed(epoch))
    picks = one.pick(0, torch.arange(20), loss)
    assert picks.tolist() == loss.argsort()[: int((1 - expected) * 20 + 1e-9)].tolist()


def test_variance_of_gradients_joins_in_once_five_epochs_are_seen_and_the_warm_up_is_past() -> None:
    places = torch.tensor([3, 20, 11, 0, 8, 9, 17, 5, 22, 1])
    loss = torch.rand(10, generator=torch.Generator().manual_seed(0))
    for num_gradual in (1, 6):
        one, window = picker(num_gradual=num_gradual), GradientWindow()
        for epoch in range(9):
            one.begin(epoch)
            count = coteaching.how_many(one.forget_rate, 10)
            variance = window.variance(0)
            if epoch > num_gradual and variance is not None:
                expected = coteaching.small_loss_and_variance(loss, variance[places], count, 0.25)
            else:
                expected = coteaching.small_loss(loss, count)
            assert torch.equal(one.pick(0, places, loss), expected)
            assert (variance is None) == (epoch < 5)
            live(one, epoch + 1, window, first=epoch)


def test_each_network_has_the_variance_of_its_own_gradients() -> None:
    one, window = picker(), GradientWindow()
    live(one, 6, window)
    one.begin(6)
    first, second = window.variance(0), window.variance(1)
    assert first is not None and second is not None
    assert not torch.equal(first, second)
    signals = EpochSignals.empty(2, SAMPLES)
    one.end(6, signals, LABELS, window)
    assert torch.equal(signals.variance[0], first)
    assert torch.equal(signals.variance[1], second)


def test_without_mixing_no_gradients_are_kept() -> None:
    one, window = picker(mix_ratio=0.0), GradientWindow()
    live(one, 7, window)
    assert window.entries == {}


@pytest.mark.parametrize(("all_classes", "columns"), [(False, 1), (True, CLASSES)])
def test_gradients_are_kept_factored_by_sample(all_classes: bool, columns: int) -> None:
    one, window = picker(all_classes=all_classes), GradientWindow()
    live(one, 1, window)
    entry = window.entries[0]
    assert {name: tuple(tensor.shape) for name, tensor in entry.items()} == {
        "features0": (SAMPLES, WIDTH),
        "features1": (SAMPLES, WIDTH),
        "residual0": (SAMPLES, columns),
        "residual1": (SAMPLES, columns),
    }
    assert all(bool((tensor != 0).all(dim=1).all()) for tensor in entry.values())


def test_a_given_rate_is_forgotten_whatever_the_estimate_says() -> None:
    one = picker(num_gradual=1)
    live(one, 4, GradientWindow())
    assert one.noise_rate_estimate is not None
    one.begin(4)
    assert one.forget_rate == 0.4 != one.noise_rate_estimate


@pytest.mark.parametrize("mix_ratio", [0.0, 0.25])
@pytest.mark.parametrize("look_after", [1, 3])
def test_the_noise_is_estimated_once_from_network_ones_features_and_then_stays(
    mix_ratio: float, look_after: int
) -> None:
    one, window = picker(noise_rate=None, num_gradual=1, look_after=look_after, mix_ratio=mix_ratio), GradientWindow()
    seen = []
    for epoch in range(5):
        live(one, epoch + 1, window, first=epoch)
        seen.append(one.noise_rate_estimate)
    assert seen[: look_after - 1] == [None] * (look_after - 1)
    assert len(set(seen[look_after - 1 :])) == 1 and seen[-1] is not None
    one.begin(5)
    assert one.forget_rate == seen[-1]


def test_network_twos_features_do_not_count() -> None:
    found = []
    for other in (0.0, 5.0):
        one = picker(noise_rate=None, look_after=1)
        one.begin(0)
        for network in range(2):
            features = torch.randn(SAMPLES, WIDTH, generator=torch.Generator().manual_seed(0)) + network * other
            one.observe(network, torch.arange(SAMPLES), features, torch.rand(SAMPLES, CLASSES), LABELS, SAMPLES)
        one.end(0, EpochSignals.empty(2, SAMPLES), LABELS, GradientWindow())
        found.append(one.noise_rate_estimate)
    assert found[0] == found[1] is not None


def test_a_frozen_backbones_features_are_gone_by_before_the_first_epoch() -> None:
    known = watch().known
    features = torch.randn(SAMPLES, WIDTH, generator=torch.Generator().manual_seed(0))
    one = picker(noise_rate=None, num_gradual=1, mix_ratio=0.0)
    one.watch = NoiseWatch(replace(known, features=features), CLASSES, 0)
    one.begin(0)
    assert one.noise_rate_estimate is not None
    assert one.observes == "none"


def test_before_there_is_an_estimate_nothing_is_forgotten() -> None:
    one = picker(noise_rate=None, num_gradual=0)
    one.begin(0)
    assert one.forget_rate == 0.0


@pytest.mark.parametrize("after", range(1, 8))
def test_a_restored_picker_picks_as_the_one_it_was_kept_from(after: int) -> None:
    one, window = picker(noise_rate=None), GradientWindow()
    live(one, after, window)
    other, again = picker(noise_rate=None), GradientWindow(dict(window.entries))
    other.restore(one.facts(), one.tensors(), again)
    for each, seen in ((one, window), (other, again)):
        live(each, 9, seen, first=after)
        each.begin(9)
    loss = torch.rand(SAMPLES, generator=torch.Generator().manual_seed(1))
    assert one.forget_rate == other.forget_rate
    for network in range(2):
        places = torch.arange(SAMPLES)
        assert torch.equal(one.pick(network, places, loss), other.pick(network, places, loss))
