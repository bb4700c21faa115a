"""Score says of each sample how unsure the network is and what it makes of the label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import entropy
from torch import nn

from schemas.checkpoint import NetworkSpec
from schemas.errors import NothingToDoError
from stages.methods import label_quality, uncertainty
from stages.methods.neighbours import neighbour_disagreement
from stages.methods.randomness import numpy_generator
from stages.methods.transition_model import UNKNOWN
from stages.report import NoStore, Report, SilentReport, Store
from stages.score import ScoreConfig, ScoreInputs, ScoreOutputs, run
from stages.training.backbones import build_backbone
from stages.training.folds import Teaching
from stages.training.inputs import FeatureInputs, FeatureRows, ImageInputs
from stages.training.learning import Examples
from stages.training.network import Head, Network, build_network
from stages.training.noise_watch import LabelEvidence
from stages.training.recipe import MethodOptions

CPU = torch.device("cpu")
FEATURES = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
IMAGES = torch.randint(0, 256, (20, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
ROWS, LABELS = torch.tensor([3, 19, 0, 7, 8, 2]), np.array([0, 1, 2, 0, 1, 2])


def spec(width: int = 5) -> NetworkSpec:
    colours = {"mean": (0.5,) * 3, "std": (0.2,) * 3, "feature_width": width}
    shape = {"backbone": "test_resnet", "train": "head", "hidden": 4, "dropout": 0.5, "image_size": 16}
    return NetworkSpec.model_validate(shape | colours)


def heads(count: int = 2, width: int = 5) -> list[nn.Module]:
    return [build_network(spec(width), 3, 0, number) for number in range(1, count + 1)]


def given_inputs(**changed: Any) -> ScoreInputs:
    return ScoreInputs(**{"networks": heads(), "inputs": FeatureInputs(FEATURES, CPU), "rows": ROWS} | changed)


def score(report: Report | None = None, *, changed: dict[str, Any] | None = None, **options: Any) -> ScoreOutputs:
    config = ScoreConfig.model_validate({"device": "cpu", "precision": "float32"} | options)
    return run(config, given_inputs(**{"labels": LABELS} | (changed or {})), report or SilentReport())


@pytest.mark.parametrize("networks", ["first", "both"])
def test_the_posterior_is_that_of_the_networks_asked_for(networks: str) -> None:
    used = heads()[: 1 if networks == "first" else 2]
    with torch.no_grad():
        logits = torch.stack([head.eval()(FEATURES[ROWS])[1] for head in used]).sum(dim=0)
    found = score(networks=networks)
    np.testing.assert_allclose(found.posterior, logits.softmax(dim=1).numpy(), atol=1e-6)
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1, atol=1e-12)
    assert found.facts["networks"] == len(used)


@pytest.mark.parametrize("networks", ["first", "both"])
@pytest.mark.parametrize("views", ["none", "dihedral"])
@given(st.lists(st.integers(0, 2), min_size=6, max_size=6))
@settings(max_examples=10, deadline=None)
def test_columns_follow_from_the_posterior_and_the_label(networks: str, views: str, labels: list[int]) -> None:
    label = np.array(labels)
    whole = [Network(build_backbone("test_resnet", 0), head) for head in _heads_of(96)]
    images = ImageInputs(IMAGES, spec(96), CPU, "none")
    changed = {"labels": label, "networks": whole, "inputs": images}
    found = score(changed=changed, networks=networks, test_time_augmentation=views)
    posterior, ranked = found.posterior, np.sort(found.posterior, axis=1)
    own = posterior[np.arange(6), label]
    np.testing.assert_allclose(found.columns["entropy"], entropy(posterior, axis=1), atol=1e-12)
    np.testing.assert_allclose(found.columns["least_confidence"], 1 - ranked[:, -1], atol=1e-12)
    np.testing.assert_allclose(found.columns["margin"], ranked[:, -1] - ranked[:, -2], atol=1e-12)
    np.testing.assert_allclose(found.columns["loss"], -np.log(own), atol=1e-12)
    np.testing.assert_allclose(found.columns["self_confidence"], own, atol=1e-12)
    for name in ("normalised_margin", "cross_entropy_less_entropy", "confidence_weighted_entropy"):
        np.testing.assert_array_equal(found.columns[name], getattr(label_quality, name)(posterior, label))
    assert found.predicted.tolist() == posterior.argmax(axis=1).tolist()
    assert found.facts["disagrees_with_label"] == pytest.approx((found.predicted != label).mean())
    assert found.facts["mean_entropy"] == pytest.approx(entropy(posterior, axis=1).mean())
    assert found.facts["samples"] == 6
    assert found.facts["out_of_sample"] is False


def _heads_of(width: int) -> list[Head]:
    return [head for head in heads(2, width) if isinstance(head, Head)]


@pytest.mark.parametrize("networks", ["first", "both"])
def test_what_each_of_two_networks_says_makes_disagreement_and_peer_label(networks: str) -> None:
    with torch.no_grad():
        own = [head.eval()(FEATURES[ROWS])[1].double().softmax(dim=1).numpy() for head in heads()]
    found = score(networks=networks)
    np.testing.assert_allclose(found.columns["disagreement"], uncertainty.disagreement(*own), atol=1e-6)
    assert (found.columns["disagreement"] > 1e-4).any()
    assert found.peer is not None
    assert found.peer.tolist() == own[1].argmax(axis=1).tolist()
    assert found.peer.tolist() != own[0].argmax(axis=1).tolist()


def test_one_network_has_no_peer_to_disagree_with() -> None:
    found = score(changed={"networks": heads(1)}, networks="both")
    assert found.peer is None
    assert "disagreement" not in found.columns
    assert found.facts["networks"] == 1


def test_embeddings_are_network_ones_and_a_row_a_sample() -> None:
    assert score().embeddings.shape == (6, 4)
    assert torch.equal(score(networks="both").embeddings, score(networks="first").embeddings)
    with torch.no_grad():
        torch.testing.assert_close(score().embeddings, heads()[0].eval()(FEATURES[ROWS])[0])


def test_a_samples_score_does_not_depend_on_the_others() -> None:
    order = torch.tensor([5, 0, 3, 1, 4, 2])
    turned = score(changed={"rows": ROWS[order], "labels": LABELS[order.numpy()]})
    np.testing.assert_allclose(turned.posterior, score().posterior[order.numpy()], atol=1e-6)
    for name, column in score().columns.items():
        np.testing.assert_allclose(turned.columns[name], column[order.numpy()], atol=1e-6)


def test_dropout_decides_bald_and_nothing_else() -> None:
    without, some, other = score(dropout_passes=0), score(dropout_passes=9), score(dropout_passes=9, dropout_rate=0.8)
    assert set(some.columns) - set(without.columns) == {"bald"}
    assert not np.allclose(some.columns["bald"], other.columns["bald"])
    for name, column in without.columns.items():
        assert np.array_equal(column, some.columns[name])
        assert np.array_equal(column, other.columns[name])
    assert np.array_equal(without.posterior, some.posterior)


@pytest.mark.parametrize("count", [1, 3, 5, 100])
def test_neighbours_are_counted_among_the_samples_scored(count: int) -> None:
    found = score(neighbours=count)
    generator = numpy_generator(0, "neighbours")
    wanted = neighbour_disagreement(found.embeddings, LABELS, count, generator)
    assert np.array_equal(found.columns["neighbour_disagreement"], wanted)
    if count >= 5:
        np.testing.assert_allclose(found.columns["neighbour_disagreement"], 4 / 5)


def test_no_neighbours_leave_their_column_out() -> None:
    assert set(score().columns) - set(score(neighbours=0).columns) == {"neighbour_disagreement"}


@pytest.mark.parametrize("views", ["none", "flip", "dihedral"])
def test_heads_on_a_frozen_backbone_are_asked_about_images_through_it(views: str) -> None:
    backbone = build_backbone("test_resnet", 0)
    images = ImageInputs(IMAGES, spec(96), CPU, "none")
    through = score(
        changed={"networks": heads(2, 96), "inputs": images, "frozen": backbone}, test_time_augmentation=views
    )
    whole = [Network(backbone, head) for head in _heads_of(96)]
    by_hand = score(changed={"networks": whole, "inputs": images}, test_time_augmentation=views)
    np.testing.assert_array_equal(through.posterior, by_hand.posterior)
    if views == "none":
        with torch.no_grad():
            features = backbone.eval()(images.batch(torch.arange(20), None))
        alone = score(changed={"networks": heads(2, 96), "inputs": FeatureInputs(features, CPU)})
        np.testing.assert_allclose(through.posterior, alone.posterior, atol=1e-5)
        np.testing.assert_allclose(through.columns["bald"], alone.columns["bald"], atol=1e-5)


# --- out of sample ---------------------------------------------------------------------------------------------------


def teaching(method: str = "coteaching") -> Teaching:
    tiny = {"epochs": 2, "batch_size": 4, "learning_rate": 0.1, "num_gradual": 1, "precision": "float32"}
    labels = torch.from_numpy(LABELS)
    examples = Examples(FeatureInputs(FEATURES, CPU), ROWS, labels, ROWS[:0], labels[:0], 3)
    options = MethodOptions.model_validate(tiny | {"method": method})
    known = LabelEvidence(LABELS, np.full(6, UNKNOWN), np.array([0, 0, 1, 1, 2, 2]), FeatureRows(FEATURES, ROWS))
    return Teaching(options, spec(), examples, known, {})


def test_out_of_sample_the_posterior_is_the_folds_and_the_embeddings_are_the_checkpoints() -> None:
    asked: list[int] = []

    def store(fold: int) -> Store:
        asked.append(fold)
        return NoStore()

    usual = score(neighbours=2)
    found = score(changed={"teaching": teaching(), "store": store}, cross_validate=2, neighbours=2)
    assert asked == [0, 1]
    assert torch.equal(found.embeddings, usual.embeddings)
    assert np.array_equal(found.columns["neighbour_disagreement"], usual.columns["neighbour_disagreement"])
    assert not np.allclose(found.posterior, usual.posterior)
    assert not np.allclose(found.columns["bald"], usual.columns["bald"])
    assert not np.allclose(found.columns["disagreement"], usual.columns["disagreement"])
    np.testing.assert_allclose(found.columns["entropy"], entropy(found.posterior, axis=1), atol=1e-12)
    np.testing.assert_array_equal(found.columns["loss"], uncertainty.given_loss(found.posterior, LABELS))
    assert found.predicted.tolist() == found.posterior.argmax(axis=1).tolist()
    assert found.facts["out_of_sample"] is True


def test_a_method_of_one_network_leaves_no_peer_out_of_sample() -> None:
    found = score(changed={"teaching": teaching("cross-entropy")}, cross_validate=2, networks="both")
    assert found.peer is None
    assert "disagreement" not in found.columns
    assert found.facts["networks"] == 1


def test_fewer_groups_than_folds_are_nothing_to_do() -> None:
    with pytest.raises(NothingToDoError) as refused:
        score(changed={"teaching": teaching()}, cross_validate=4)
    assert str(refused.value) == "3 groups of training samples cannot make 4 folds"


@pytest.mark.parametrize(
    "wrong",
    [
        {"cross_validate": 1},
        {"cross_validate": -1},
        {"cross_validate": 51},
        {"cross_validate_epochs": 0},
        {"test_time_augmentation": "rotate"},
        {"dropout_passes": -1},
        {"dropout_rate": 0},
        {"dropout_rate": 1},
        {"neighbours": -1},
        {"networks": "second"},
        {"split": "all"},
    ],
)
def test_an_option_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ScoreConfig.model_validate(wrong)


def test_more_folds_than_any_class_has_samples_is_nothing_to_do() -> None:
    with pytest.raises(NothingToDoError) as caught:
        score(changed={"teaching": teaching()}, cross_validate=3)
    assert str(caught.value) == "the largest class has 2 training samples, too few for 3 folds"
