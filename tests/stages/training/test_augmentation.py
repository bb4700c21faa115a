"""Augmentation gives each image its own change, within range, by its generator alone."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as vision

from stages.training.augmentation import RECIPES, Augmentation, Draws, apply, augment, draw

CHANGING: list[Augmentation] = ["light", "paper", "strong", "histology"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int = 16, side: int = 20) -> Tensor:
    return torch.rand(count, 3, side, side, generator=seeded(99))


def ramps(count: int, side: int = 32) -> Tensor:
    """Grey images that grow evenly brighter from left to right."""
    return torch.linspace(0.3, 0.7, side).expand(count, 3, side, side).contiguous()


def unchanged(count: int) -> Draws:
    """Return draws that leave images as they are."""
    return Draws(
        affine=torch.eye(2, 3).repeat(count, 1, 1),
        sigma=torch.zeros(count, 1),
        colours=torch.tensor([1.0, 1.0, 1.0, 0.0]).repeat(count, 1),
        stain=torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]).repeat(count, 1),
        box=torch.zeros(count, 4),
    )


def waves(count: int, side: int) -> Tensor:
    """Smooth images, each of its own, 0.2 to 0.8."""
    places = torch.linspace(0, 1, side)
    phase = torch.rand(count, 3, 1, 1, generator=seeded(7)) * 6
    return 0.5 + 0.3 * torch.sin(3 * places + 4 * places[:, None] + phase)


@given(st.sampled_from(CHANGING), st.integers(1, 9), st.sampled_from([8, 13, 24]), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_shape_type_and_range_stay(preset: Augmentation, count: int, side: int, seed: int) -> None:
    images = (noise(count, side) > 0.5).float()  # extremes alone
    changed = augment(images, preset, seeded(seed))
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert changed.min() >= 0
    assert changed.max() <= 1


@pytest.mark.parametrize("preset", ["none", *CHANGING])
def test_the_same_generator_gives_the_same_images(preset: Augmentation) -> None:
    first, again = (augment(noise(), preset, seeded(5)) for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize("preset", CHANGING)
def test_another_seed_gives_other_images(preset: Augmentation) -> None:
    assert not torch.equal(augment(noise(), preset, seeded(5)), augment(noise(), preset, seeded(6)))


def test_none_is_identity_and_draws_nothing() -> None:
    generator = seeded()
    before = generator.get_state()
    assert torch.equal(augment(noise(), "none", generator), noise())
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("preset", CHANGING)
def test_each_image_of_a_batch_is_changed_in_its_own_way(preset: Augmentation) -> None:
    changed = augment(noise(1).expand(12, -1, -1, -1), preset, seeded())
    for one in range(12):
        for other in range(one):
            assert not torch.allclose(changed[one], changed[other], atol=1e-3)


@pytest.mark.parametrize("preset", ["none", *CHANGING])
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


@pytest.mark.parametrize("preset", CHANGING)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_memory_format_stays(preset: Augmentation, layout: torch.memory_format) -> None:
    images = noise().contiguous(memory_format=layout)
    assert augment(images, preset, seeded()).is_contiguous(memory_format=layout)


@pytest.mark.parametrize("preset", CHANGING)
def test_an_image_is_changed_alike_in_whatever_batch_it_is(
    preset: Augmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, draws = noise(), draw(RECIPES[preset], 16, seeded())
    alone = torch.cat([apply(images[index : index + 1], draws.part(index, index + 1)) for index in range(16)])
    torch.testing.assert_close(apply(images, draws), alone)
    monkeypatch.setattr("stages.training.augmentation._BLOCK", 5 * images[0].numel())
    torch.testing.assert_close(apply(images, draws), alone)


def test_every_value_is_drawn_for_each_image() -> None:
    recipe = replace(RECIPES["strong"], aspect=1, blur=1, jitter=1, erase=1, stain=0.1)
    for name, values in vars(draw(recipe, 50, seeded())).items():
        for column in values.flatten(1).T:
            assert len(column.unique()) == 50, name


def test_paper_is_the_published_recipe() -> None:
    draws = draw(RECIPES["paper"], 4000, seeded())
    linear = draws.affine[:, :, :2]
    torch.testing.assert_close(linear.det().abs(), torch.full((4000,), 49 / 64))  # 224 of 256, squared
    degrees = torch.rad2deg(torch.atan2(linear[:, 1, 0], linear[:, 1, 1]))
    assert -10 <= degrees.min() < -9.9
    assert 9.9 < degrees.max() <= 10
    assert 0.45 < (linear.det() < 0).float().mean() < 0.55  # flipped left-right
    assert 0.124 < draws.affine[:, :, 2].abs().max() <= 0.125
    blurred = draws.sigma[draws.sigma > 0]
    assert 0.45 < len(blurred) / 4000 < 0.55
    assert 0.1 <= blurred.min() < 0.11
    assert 0.99 < blurred.max() <= 1
    change = draws.colours - torch.tensor([1, 1, 1, 0])
    jittered = change.abs().sum(dim=1) > 0
    assert 0.45 < jittered.float().mean() < 0.55
    for column, most in zip(change.T, (0.1, 0.1, 0.1, 0.01), strict=True):
        assert 0.99 * most < column.abs().max() <= most * 1.0001
    assert 0.2 < (jittered & (draws.sigma[:, 0] > 0)).float().mean() < 0.3  # one is drawn without the other
    assert not draws.box.any()
    assert (draws.stain == unchanged(1).stain).all()


def test_crop_and_flip_are_torchvisions() -> None:
    images = noise(2, 32)  # cropped by 28 from the left 3 and the top 1, from -1 to 1 two pixels off the centre
    affine = torch.tensor([[[-7 / 8, 0, 2 * (3 - 2) / 32], [0, 7 / 8, 2 * (1 - 2) / 32]]]).repeat(2, 1, 1)
    changed = apply(images, replace(unchanged(2), affine=affine))
    wanted = vision.horizontal_flip(vision.resized_crop(images, 1, 3, 28, 28, [32, 32], antialias=False))
    torch.testing.assert_close(changed[:, :, 1:-1, 1:-1], wanted[:, :, 1:-1, 1:-1])  # the rim sees beyond the crop


def affine(flip: float, degrees: float, side: float, shift: tuple[float, float]) -> Tensor:
    """Return the map that turns about the centre, then flips left-right (-1) or not (1), then crops; (2, 3)."""
    turn = math.radians(degrees)
    rotation = torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return torch.cat([torch.tensor([[flip * side, 0.0], [0.0, side]]) @ rotation, torch.tensor(shift)[:, None]], dim=1)


@pytest.mark.parametrize("degrees", [-30.0, -7.0, 4.0, 30.0])
def test_rotation_is_torchvisions(degrees: float) -> None:
    images = noise(2, 33)
    changed = apply(images, replace(unchanged(2), affine=affine(1.0, degrees, 1.0, (0.0, 0.0)).repeat(2, 1, 1)))
    wanted = vision.rotate(images, degrees, InterpolationMode.BILINEAR)
    torch.testing.assert_close(changed[:, :, 7:-7, 7:-7], wanted[:, :, 7:-7, 7:-7], rtol=0, atol=2e-5)


def test_blur_is_torchvisions_with_each_images_own_sigma() -> None:
    images, sigmas = noise(4), [0.1, 0.0, 0.55, 1.0]
    changed = apply(images, replace(unchanged(4), sigma=torch.tensor(sigmas)[:, None]))
    for image, found, sigma in zip(images, changed, sigmas, strict=True):
        wanted = vision.gaussian_blur(image, [5, 5], [sigma, sigma]) if sigma else image
        torch.testing.assert_close(found, wanted, rtol=0, atol=3e-6)


@pytest.mark.parametrize("steps", [0, 1, 4, 255])
def test_jitter_is_torchvisions_with_each_images_own_values(steps: int) -> None:
    images = (noise(5) * steps).round() / steps if steps else noise(5)  # few steps: greys and equal channels
    values: list[list[float]] = [[1.1, 0.9, 1.1, 0.01], [1, 1, 1, 0], [0.6, 1.4, 0.6, -0.05], [1.4, 1.4, 1.4, 0.05]]
    values.append([1, 1, 1, 1 / 6])
    changed = apply(images, replace(unchanged(5), colours=torch.tensor(values)))
    for image, found, value in zip(images, changed, values, strict=True):
        brightness, contrast, saturation, hue = value
        wanted = vision.adjust_contrast(vision.adjust_brightness(image, brightness), contrast)
        wanted = vision.adjust_hue(vision.adjust_saturation(wanted, saturation), hue)
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def test_the_whole_of_paper_is_torchvisions_steps_in_turn() -> None:
    images = waves(3, 64)
    draws = replace(
        unchanged(3),
        affine=affine(-1, 8, 7 / 8, (2 * 2 / 64, 2 * -3 / 64)).repeat(3, 1, 1),
        sigma=torch.full((3, 1), 0.8),
        colours=torch.tensor([[1.08, 1, 1.09, -0.008]]).repeat(3, 1),  # contrast hangs on the corners: black there
    )
    wanted = vision.horizontal_flip(vision.resized_crop(images, 1, 6, 56, 56, [64, 64], antialias=False))
    wanted = vision.gaussian_blur(vision.rotate(wanted, 8, InterpolationMode.BILINEAR), [5, 5], [0.8, 0.8])
    wanted = vision.adjust_saturation(vision.adjust_brightness(wanted, 1.08), 1.09)
    wanted = vision.adjust_hue(wanted, -0.008)[:, :, 10:-10, 10:-10]
    assert (wanted - images[:, :, 10:-10, 10:-10]).abs().mean() > 0.05
    torch.testing.assert_close(apply(images, draws)[:, :, 10:-10, 10:-10], wanted, rtol=0, atol=2e-3)


def test_histology_takes_all_eight_of_the_dihedral_group_about_evenly_and_between_no_pixels() -> None:
    image, count = noise(1, 16), 1600
    recipe = replace(RECIPES["histology"], area=(1, 1), stain=0.0)
    changed = apply(image.repeat(count, 1, 1, 1), draw(recipe, count, seeded()))
    turned = [torch.rot90(image, quarter, (2, 3)) for quarter in range(4)]
    found = []
    for wanted in turned + [one.flip(3) for one in turned]:
        found.append(int(((changed - wanted).abs().amax(dim=(1, 2, 3)) < 1e-5).sum()))
    assert sum(found) == count
    assert min(found) > 150  # of 200; the deviation is 13
    assert max(found) < 250


def test_histology_crops_by_little() -> None:
    area = draw(RECIPES["histology"], 2000, seeded()).affine[:, :, :2].det().abs()
    assert 0.8 <= area.min() < 0.801
    assert 0.999 < area.max() <= 1.0001


def test_crops_and_boxes_lie_within_the_image() -> None:
    draws = draw(replace(RECIPES["strong"], degrees=0, erase=1), 2000, seeded())
    reach = draws.affine[:, :, :2].abs().sum(dim=2) + draws.affine[:, :, 2].abs()
    assert 0.99 < reach.max() <= 1 + 1e-6
    area = draws.affine[:, :, :2].det().abs()
    assert 0.5 - 1e-6 <= area.min() < 0.51
    assert area.max() > 0.99
    top, left, height, width = draws.box.T
    assert 0 <= float(torch.cat([top, left]).min()) < 0.001
    assert 0.99 < float(torch.cat([top + height, left + width]).max()) <= 1 + 1e-6


def test_strong_erases_two_to_fifteen_percent_of_a_quarter_of_the_images() -> None:
    images, draws = noise(800, 64), draw(RECIPES["strong"], 800, seeded())
    changed = apply(images, replace(unchanged(800), box=draws.box))
    share = (changed != images).any(dim=1).float().mean(dim=(1, 2))
    erased = share[share > 0]
    assert 0.2 < len(erased) / 800 < 0.3
    assert 0.017 < erased.min() < 0.03  # 5 of 64 rows are rounded
    assert 0.13 < erased.max() < 0.165


def test_what_is_erased_has_the_mean_colour_and_lies_where_drawn() -> None:
    images = noise(3, 20)
    box = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.0] * 4, [0.75, 0.9, 0.25, 0.1]])
    changed = apply(images, replace(unchanged(3), box=box))
    wanted = images.clone()
    wanted[0, :, 2:8, 4:12] = images[0].mean(dim=(1, 2))[:, None, None]
    wanted[2, :, 15:20, 18:20] = images[2].mean(dim=(1, 2))[:, None, None]
    torch.testing.assert_close(changed, wanted)


def test_the_stains_are_scaled_and_shifted_in_optical_density() -> None:
    vectors = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])  # H, E, D by R, G, B
    amounts = torch.rand(2, 8, 8, 3, generator=seeded()) * 0.3 + 0.1
    stain = torch.tensor([[1.5, 1, 1, 0, 0, 0], [0.9, 1.1, 1, 0.02, -0.03, 0.05]])
    images, wanted = (
        (10 ** -(some @ vectors)).permute(0, 3, 1, 2)
        for some in (amounts, amounts * stain[:, None, None, :3] + stain[:, None, None, 3:])
    )
    changed = apply(images, replace(unchanged(2), stain=stain))
    torch.testing.assert_close(changed, wanted.contiguous(), rtol=0, atol=1e-5)


def test_histology_changes_every_images_stains_by_a_twentieth_at_most() -> None:
    change = draw(RECIPES["histology"], 500, seeded()).stain - unchanged(1).stain
    assert (change != 0).all()
    assert 0.049 < change.abs().max() <= 0.05001
