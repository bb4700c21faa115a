"""Noise by instance: at its rate, never to the own class, and to where the features say, not where chance does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import truncnorm

from stages.methods import instance_noise
from stages.methods.instance_noise import Features, InstanceNoise, flip_rates, instance, mean_flip_rate, thumbnails
from stages.report import SilentReport

CLASSES = 4


def made(
    count: int = 20_000,
    rate: float = 0.4,
    seed: int = 0,
    excluded: tuple[int, ...] = (),
    values: np.ndarray | None = None,
    width: int = 12,
) -> tuple[np.ndarray, Features, InstanceNoise]:
    """Labels of unequal classes, features that have nothing to do with them, and noise by these."""
    generator = np.random.default_rng(7)
    label = generator.choice(CLASSES, count, p=[0.55, 0.3, 0.1, 0.05])
    values = generator.normal(3, 5, (count, width)) if values is None else values
    features = Features(values, np.arange(count))
    open_classes = np.array([index for index in range(CLASSES) if index not in excluded])
    return label, features, instance(label, features, rate, CLASSES, open_classes, np.random.default_rng(seed))


@pytest.mark.parametrize("rate", [0.03, 0.2, 0.4, 0.9, 1.0])
def test_flip_rates_are_drawn_from_the_cut_normal_of_the_paper(rate: float) -> None:
    found = flip_rates(50_000, rate, np.random.default_rng(0))
    wanted = truncnorm(-rate / 0.1, (1 - rate) / 0.1, loc=rate, scale=0.1)
    assert found.min() >= 0
    assert found.max() <= 1
    for share in (0.01, 0.1, 0.5, 0.9, 0.99):
        assert (found <= wanted.ppf(share)).mean() == pytest.approx(share, abs=0.01)
    assert mean_flip_rate(rate) == pytest.approx(wanted.mean(), abs=1e-9)


def test_the_rate_0_flips_nothing() -> None:
    label, _, noise = made(rate=0)
    assert np.array_equal(noise.labels, label)
    assert not noise.flip_rates.any()
    assert np.array_equal(noise.transition, np.eye(CLASSES))
    assert mean_flip_rate(0) == 0


def test_of_each_class_as_many_are_flipped_as_their_own_rates_say() -> None:
    label, _, noise = made()
    assert noise.flip_rates.mean() == pytest.approx(0.4, abs=0.005)
    for index in range(CLASSES):
        members = label == index
        size, flipped = members.sum(), (noise.labels != label)[members].mean()
        assert flipped == pytest.approx(noise.flip_rates[members].mean(), abs=5 * np.sqrt(0.24 / size))


def test_the_matrix_is_what_the_labels_tend_to() -> None:
    label, _, noise = made()
    np.testing.assert_allclose(noise.transition.sum(axis=1), 1)
    for row in range(CLASSES):
        members = label == row
        assert 1 - noise.transition[row, row] == pytest.approx(noise.flip_rates[members].mean())
        for column in range(CLASSES):
            share = (noise.labels[members] == column).mean()
            assert share == pytest.approx(noise.transition[row, column], abs=5 * np.sqrt(0.25 / members.sum()))


def test_a_flip_never_leads_to_the_own_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance_noise, "flip_rates", lambda count, *_: np.ones(count))
    label, _, noise = made()
    assert (noise.labels != label).all()
    assert not np.diag(noise.transition).any()


@given(st.integers(0, 200), st.sets(st.integers(0, 3), max_size=2), st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_excluded_classes_neither_lose_nor_gain_labels(seed: int, excluded: set[int], rate: float) -> None:
    label, _, noise = made(count=400, rate=rate, seed=seed, excluded=tuple(excluded))
    for index in excluded:
        assert np.array_equal(noise.labels == index, label == index)
        assert noise.transition[index].tolist() == np.eye(CLASSES)[index].tolist()
        assert not noise.flip_rates[label == index].any()
    assert set(noise.labels.tolist()) <= set(range(CLASSES))


def agreement(values: np.ndarray, width: int = 12) -> tuple[float, float]:
    """How often the flipped of one class and like features go to the same class, and any two of that class."""
    label, features, noise = made(values=values, width=width)
    members = np.flatnonzero((label == 0) & (noise.labels != 0))
    target, x = noise.labels[members], features.values[members].astype(np.float64)
    first = slice(0, 1500)
    distance = ((x[first, None] - x[None, first]) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = distance.argmin(axis=1)
    shares = np.bincount(target[first], minlength=CLASSES) / 1500
    return float((target[first] == target[first][nearest]).mean()), float((shares**2).sum())


def test_like_samples_are_mistaken_for_the_same_class() -> None:
    generator = np.random.default_rng(1)
    prototypes = generator.normal(0, 1, (40, 12))
    values = prototypes[generator.integers(0, 40, 20_000)] + generator.normal(0, 0.05, (20_000, 12))
    alike, by_chance = agreement(values)
    assert alike > by_chance + 0.2


def test_samples_that_all_look_the_same_are_mistaken_evenly() -> None:
    label, _, noise = made(values=np.full((20_000, 12), 7.0))
    wrong = noise.labels[(label == 0) & (noise.labels != 0)]
    assert np.bincount(wrong, minlength=CLASSES)[1:] / len(wrong) == pytest.approx([1 / 3] * 3, abs=0.04)


def test_scale_and_offset_of_the_features_do_not_matter() -> None:
    values = np.random.default_rng(2).integers(0, 200, (20_000, 12)).astype(np.float64)
    _, _, noise = made(values=values)
    _, _, other = made(values=values * 8 + 1024)
    assert np.array_equal(noise.labels, other.labels)


def test_rows_say_whose_features_they_are() -> None:
    label, features, noise = made(count=3000)
    order = np.random.default_rng(3).permutation(3000)
    moved = Features(features.values[order], np.argsort(order))
    again = instance(label, moved, 0.4, CLASSES, np.arange(CLASSES), np.random.default_rng(0))
    assert np.array_equal(again.labels, noise.labels)


def test_the_same_seed_gives_the_same_noise_and_another_seed_other() -> None:
    first, again, other = (made(seed=seed)[2] for seed in (0, 0, 1))
    assert first.labels.tobytes() == again.labels.tobytes()
    assert first.transition.tobytes() == again.transition.tobytes()
    assert (first.labels != other.labels).mean() > 0.2


def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, whole = made(count=2000)
    monkeypatch.setattr(instance_noise, "_NUMBERS", 12 * 7)
    _, _, parts = made(count=2000)
    assert np.array_equal(whole.labels, parts.labels)
    np.testing.assert_allclose(whole.transition, parts.transition)


def test_a_class_without_samples_has_no_row() -> None:
    features = Features(np.arange(12.0).reshape(6, 2), np.arange(6))
    found = instance(np.zeros(6, dtype=np.int64), features, 0.5, 3, np.arange(3), np.random.default_rng(0))
    assert np.isnan(found.transition[1:]).all()
    assert found.transition[0].sum() == pytest.approx(1)


def test_a_thumbnail_holds_the_means_of_its_images_parts() -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 24, 16, 3), dtype=np.uint8))
    rows = np.array([3, 0, 3])
    found = thumbnails(images, rows, SilentReport()).reshape(3, 8, 8, 3)
    parts = images.numpy()[rows].reshape(3, 8, 3, 8, 2, 3).mean(axis=(2, 4))
    assert np.abs(found - parts).max() <= 0.5 + 1e-4


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 255))
@settings(max_examples=40, deadline=None)
def test_an_image_of_one_colour_keeps_it_at_any_size(height: int, width: int, grey: int) -> None:
    images = torch.full((1, height, width, 3), grey, dtype=torch.uint8)
    assert (thumbnails(images, np.zeros(1, dtype=np.int64), SilentReport()) == grey).all()
