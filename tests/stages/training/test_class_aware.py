"""The class-aware method learns what stands behind the labels, and judges them class by class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from schemas.checkpoint import NetworkSpec
from stages.methods.clean_floor import judge
from stages.methods.transition_model import UNKNOWN
from stages.report import NoStore, SilentReport, Store, Unfinished
from stages.training.class_aware import ClassAware, ClassAwareOptions, TruthLoss
from stages.training.fit import Fitted, fit
from stages.training.inputs import FeatureInputs
from stages.training.learning import Examples, Rule
from stages.training.network import build_network
from stages.training.noise_watch import LabelEvidence, NoiseWatch
from stages.training.plan import FitPlan
from stages.training.predict import predict

CPU = torch.device("cpu")
CLASSES, WIDTH = 3, 6
SIZES = (300, 120, 40)


def world() -> tuple[Tensor, Tensor, Tensor]:
    """Features that tell unequal classes apart, the true classes, and labels of which two in five are wrong."""
    generator = torch.Generator().manual_seed(0)
    true = torch.repeat_interleave(torch.arange(CLASSES), torch.tensor(SIZES))
    features = torch.randn(len(true), WIDTH, generator=generator)
    features[:, :CLASSES] += 3 * torch.nn.functional.one_hot(true)
    wrong = torch.rand(len(true), generator=generator) < 0.4
    other = (true + torch.randint(1, CLASSES, true.shape, generator=generator)) % CLASSES
    return features, true, torch.where(wrong, other, true)


FEATURES, TRUE, GIVEN = world()


def evidence(frozen: bool = True) -> LabelEvidence:
    count = len(GIVEN)
    return LabelEvidence(GIVEN.numpy(), np.full(count, UNKNOWN), np.arange(count), FEATURES if frozen else None)


def method(known: LabelEvidence, warm_up: int = 2, floor: float = 0.8, balance: float = 1.0) -> ClassAware:
    return ClassAware(ClassAwareOptions(warm_up, floor, balance), NoiseWatch(known, CLASSES, 0))


def loss_of(one: ClassAware) -> TruthLoss:
    return TruthLoss(one.watch, one.options.balance)


def network() -> nn.Module:
    shape = {"backbone": "test_resnet", "train": "head", "hidden": 16, "dropout": 0.0, "image_size": 16}
    colours = {"mean": (0.5,) * 3, "std": (0.2,) * 3, "feature_width": WIDTH}
    return build_network(NetworkSpec.model_validate(shape | colours), CLASSES, 0, 1)


def train(one: ClassAware, net: nn.Module, epochs: int = 8, store: Store | None = None) -> Fitted:
    rows = torch.arange(len(GIVEN))
    examples = Examples(FeatureInputs(FEATURES, CPU), rows, GIVEN, rows[:0], GIVEN[:0], CLASSES)
    plan = FitPlan(epochs, 32, 0.05, 0.9, 1e-4, 0, "float32", CPU)
    return fit([net], examples, Rule(one, loss_of(one)), plan, SilentReport(), store or NoStore())


def balanced_accuracy(net: nn.Module) -> float:
    said = predict([net], FeatureInputs(FEATURES, CPU), torch.arange(len(GIVEN)), CPU, "float32").posterior.argmax(1)
    return float(np.mean([float((said == TRUE)[index == TRUE].float().mean()) for index in range(CLASSES)]))


@pytest.mark.parametrize("frozen", [True, False])
def test_it_learns_the_true_classes_and_judges_the_labels(frozen: bool) -> None:
    one, net = method(evidence(frozen)), network()
    found = train(one, net)
    assert balanced_accuracy(net) > 0.93
    clean, right = one.judged or (np.zeros(0), np.zeros(0))
    truly = (GIVEN == TRUE).numpy()
    assert truly[clean].mean() > 0.9
    assert all(clean[truly & (TRUE.numpy() == index)].mean() > 0.7 for index in range(CLASSES))
    assert one.noise_rate_estimate == pytest.approx(0.4, abs=0.06)
    np.testing.assert_array_equal(clean, judge(right, GIVEN.numpy(), 0.8))
    estimates = [row["noise_rate_estimate"] for row in found.history]
    assert (estimates[0] is None) == (not frozen)
    assert estimates[1:] == [one.noise_rate_estimate] * 7


def test_plain_training_on_the_same_labels_learns_worse() -> None:
    longer, aware = network(), network()
    train(method(evidence()), aware, epochs=40)
    one = method(evidence(frozen=False), warm_up=99)
    train(one, longer, epochs=40)
    assert one.judged is None
    assert balanced_accuracy(longer) + 0.03 < balanced_accuracy(aware)


def test_kept_is_what_was_judged_and_all_is_learnt_from() -> None:
    one = method(evidence())
    found = train(one, network(), epochs=2)
    clean, _ = one.judged or (np.zeros(0), np.zeros(0))
    kept = found.signals[-1]["kept"]
    assert isinstance(kept, Tensor)
    assert kept[0].tolist() == clean.tolist()
    assert not clean.all()
    everything, picked = network(), network()
    train(method(evidence()), everything, epochs=2)
    only = method(evidence())
    only.learns_from_all = False
    train(only, picked, epochs=2)
    assert not torch.equal(next(everything.parameters()), next(picked.parameters()))


def test_targets_are_the_posterior_of_the_truth_and_the_prior_is_the_estimated_one() -> None:
    one = method(evidence())
    one.begin(0)
    truth = one.truth
    assert truth is not None
    places, logits = torch.tensor([3, 200, 450]), torch.randn(3, CLASSES)
    shares = truth.double().mean(0)
    expected = -(truth[places] * (logits + shares.log()).log_softmax(1)).sum(1)
    torch.testing.assert_close(loss_of(one).losses(0, places, logits, GIVEN[places]), expected.float())
    plain = method(evidence(), balance=0.0)
    plain.begin(0)
    expected = -(truth[places] * logits.log_softmax(1)).sum(1)
    torch.testing.assert_close(loss_of(plain).losses(0, places, logits, GIVEN[places]), expected)
    np.testing.assert_allclose(shares, np.array(SIZES) / sum(SIZES), atol=0.05)


def test_a_sample_that_an_expert_told_is_learnt_as_told_and_judged_clean() -> None:
    told = np.where(np.arange(len(GIVEN)) % 4 == 0, TRUE.numpy(), UNKNOWN)
    one = method(replace(evidence(), true=told))
    one.begin(0)
    clean, right = one.judged or (np.zeros(0), np.zeros(0))
    assert clean[told != UNKNOWN].all()
    assert (right[told != UNKNOWN] == 1).all()


class Kept:
    """A store that holds the last state, and can be asked to die after some saves."""

    def __init__(self, dies_after: int = 99) -> None:
        self.state: Unfinished | None = None
        self.left = dies_after

    def load(self) -> Unfinished | None:
        return self.state

    def save(self, state: Unfinished) -> dict[str, dict[str, Tensor]]:
        self.state = state
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return {}


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("killed_after", [1, 2, 3, 5])
def test_a_killed_run_goes_on_to_the_same_weights_and_the_same_judgement(killed_after: int, frozen: bool) -> None:
    whole, first = network(), method(evidence(frozen))
    train(first, whole)
    store = Kept(killed_after)
    with pytest.raises(KeyboardInterrupt):
        train(method(evidence(frozen)), network(), store=store)
    store.left = 99
    resumed, again = network(), method(evidence(frozen))
    found = train(again, resumed, store=store)
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )
    for one, other in zip(first.judged or (), again.judged or (), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.facts() == first.facts()
    assert torch.equal(again.tensors()["truth"], first.tensors()["truth"])
    assert len(found.history) == 8


def test_labels_of_one_class_are_learnt_as_they_are() -> None:
    one = method(replace(evidence(), given=np.zeros(len(GIVEN), dtype=np.int64)))
    train(one, network(), epochs=1)
    assert one.judged is None
    assert one.noise_rate_estimate is None
    assert one.facts() == {"noise": {}}
