"""Augmentation gives each image its own change, within range, by its generator alone."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stages.training.augmentation import Augmentation, augment


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int = 16, side: int = 20) -> Tensor:
    return torch.rand(count, 3, side, side, generator=seeded(99))


def ramps(count: int, side: int = 32) -> Tensor:
    """Grey images that grow evenly brighter from left to right."""
    return torch.linspace(0.3, 0.7, side).expand(count, 3, side, side).contiguous()


@given(st.sampled_from(["paper", "light"]), st.integers(1, 9), st.sampled_from([8, 13, 24]), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_shape_type_and_range_stay(preset: Augmentation, count: int, side: int, seed: int) -> None:
    images = (noise(count, side) > 0.5).float()  # extremes alone
    changed = augment(images, preset, seeded(seed))
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert changed.min() >= 0
    assert changed.max() <= 1 + 1e-6


@pytest.mark.parametrize("preset", ["paper", "light", "none"])
def test_the_same_generator_gives_the_same_images(preset: Augmentation) -> None:
    first, again = (augment(noise(), preset, seeded(5)) for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize("preset", ["paper", "light"])
def test_another_seed_gives_other_images(preset: Augmentation) -> None:
    assert not torch.equal(augment(noise(), preset, seeded(5)), augment(noise(), preset, seeded(6)))


def test_none_is_identity_and_draws_nothing() -> None:
    generator = seeded()
    before = generator.get_state()
    assert torch.equal(augment(noise(), "none", generator), noise())
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("preset", ["paper", "light"])
def test_each_image_of_a_batch_is_changed_in_its_own_way(preset: Augmentation) -> None:
    changed = augment(noise(1).expand(12, -1, -1, -1), preset, seeded())
    for one in range(12):
        for other in range(one):
            assert not torch.allclose(changed[one], changed[other], atol=1e-3)


@pytest.mark.parametrize("preset", ["paper", "light", "none"])
def test_the_images_given_and_the_global_generator_are_left_alone(preset: Augmentation) -> None:
    images, state = noise(), torch.random.get_rng_state()
    augment(images, preset, seeded())
    assert torch.equal(images, noise())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_crop_shows_seven_eighths_of_the_side_and_about_half_are_flipped() -> None:
    images = ramps(200)
    changed = augment(images, "light", seeded())
    rise = changed[:, 0, :, 30] - changed[:, 0, :, 1]  # the outermost column may mirror what lies beyond the border
    torch.testing.assert_close(rise.abs(), torch.full_like(rise, 0.4 * 29 / 31 * 7 / 8), rtol=0, atol=1e-4)
    assert 0.4 < (rise[:, 0] < 0).float().mean() < 0.6
    assert changed.min() >= 0.3 - 1e-5
    assert changed.max() <= 0.7 + 1e-5


def test_light_does_not_turn_and_paper_turns_by_ten_degrees_at_most() -> None:
    for preset, least, most in (("light", 0.0, 0.01), ("paper", 9.0, 10.1)):
        inner = augment(ramps(200), preset, seeded())[:, 0, 8:24, 8:24]  # type: ignore[arg-type]
        across = (inner[:, :, -1] - inner[:, :, 0]).mean(dim=1)
        down = (inner[:, -1, :] - inner[:, 0, :]).mean(dim=1)
        degrees = torch.atan2(down.abs(), across.abs()) * (180 / math.pi)
        assert least <= float(degrees.max()) <= most


def test_light_only_moves_pixels() -> None:
    flat = torch.full((8, 3, 16, 16), 0.4)
    torch.testing.assert_close(augment(flat, "light", seeded()), flat)


def test_paper_jitters_the_colours_of_about_half_by_little() -> None:
    flat = torch.tensor([0.6, 0.4, 0.3])[None, :, None, None].expand(400, 3, 8, 8).contiguous()
    moved = (augment(flat, "paper", seeded()) - flat).abs().amax(dim=(1, 2, 3))
    assert 0.4 < (moved > 1e-4).float().mean() < 0.6
    assert moved.max() < 0.6 * 0.33


def test_paper_blurs_about_half() -> None:
    board = ((torch.arange(32)[:, None] + torch.arange(32)) % 2).float().expand(300, 3, 32, 32).contiguous()
    sharpness = augment(board, "paper", seeded(3))[:, :, 8:24, 8:24].std(dim=(1, 2, 3))
    light = augment(board, "light", seeded(3))[:, :, 8:24, 8:24].std(dim=(1, 2, 3))
    blurred = sharpness < 0.5 * light
    assert 0.35 < blurred.float().mean() < 0.65
