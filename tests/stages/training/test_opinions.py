"""Networks are asked every way without being changed, and what they say of one sample is of that sample alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import entropy
from torch import Tensor, nn

from schemas.checkpoint import NetworkSpec
from stages.report import SilentReport
from stages.training.inputs import FeatureInputs, ImageInputs, Inputs
from stages.training.network import Head, Network, build_network
from stages.training.opinions import Asking, Opinions, Views, opinions, views
from stages.training.randomness import torch_generator

CPU = torch.device("cpu")
SPEC = NetworkSpec(
    backbone="test_resnet",
    train="all",
    hidden=12,
    dropout=0.5,
    image_size=16,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
    feature_width=96,
)
IMAGES = torch.randint(0, 256, (13, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
FEATURES = 2 * torch.randn(13, 96, generator=torch.Generator().manual_seed(1))
ROWS = torch.tensor([3, 12, 0, 7, 5, 8, 1])
ASKING = Asking("none", 7, 0.3, 5, CPU, "float32")


def spread(network: nn.Module) -> nn.Module:
    """Make the last layer's weights large, so that the posteriors are far apart."""
    head = network.head if isinstance(network, Network) else network
    assert isinstance(head, Head)
    with torch.no_grad():
        head.last.weight.mul_(8)
    return network


def heads(count: int = 2) -> list[nn.Module]:
    spec = SPEC.model_copy(update={"train": "head"})
    return [spread(build_network(spec, 3, 0, number)).train() for number in range(1, count + 1)]


def whole(count: int = 2) -> list[nn.Module]:
    return [spread(build_network(SPEC, 3, 0, number)).train() for number in range(1, count + 1)]


def ask(networks: list[nn.Module], used: int = 1, rows: Tensor = ROWS, **changed: Any) -> Opinions:
    is_head = isinstance(networks[0], Head)
    inputs: Inputs = FeatureInputs(FEATURES, CPU) if is_head else ImageInputs(IMAGES, SPEC, CPU, "paper")
    return opinions(networks, used, inputs, rows, replace(ASKING, **changed), SilentReport())


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def drawn(index: int, width: int, asking: Asking) -> NDArray[np.float64]:
    """The masks of one network, (T, H): as many whole draws as passes, what is kept scaled up."""
    generator = torch_generator(asking.seed, "dropout", index)
    kept = torch.rand(asking.passes, width, generator=generator).numpy() >= asking.dropout
    return np.asarray(kept / (1 - asking.dropout))


def naive_bald(networks: list[nn.Module], asking: Asking) -> NDArray[np.float64]:
    """BALD by its definition: entropy of the mean over the draws, less the mean of their entropies."""
    by_draw = []
    masks = [drawn(index, 12, asking) for index in range(len(networks))]
    for draw in range(asking.passes):
        logits = np.zeros((len(ROWS), 3))
        for network, mask in zip(networks, masks, strict=True):
            assert isinstance(network, Head)
            with torch.no_grad():
                features = network.eval()(FEATURES[ROWS])[0].double().numpy()
            weight, bias = (tensor.detach().double().numpy() for tensor in (network.last.weight, network.last.bias))
            logits += (features * mask[draw]) @ weight.T + bias
        by_draw.append(softmax(logits))
    posterior = np.stack(by_draw)
    return np.asarray(entropy(posterior.mean(axis=0), axis=1) - entropy(posterior, axis=2).mean(axis=0))


@pytest.mark.parametrize("used", [1, 2])
@pytest.mark.parametrize(("passes", "dropout", "seed"), [(1, 0.5, 0), (7, 0.3, 5), (30, 0.8, 2)])
def test_bald_is_that_of_explicit_masks(used: int, passes: int, dropout: float, seed: int) -> None:
    networks = heads()
    found = ask(networks, used, passes=passes, dropout=dropout, seed=seed).bald
    assert found is not None
    wanted = naive_bald(networks[:used], replace(ASKING, passes=passes, dropout=dropout, seed=seed))
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert (found >= 0).all()
    assert (found > 1e-3).any() or passes == 1


