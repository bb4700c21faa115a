"""Weights by class are one on average over the samples; the prior is the share of labels."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from stages.methods.class_imbalance import class_weights, log_prior

LABEL = torch.tensor([0] * 80 + [1] * 15 + [2] * 5)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABEL.numpy())
    found = class_weights(LABEL, 3, "balanced")
    assert found is not None
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-6)


def test_effective_numbers_weigh_by_cui_et_al() -> None:
    found = class_weights(LABEL, 3, "effective-number")
    assert found is not None
    raw = [(1 - 0.999) / (1 - 0.999**count) for count in (80, 15, 5)]
    assert (found / found[0]).tolist() == pytest.approx([value / raw[0] for value in raw], rel=1e-5)


@pytest.mark.parametrize("scheme", ["balanced", "effective-number"])
def test_weights_are_one_on_average_over_the_samples(scheme: Literal["balanced", "effective-number"]) -> None:
    found = class_weights(LABEL, 3, scheme)
    assert found is not None
    assert float(found[LABEL].mean()) == pytest.approx(1.0, rel=1e-6)


def test_no_weights_are_none() -> None:
    assert class_weights(LABEL, 3, "none") is None


def test_the_prior_is_the_share_of_labels_and_a_class_without_any_counts_as_having_one() -> None:
    assert log_prior(LABEL, 4).exp().tolist() == pytest.approx([0.8, 0.15, 0.05, 0.01], rel=1e-6)
    found = class_weights(LABEL, 4, "balanced")
    assert found is not None
    assert bool(torch.isfinite(found).all())
