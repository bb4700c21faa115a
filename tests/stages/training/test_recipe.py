"""A recipe says which networks a method starts from, and by which rule they learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from schemas.checkpoint import NetworkSpec
from schemas.errors import DataError
from stages.methods.transition_model import UNKNOWN
from stages.training.backbones import build_backbone
from stages.training.class_aware import ClassAware, TruthLoss
from stages.training.network import Head, Network
from stages.training.noise_watch import LabelEvidence
from stages.training.objective import EarlyLearning, Memoryless
from stages.training.picking import PickAll, PickSmallLoss
from stages.training.recipe import MethodOptions, rule, small_loss_options, start

SPEC = NetworkSpec(
    backbone="test_resnet",
    train="all",
    hidden=0,
    dropout=0.0,
    image_size=16,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
    feature_width=96,
)
METHODS = ["cross-entropy", "coteaching", "coteaching-vog", "class-aware", "sce", "gce", "elr", "scratch"]


def options(**given: Any) -> MethodOptions:
    return MethodOptions.model_validate(given)


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("method", METHODS)
def test_the_methods_that_pick_for_each_other_have_two_networks(method: str) -> None:
    assert options(method=method).networks == (2 if method in ("coteaching", "coteaching-vog") else 1)


def test_a_start_is_its_seeds_and_its_numbers_alone() -> None:
    first, again = (start(SPEC, 3, 0, 1, None, {}) for _ in range(2))
    assert same(first, again)
    assert not same(first, start(SPEC, 3, 0, 2, None, {}))
    assert not same(first, start(SPEC, 3, 1, 1, None, {}))


def test_a_start_takes_the_backbones_weights_and_keeps_its_own_head() -> None:
    weights = build_backbone("test_resnet", 9, "given").state_dict()
    fresh, filled = start(SPEC, 3, 0, 1, None, {}), start(SPEC, 3, 0, 1, None, weights)
    assert isinstance(fresh, Network)
    assert isinstance(filled, Network)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in filled.backbone.state_dict().items())
    assert not same(fresh.backbone, filled.backbone)
    assert same(fresh.head, filled.head)


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"^--weights: the weights do not fit \(missing: "):
        start(SPEC, 3, 0, 1, None, {"conv1.weight": torch.zeros(1)})


def test_a_head_starts_with_the_mean_and_deviation_of_what_it_learns_from() -> None:
    spec = SPEC.model_copy(update={"train": "head", "feature_width": 5})
    features = 3 + 2 * torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    head = start(spec, 3, 0, 1, features, {"unused": torch.zeros(1)})
    assert isinstance(head, Head)
    torch.testing.assert_close(head.shift, features.mean(dim=0))
    torch.testing.assert_close(head.scale, 1 / features.std(dim=0, correction=0))


@pytest.mark.parametrize("method", METHODS)
def test_each_method_has_its_rule(method: str) -> None:
    found = rule(options(method=method), evidence(20), 3)
    special = {"coteaching": PickSmallLoss, "coteaching-vog": PickSmallLoss, "class-aware": ClassAware}
    assert isinstance(found.picker, special.get(method, PickAll))
    learns_by = {"elr": EarlyLearning, "class-aware": TruthLoss}
    assert isinstance(found.objective, learns_by.get(method, Memoryless))


def evidence(samples: int) -> LabelEvidence:
    given = np.arange(samples) % 3
    return LabelEvidence(given, np.full(samples, UNKNOWN), np.arange(samples), None)


def losses_of(**given: Any) -> torch.Tensor:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.5]])
    found = rule(options(**given), evidence(2), 3).objective.losses(0, torch.arange(2), logits, torch.tensor([1, 1]))
    return found.detach()


@pytest.mark.parametrize(
    ("method", "changed"), [("sce", {"sce_alpha": 2.0}), ("sce", {"sce_beta": 0.0}), ("gce", {"gce_q": 0.2})]
)
def test_the_options_of_a_loss_reach_it(method: str, changed: dict[str, float]) -> None:
    assert not torch.allclose(losses_of(method=method), losses_of(method=method, **changed))
    torch.testing.assert_close(losses_of(method="cross-entropy"), losses_of(method="coteaching"))


def test_only_the_mixed_method_picks_by_variance_of_gradients() -> None:
    assert small_loss_options(options(method="coteaching", mix_ratio=0.4)).mix_ratio == 0
    assert small_loss_options(options(method="coteaching-vog", mix_ratio=0.4)).mix_ratio == 0.4


def test_the_forget_rate_is_estimated_unless_it_is_told() -> None:
    assert small_loss_options(options()).noise_rate is None
    found = small_loss_options(options(forget_rate=0.3, num_gradual=4, exponent=2, all_activations=True))
    assert (found.noise_rate, found.num_gradual, found.exponent) == (0.3, 4, 2.0)
    assert (found.all_classes, found.gradients) == (True, "training-pass")


@pytest.mark.parametrize(("epochs", "after", "warm_up"), [(1, 1, 1), (2, 1, 1), (5, 2, 2), (6, 3, 3), (50, 3, 10)])
def test_the_noise_is_looked_at_no_later_than_half_way(epochs: int, after: int, warm_up: int) -> None:
    assert small_loss_options(options(epochs=epochs)).look_after == after
    picker = rule(options(method="class-aware", epochs=epochs), evidence(6), 3).picker
    assert isinstance(picker, ClassAware)
    assert picker.options.warm_up == warm_up


@pytest.mark.parametrize("wrong", [{"logit_adjustment": 1.0}, {"class_weights": "balanced"}])
def test_class_aware_is_not_evened_out_twice(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="evens out the classes by the shares that it estimates"):
        options(method="class-aware", **wrong)
    assert options(method="cross-entropy", **wrong)


@pytest.mark.parametrize(
    ("told", "meant"),
    [("CE", "cross-entropy"), ("Co_Teaching", "coteaching"), ("generalized-cross-entropy", "gce"), ("SCE", "sce")],
)
def test_a_method_is_known_in_any_spelling(told: str, meant: str) -> None:
    assert options(method=told).method == meant


@pytest.mark.parametrize("wrong", [{"method": "magic"}, {"method": 3}, {"forget_rate": 1.0}, {"forget_rate": -0.1}])
def test_an_option_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options(**wrong)
