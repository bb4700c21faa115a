"""The closed form equals autograd by sample; blocks only bound memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.func import grad, vmap
from torch.nn.functional import cross_entropy

from stages.methods.variance_of_gradients import EPOCHS, residuals, variance_of_gradients

SAMPLES, WIDTH, CLASSES = 17, 6, 4


def drawn(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features (E, N, D), weights (E, K, D) and biases (E, K) of the last layer, which move by epoch, labels (N,)."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(EPOCHS, SAMPLES, WIDTH, generator=generator)
    weight = torch.randn(EPOCHS, CLASSES, WIDTH, generator=generator)
    bias = torch.randn(EPOCHS, CLASSES, generator=generator)
    return features, weight, bias, torch.randint(0, CLASSES, (SAMPLES,), generator=generator)


def gradients(features: Tensor, weight: Tensor, bias: Tensor, label: Tensor) -> Tensor:
    """Gradient of each sample's own loss by autograd, (N, K, D + 1), the bias last."""

    def loss(weight: Tensor, bias: Tensor, h: Tensor, y: Tensor) -> Tensor:
        return cross_entropy((weight @ h + bias)[None], y[None])

    by_weight, by_bias = vmap(grad(loss, argnums=(0, 1)), in_dims=(None, None, 0, 0))(weight, bias, features, label)
    return torch.cat([by_weight, by_bias[:, :, None]], dim=2)


def closed_form(drawing: tuple[Tensor, Tensor, Tensor, Tensor], all_classes: bool, block: int = 4096) -> Tensor:
    """The variance of gradients from features and residuals alone."""
    features, weight, bias, label = drawing
    posterior = (torch.einsum("end,ekd->enk", features, weight) + bias[:, None]).softmax(dim=2)
    residual = torch.stack([residuals(posterior[epoch], label, all_classes) for epoch in range(EPOCHS)])
    return variance_of_gradients(features, residual, block)


@pytest.mark.parametrize("seed", range(5))
def test_of_the_own_class_it_equals_autograd_by_sample(seed: int) -> None:
    features, weight, bias, label = drawn(seed)
    own = []
    for epoch in range(EPOCHS):
        found = gradients(features[epoch], weight[epoch], bias[epoch], label)
        own.append(found[torch.arange(SAMPLES), label])
    expected = torch.stack(own).std(dim=0, correction=0).mean(dim=1)
    torch.testing.assert_close(closed_form(drawn(seed), all_classes=False), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_of_all_classes_it_equals_autograd_by_sample(seed: int) -> None:
    features, weight, bias, label = drawn(seed)
    found = [gradients(features[epoch], weight[epoch], bias[epoch], label) for epoch in range(EPOCHS)]
    expected = torch.stack(found).std(dim=0, correction=0).mean(dim=(1, 2))
    torch.testing.assert_close(closed_form(drawn(seed), all_classes=True), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("block", [1, 5, 16, 17, 18])
@pytest.mark.parametrize("all_classes", [False, True])
def test_the_block_does_not_matter(block: int, all_classes: bool) -> None:
    torch.testing.assert_close(closed_form(drawn(0), all_classes, block), closed_form(drawn(0), all_classes))


def test_what_does_not_change_has_no_variance() -> None:
    features, residual = torch.ones(EPOCHS, 3, WIDTH), torch.full((EPOCHS, 3, 1), 0.4)
    assert torch.equal(variance_of_gradients(features, residual), torch.zeros(3))


def test_samples_do_not_touch_each_other() -> None:
    features, weight, bias, label = drawn(1)
    order = torch.arange(SAMPLES - 1, -1, -1)
    turned = closed_form((features[:, order], weight, bias, label[order]), all_classes=True)
    torch.testing.assert_close(turned[order], closed_form((features, weight, bias, label), all_classes=True))


def test_residuals_are_the_posterior_less_the_label() -> None:
    posterior, label = torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]), torch.tensor([1, 0])
    expected = torch.tensor([[0.2, -0.5, 0.3], [-0.9, 0.1, 0.8]])
    torch.testing.assert_close(residuals(posterior, label, all_classes=True), expected)
    torch.testing.assert_close(residuals(posterior, label, all_classes=False), torch.tensor([[-0.5], [-0.9]]))
