"""Prediction switches dropout off, leaves batch norm as trained, and sums the networks' logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from schemas.checkpoint import NetworkSpec
from stages.report import SilentReport
from stages.training.inputs import ImageInputs
from stages.training.network import build_backbone, build_network, fit_standardisation
from stages.training.predict import extract, predict

CPU = torch.device("cpu")
SPEC = NetworkSpec(
    backbone="test_resnet",
    train="all",
    hidden=4,
    dropout=0.5,
    image_size=16,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
    feature_width=96,
)
IMAGES = torch.randint(0, 256, (13, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
ROWS = torch.tensor([3, 12, 0, 7, 5])


@pytest.fixture
def networks() -> list[nn.Module]:
    """Two networks with dropout and batch norm, left in train mode as training leaves them."""
    return [build_network(SPEC, 3, 0, number).train() for number in (1, 2)]


@pytest.fixture
def inputs() -> ImageInputs:
    return ImageInputs(IMAGES, SPEC, CPU, "paper")


def test_dropout_is_off_and_nothing_is_augmented(networks: list[nn.Module], inputs: ImageInputs) -> None:
    first, again = (predict(networks, inputs, ROWS, CPU, "float32") for _ in range(2))
    assert torch.equal(first.logits, again.logits)
    for number, network in enumerate(networks):
        with torch.no_grad():
            _, logits = network.eval()(inputs.batch(ROWS, None))
        torch.testing.assert_close(first.logits[number], logits)


def test_batch_norm_statistics_and_weights_are_untouched(networks: list[nn.Module], inputs: ImageInputs) -> None:
    before = [{name: tensor.clone() for name, tensor in n.state_dict().items()} for n in networks]
    assert any("running_mean" in name for name in before[0])
    predict(networks, inputs, ROWS, CPU, "float32")
    for network, tensors in zip(networks, before, strict=True):
        assert all(torch.equal(tensor, tensors[name]) for name, tensor in network.state_dict().items())


def test_the_posterior_is_the_softmax_of_the_summed_logits(networks: list[nn.Module], inputs: ImageInputs) -> None:
    both = predict(networks, inputs, ROWS, CPU, "float32")
    alone = [predict([network], inputs, ROWS, CPU, "float32") for network in networks]
    summed = np.exp((alone[0].logits[0] + alone[1].logits[0]).double().numpy())
    np.testing.assert_allclose(both.posterior.numpy(), summed / summed.sum(axis=1, keepdims=True), atol=1e-6)
    assert both.logits.shape == (2, 5, 3)
    assert torch.equal(both.embeddings, alone[0].embeddings)


def test_embeddings_are_the_first_networks_penultimate_features(networks: list[nn.Module], inputs: ImageInputs) -> None:
    found = predict(networks, inputs, ROWS, CPU, "float32")
    with torch.no_grad():
        penultimate, _ = networks[0].eval()(inputs.batch(ROWS, None))
    assert found.embeddings.shape == (5, 4)
    torch.testing.assert_close(found.embeddings, penultimate)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_size_of_batches_does_not_matter(networks: list[nn.Module], inputs: ImageInputs, batch: int) -> None:
    found = predict(networks, inputs, ROWS, CPU, "float32", batch=batch)
    whole = predict(networks, inputs, ROWS, CPU, "float32")
    torch.testing.assert_close(found.logits, whole.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.embeddings, whole.embeddings, rtol=1e-4, atol=1e-5)


def test_progress_is_told_to_the_end(networks: list[nn.Module], inputs: ImageInputs) -> None:
    told: list[tuple[int, int]] = []

    class Listening(SilentReport):
        def progress(self, done: int, total: int, text: str = "", unit: str = "") -> None:
            told.append((done, total))

    predict(networks, inputs, ROWS, CPU, "float32", Listening(), batch=2)
    assert told == [(2, 5), (4, 5), (5, 5)]
    told.clear()
    extract(build_backbone("test_resnet", 0), IMAGES, SPEC, CPU, "float32", Listening(), batch=5)
    assert told == [(5, 13), (10, 13), (13, 13)]


def test_features_of_a_backbone_are_its_output_in_eval_mode_for_every_image(inputs: ImageInputs) -> None:
    backbone = build_backbone("test_resnet", 0).train()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    found = extract(backbone, IMAGES, SPEC, CPU, "float32", SilentReport(), batch=4)
    with torch.no_grad():
        expected = build_backbone("test_resnet", 0).eval()(inputs.batch(torch.arange(13), None))
    assert found.shape == (13, 96)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())


def test_features_of_a_frozen_backbone_can_be_learnt_from() -> None:
    features = extract(build_backbone("test_resnet", 0), IMAGES, SPEC, CPU, "float32", SilentReport())
    head = build_network(SPEC.model_copy(update={"train": "head"}), 3, 0, 1)
    fit_standardisation(head, features[ROWS])
    cross_entropy(head(features[ROWS])[1], torch.tensor([0, 1, 2, 0, 1])).backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