def test_one_draw_alone_tells_nothing() -> None:
    found = ask(heads(), passes=1).bald
    assert found is not None
    np.testing.assert_allclose(found, 0, atol=1e-12)


@pytest.mark.parametrize("make", [heads, whole])
def test_asking_leaves_every_tensor_as_it_was_and_no_module_in_training(make: Any) -> None:
    networks = make()
    before = [{name: tensor.clone() for name, tensor in one.state_dict().items()} for one in networks]
    if make is whole:
        assert any("running_mean" in name for name in before[0])
        assert any("num_batches_tracked" in name for name in before[0])
    ask(networks, 2, views="none" if make is heads else "dihedral")
    for network, tensors in zip(networks, before, strict=True):
        assert list(network.state_dict()) == list(tensors)
        assert all(torch.equal(tensor, tensors[name]) for name, tensor in network.state_dict().items())
        assert not any(module.training for module in network.modules())


def test_asking_draws_nothing_from_the_global_generator() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    ask(whole(), 2, views="flip")
    assert torch.equal(torch.rand(4), wanted)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=13, unique=True), st.integers(1, 14))
@settings(max_examples=20, deadline=None)
def test_what_is_said_of_a_sample_depends_on_no_other_and_not_on_the_batch(rows: list[int], batch: int) -> None:
    everything = ask(heads(), 2, torch.arange(13))
    found = ask(heads(), 2, torch.tensor(rows), batch=batch)
    assert everything.bald is not None
    assert found.bald is not None
    np.testing.assert_allclose(found.bald, everything.bald[rows], atol=1e-6)
    np.testing.assert_allclose(found.posterior, everything.posterior[rows], atol=1e-6)
    np.testing.assert_allclose(found.by_network, everything.by_network[:, rows], atol=1e-6)
    torch.testing.assert_close(found.embeddings, everything.embeddings[rows], rtol=1e-5, atol=1e-5)


def test_no_draws_leave_bald_out_and_change_nothing_else() -> None:
    without, few, many = (ask(heads(), 2, passes=passes) for passes in (0, 2, 40))
    assert without.bald is None
    assert few.bald is not None
    assert many.bald is not None
    assert not np.allclose(few.bald, many.bald)
    for other in (few, many, ask(heads(), 2, dropout=0.9), ask(heads(), 2, seed=9)):
        assert np.array_equal(without.posterior, other.posterior)
        assert np.array_equal(without.by_network, other.by_network)
        assert torch.equal(without.embeddings, other.embeddings)


def test_bald_is_the_seeds_alone() -> None:
    first, again, other = (ask(heads(), seed=seed).bald for seed in (0, 0, 1))
    assert np.array_equal(first, again)  # type: ignore[arg-type]
    assert not np.allclose(first, other)  # type: ignore[arg-type]


def test_the_two_networks_are_drawn_for_apart() -> None:
    same = heads(1) * 2
    both, alone = ask(same, 2, passes=60), ask(same, 1, passes=60)
    assert both.bald is not None
    wanted = naive_bald(same, replace(ASKING, passes=60))
    np.testing.assert_allclose(both.bald, wanted, atol=1e-6)
    assert not np.allclose(drawn(0, 12, ASKING), drawn(1, 12, ASKING))
    assert alone.bald is not None
    assert not np.allclose(both.bald, alone.bald)


@pytest.mark.parametrize("used", [1, 2])
def test_the_posterior_is_of_the_summed_logits_and_each_network_has_its_own(used: int) -> None:
    networks = heads()
    with torch.no_grad():
        logits = torch.stack([network.eval()(FEATURES[ROWS])[1] for network in networks]).numpy()
    found = ask(networks, used)
    np.testing.assert_allclose(found.posterior, softmax(logits[:used].sum(axis=0)), atol=1e-6)
    np.testing.assert_allclose(found.by_network, softmax(logits), atol=1e-6)
    for posterior in (found.posterior, found.by_network):
        assert posterior.dtype == np.float64
        np.testing.assert_allclose(posterior.sum(axis=-1), 1, atol=1e-14)


