"""Networks are built anew from a spec and a seed; weights that do not fit are refused by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from schemas.checkpoint import NetworkSpec
from schemas.errors import DataError
from stages.training.network import (
    Head,
    Network,
    build_network,
    fit_standardisation,
    load_weights,
)


def spec(**changed: Any) -> NetworkSpec:
    fixed = {"backbone": "test_resnet", "train": "head", "hidden": 5, "dropout": 0.0, "image_size": 16}
    rest = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25), "feature_width": 96}
    return NetworkSpec.model_validate(fixed | rest | changed)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("train", ["head", "all"])
def test_the_same_seed_and_number_give_the_same_weights_and_others_do_not(train: str) -> None:
    first, again, peer, other = (
        build_network(spec(train=train), 3, seed, number).state_dict()
        for seed, number in ((0, 1), (0, 1), (0, 2), (1, 1))
    )
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    learnt = [name for name, tensor in first.items() if name.endswith("weight") and tensor.dim() > 1]
    assert learnt
    for name in learnt:
        assert not torch.equal(first[name], peer[name])
        assert not torch.equal(first[name], other[name])


@pytest.mark.parametrize(("hidden", "width"), [(5, 5), (0, 96)])
def test_a_network_gives_penultimate_features_and_their_logits(hidden: int, width: int) -> None:
    network = build_network(spec(train="all", hidden=hidden, dropout=0.5), 3, 0, 1).eval()
    assert isinstance(network, Network)
    penultimate, logits = network(drawn(4, 3, 16, 16))
    assert penultimate.shape == (4, width)
    assert logits.shape == (4, 3)
    torch.testing.assert_close(network.head.last(penultimate), logits)


def test_dropout_is_before_each_layer_of_the_head_and_gone_when_it_is_asked() -> None:
    head = build_network(spec(dropout=0.5), 3, 0, 1)
    assert isinstance(head, Head)
    with torch.no_grad():
        for layer in (head.neck[0], head.last):
            assert isinstance(layer, torch.nn.Linear)
            layer.weight.fill_(1.0)
            layer.bias.zero_()
        ones = torch.ones(200, 96)
        penultimate, logits = head.train()(ones)
        kept = penultimate[:, 0] / 2  # features that were kept, each doubled
        assert kept.min() > 20 and kept.max() < 76 and kept.std() > 2
        assert torch.equal(penultimate, penultimate[:, :1].expand(200, 5))
        units = logits[:, 0] / (2 * penultimate[:, 0])  # of five, each doubled
        assert sorted(set(units.round().int().tolist())) == [0, 1, 2, 3, 4, 5]
        penultimate, logits = head.eval()(ones)
        assert penultimate.unique().tolist() == [96]
        assert logits.unique().tolist() == [5 * 96]


def test_a_frozen_backbone_leaves_a_head_to_train() -> None:
    head = build_network(spec(), 3, 0, 1)
    assert isinstance(head, Head)
    penultimate, logits = head(drawn(4, 96))
    assert penultimate.shape == (4, 5)
    assert logits.shape == (4, 3)


def test_a_network_is_built_for_the_images_size_and_channels() -> None:
    asked = spec(train="all", backbone="torchvision/vit_b_32", feature_width=768, image_size=64, channels=1)
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in build_network(asked, 3, 0, 1).state_dict().items()}
    assert shapes["backbone.encoder.pos_embedding"] == (1, 1 + 2 * 2, 768)
    assert shapes["backbone.conv_proj.weight"] == (768, 1, 32, 32)


def test_fitted_features_are_standardised() -> None:
    features = drawn(50, 96) * torch.linspace(0.1, 30, 96) + torch.linspace(-7, 7, 96)
    head = build_network(spec(hidden=0), 3, 0, 1)
    fit_standardisation(head, features)
    standard, _ = head(features)
    torch.testing.assert_close(standard.mean(dim=0), torch.zeros(96), rtol=0, atol=1e-4)
    torch.testing.assert_close(standard.std(dim=0, correction=0), torch.ones(96), rtol=0, atol=1e-4)


def test_a_feature_that_never_changes_is_standardised_to_nothing() -> None:
    features = drawn(20, 96)
    features[:, 7] = 2.0
    head = build_network(spec(hidden=0), 3, 0, 1)
    fit_standardisation(head, features)
    assert torch.equal(head(features)[0][:, 7], torch.zeros(20))


def test_the_standardisation_travels_with_the_weights_and_is_not_learnt() -> None:
    head, other = (build_network(spec(), 3, 0, number) for number in (1, 2))
    fit_standardisation(head, drawn(20, 96) + 3)
    assert {name for name, _ in head.named_parameters()}.isdisjoint({"shift", "scale"})
    load_weights(other, head.state_dict(), "m")
    assert torch.equal(other(drawn(4, 96))[1], head(drawn(4, 96))[1])


def test_a_whole_network_can_be_standardised_too() -> None:
    network = build_network(spec(train="all", hidden=0), 3, 0, 1)
    fit_standardisation(network, drawn(20, 96) + 3)
    assert isinstance(network, Network)
    torch.testing.assert_close(network.head.shift, (drawn(20, 96) + 3).mean(dim=0))


def test_weights_that_do_not_fit_are_named_by_what_is_wrong() -> None:
    head = build_network(spec(hidden=0), 3, 0, 1)
    before = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    tensors = dict(head.state_dict())
    del tensors["last.bias"]
    tensors |= {"neck.0.weight": torch.zeros(2), "last.weight": torch.zeros(4, 96)}
    with pytest.raises(DataError) as caught:
        load_weights(head, tensors, "model.safetensors")
    assert str(caught.value) == (
        "model.safetensors: the weights do not fit (missing: last.bias; unknown: neck.0.weight; "
        "of another shape: last.weight)"
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in head.state_dict().items())


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"last.weight": torch.zeros(4, 96)}, "of another shape: last.weight"),
        ({"extra": torch.zeros(1)}, "unknown: extra"),
    ],
)
def test_one_thing_amiss_is_enough_to_refuse_weights(changed: dict[str, Tensor], told: str) -> None:
    head = build_network(spec(hidden=0), 3, 0, 1)
    with pytest.raises(DataError) as caught:
        load_weights(head, head.state_dict() | changed, "m")
    assert str(caught.value) == f"m: the weights do not fit ({told})"


def test_many_names_that_do_not_fit_are_counted() -> None:
    head = build_network(spec(hidden=0), 3, 0, 1)
    with pytest.raises(DataError, match=r"\(missing: shift, scale, last\.weight and 1 more\)"):
        load_weights(head, {}, "m")
