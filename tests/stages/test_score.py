"""Score says of each sample how unsure the network is and what it makes of the label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from torch import nn

from schemas.checkpoint import NetworkSpec
from stages.report import SilentReport
from stages.score import ScoreConfig, ScoreOutputs, run
from stages.training.inputs import FeatureInputs
from stages.training.network import build_network

FEATURES = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
ROWS, LABELS = torch.tensor([3, 19, 0, 7, 8, 2]), np.array([0, 1, 2, 0, 1, 2])


def heads() -> list[nn.Module]:
    colours = {"mean": (0.5,) * 3, "std": (0.2,) * 3, "feature_width": 5}
    shape = {"backbone": "test_resnet", "train": "head", "hidden": 4, "dropout": 0.5, "image_size": 16}
    return [build_network(NetworkSpec.model_validate(shape | colours), 3, 0, number) for number in (1, 2)]


def score(rows: torch.Tensor = ROWS, labels: Any = LABELS, **options: Any) -> ScoreOutputs:
    config = ScoreConfig.model_validate({"device": "cpu", "precision": "float32"} | options)
    return run(config, heads(), FeatureInputs(FEATURES, torch.device("cpu")), rows, labels, SilentReport())


@pytest.mark.parametrize("networks", ["first", "both"])
def test_the_posterior_is_that_of_the_networks_asked_for(networks: str) -> None:
    used = heads()[: 1 if networks == "first" else 2]
    with torch.no_grad():
        logits = torch.stack([head.eval()(FEATURES[ROWS])[1] for head in used]).sum(dim=0)
    found = score(networks=networks)
    np.testing.assert_allclose(found.posterior, logits.softmax(dim=1).numpy(), atol=1e-6)
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1, atol=1e-12)
    assert found.facts["networks"] == len(used)


def test_columns_follow_from_the_posterior_and_the_label() -> None:
    found = score()
    ranked = np.sort(found.posterior, axis=1)
    np.testing.assert_allclose(found.columns["entropy"], entropy(found.posterior, axis=1), atol=1e-12)
    np.testing.assert_allclose(found.columns["least_confidence"], 1 - ranked[:, -1], atol=1e-12)
    np.testing.assert_allclose(found.columns["margin"], ranked[:, -1] - ranked[:, -2], atol=1e-12)
    np.testing.assert_allclose(found.columns["loss"], -np.log(found.posterior[np.arange(6), LABELS]), atol=1e-12)
    assert found.predicted.tolist() == found.posterior.argmax(axis=1).tolist()
    assert found.facts["disagrees_with_label"] == pytest.approx((found.predicted != LABELS).mean())
    assert found.facts["samples"] == 6


def test_embeddings_are_network_ones_and_a_row_a_sample() -> None:
    assert score().embeddings.shape == (6, 4)
    assert torch.equal(score(networks="both").embeddings, score(networks="first").embeddings)


def test_a_samples_score_does_not_depend_on_the_others() -> None:
    order = torch.tensor([5, 0, 3, 1, 4, 2])
    turned = score(ROWS[order], LABELS[order.numpy()])
    np.testing.assert_allclose(turned.posterior, score().posterior[order.numpy()], atol=1e-6)
