"""Features read by rows are those of the rows, and their moments those of all together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stages.methods.noise_estimate import estimate_noise
from stages.methods.transition_model import UNKNOWN
from stages.training import inputs
from stages.training.inputs import FeatureRows, moments

WHOLE = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)) * 5 + 2
ROWS = torch.arange(1, 40, 2)


def test_rows_are_asked_for_by_place() -> None:
    some = FeatureRows(WHOLE, ROWS)
    assert len(some) == 20
    assert torch.equal(some[2:5], WHOLE[[5, 7, 9]])
    assert torch.equal(some[np.array([0, 19])], WHOLE[[1, 39]])
    assert torch.equal(some[torch.tensor([3])], WHOLE[[7]])


@pytest.mark.parametrize("at_once", [7, 20])
def test_moments_are_those_of_all_rows(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_AT_ONCE", at_once)
    mean, deviation = moments(FeatureRows(WHOLE, ROWS))
    assert torch.allclose(mean, WHOLE[ROWS].mean(dim=0))
    assert torch.allclose(deviation, WHOLE[ROWS].std(dim=0, correction=0))
    assert mean.dtype == deviation.dtype == torch.float32


def test_noise_is_estimated_from_rows_as_from_an_array() -> None:
    generator = np.random.default_rng(0)
    true = generator.integers(0, 2, 300)
    whole = torch.from_numpy(generator.normal(size=(300, 4)) + true[:, None] * 4).float()
    given = np.where(generator.random(300) < 0.2, 1 - true, true)
    rows = torch.arange(100, 300)
    unknown = np.full(200, UNKNOWN)
    found = [
        estimate_noise(features, given[100:], unknown, np.arange(200), 2, seed=0)
        for features in (whole[rows].numpy(), FeatureRows(whole, rows))
    ]
    assert found[0].rate == found[1].rate
    assert np.array_equal(found[0].truth, found[1].truth)