def by_hand(which: Views) -> list[Tensor]:
    """The batches of the views, made of the pixels with numpy."""
    pixels = IMAGES[ROWS].numpy()  # (B, H, W, 3)
    quarters = {"none": [0], "flip": [0], "dihedral": [0, 1, 2, 3]}[which]
    shown = []
    for quarter in quarters:
        turned = np.rot90(pixels, quarter, (1, 2))
        shown += [turned] if which == "none" else [turned, turned[:, :, ::-1]]
    return [(torch.from_numpy(one.copy()).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25 for one in shown]


@pytest.mark.parametrize(("which", "count"), [("none", 1), ("flip", 2), ("dihedral", 8)])
@pytest.mark.parametrize("used", [1, 2])
def test_the_posterior_is_the_mean_over_the_views(which: Views, count: int, used: int) -> None:
    networks = whole()
    shown = by_hand(which)
    assert len(shown) == count
    with torch.no_grad():
        logits = np.stack([[one.eval()(view)[1].numpy() for one in networks] for view in shown])  # (V, M, B, K)
    found = ask(networks, used, views=which)
    np.testing.assert_allclose(found.posterior, softmax(logits[:, :used].sum(axis=1)).mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(found.by_network, softmax(logits).mean(axis=0), atol=1e-5)


def test_the_penultimate_features_and_bald_are_of_the_image_as_it_is() -> None:
    plain, turned = ask(whole(), 2), ask(whole(), 2, views="dihedral")
    assert torch.equal(plain.embeddings, turned.embeddings)
    assert np.array_equal(plain.bald, turned.bald)  # type: ignore[arg-type]
    assert not np.allclose(plain.posterior, turned.posterior, atol=1e-3)


def test_the_eight_views_are_the_dihedral_group_and_the_image_comes_first() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    found = views(image, "dihedral")
    assert torch.equal(found[0], image)
    assert len({tuple(view.flatten().tolist()) for view in found}) == 8
    for other in (image.rot90(1, (2, 3)), image.flip(2), image.transpose(2, 3)):
        assert {tuple(view.flatten().tolist()) for view in views(other, "dihedral")} == {
            tuple(view.flatten().tolist()) for view in found
        }
    assert [view.tolist() for view in views(image, "flip")] == [image.tolist(), image.flip(3).tolist()]
    assert [view.tolist() for view in views(image, "none")] == [image.tolist()]


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_with_all_eight_views_it_does_not_matter_how_an_image_is_turned(quarter: int) -> None:
    turned = torch.rot90(IMAGES, quarter, (1, 2)).contiguous()
    networks = whole()
    found, other = (
        opinions(networks, 2, ImageInputs(images, SPEC, CPU, "none"), ROWS, replace(ASKING, views="dihedral"), _SILENT)
        for images in (IMAGES, turned)
    )
    np.testing.assert_allclose(found.posterior, other.posterior, atol=1e-5)
    np.testing.assert_allclose(found.by_network, other.by_network, atol=1e-5)
    assert not np.allclose(ask(networks, 2).posterior, found.posterior, atol=1e-3)


_SILENT = SilentReport()


def test_progress_is_told_to_the_end() -> None:
    told: list[tuple[int, int, str, str]] = []

    class Listening(SilentReport):
        def progress(self, done: int, total: int, text: str = "", unit: str = "") -> None:
            told.append((done, total, text, unit))

    opinions(heads(), 1, FeatureInputs(FEATURES, CPU), ROWS, replace(ASKING, batch=3), Listening())
    assert told == [(done, 7, "scoring", "images") for done in (3, 6, 7)]
