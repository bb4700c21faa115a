"""Inputs give batches by row: images normalised and, with a generator, augmented; features as they are."""

from __future__ import annotations

import numpy as np
import torch

from schemas.checkpoint import NetworkSpec
from stages.training.augmentation import augment
from stages.training.inputs import FeatureInputs, ImageInputs

CPU = torch.device("cpu")
SPEC = NetworkSpec(
    backbone="test_resnet",
    train="all",
    hidden=0,
    dropout=0.0,
    image_size=10,
    mean=(0.4, 0.5, 0.6),
    std=(0.1, 0.2, 0.3),
    feature_width=96,
)
IMAGES = torch.randint(0, 256, (7, 10, 10, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_images_are_scaled_normalised_by_channel_and_turned_channels_first() -> None:
    found = ImageInputs(IMAGES, SPEC, CPU, "paper").batch(torch.tensor([4, 1]), None)
    assert found.dtype == torch.float32
    assert found.shape == (2, 3, 10, 10)
    assert found.is_contiguous(memory_format=torch.channels_last)
    for place, row in enumerate((4, 1)):
        expected = (IMAGES[row].numpy() / 255 - np.array(SPEC.mean)) / np.array(SPEC.std)
        np.testing.assert_allclose(found[place].permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_with_a_generator_images_are_augmented_before_they_are_normalised() -> None:
    inputs = ImageInputs(IMAGES, SPEC, CPU, "paper")
    found = inputs.batch(torch.arange(7), torch.Generator().manual_seed(3))
    plain = IMAGES.permute(0, 3, 1, 2).float() / 255
    changed = augment(plain, "paper", torch.Generator().manual_seed(3))
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (SPEC.mean, SPEC.std))
    torch.testing.assert_close(found, (changed - mean) / std, check_stride=False)


def test_one_channel_is_the_luminance_normalised_by_the_means_over_channels() -> None:
    found = ImageInputs(IMAGES, SPEC.model_copy(update={"channels": 1}), CPU, "paper").batch(torch.tensor([4, 1]), None)
    assert found.shape == (2, 1, 10, 10)
    assert found.is_contiguous(memory_format=torch.channels_last)
    for place, row in enumerate((4, 1)):
        luminance = IMAGES[row].numpy() / 255 @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
        np.testing.assert_allclose(found[place, 0].numpy(), (luminance - 0.5) / 0.2, atol=1e-3)


def test_one_channel_is_augmented_in_colour_first() -> None:
    inputs = ImageInputs(IMAGES, SPEC.model_copy(update={"channels": 1}), CPU, "paper")
    found = inputs.batch(torch.arange(7), torch.Generator().manual_seed(3))
    changed = augment(IMAGES.permute(0, 3, 1, 2).float() / 255, "paper", torch.Generator().manual_seed(3))
    weights = torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]
    expected = ((changed * weights).sum(dim=1, keepdim=True) - 0.5) / 0.2
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0, check_stride=False)


def test_without_augmentation_a_generator_changes_nothing() -> None:
    inputs = ImageInputs(IMAGES, SPEC, CPU, "none")
    rows = torch.arange(7)
    assert torch.equal(inputs.batch(rows, torch.Generator().manual_seed(3)), inputs.batch(rows, None))


def test_images_stay_as_they_were() -> None:
    before = IMAGES.clone()
    ImageInputs(IMAGES, SPEC, CPU, "paper").batch(torch.arange(7), torch.Generator().manual_seed(3))
    assert torch.equal(IMAGES, before)
    assert IMAGES.dtype == torch.uint8


def test_features_come_by_row_and_are_never_augmented() -> None:
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    inputs, rows = FeatureInputs(features, CPU), torch.tensor([5, 0, 5])
    assert torch.equal(inputs.batch(rows, None), features[rows])
    assert torch.equal(inputs.batch(rows, torch.Generator().manual_seed(1)), features[rows])
