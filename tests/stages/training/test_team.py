"""Several processes train as one would: the same picks, the same weights but for rounding, each sample kept once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.layers import BatchNormAct2d, DropPath
from torch import Tensor, nn

from schemas.checkpoint import NetworkSpec
from schemas.errors import UsageError
from stages.methods.transition_model import UNKNOWN
from stages.report import Array, NoStore, SilentReport, Unfinished
from stages.training.fit import Fitted, fit
from stages.training.inputs import FeatureInputs, ImageInputs
from stages.training.learning import Examples, Rule
from stages.training.network import build_network
from stages.training.noise_watch import LabelEvidence, NoiseWatch
from stages.training.objective import EarlyLearning, Memoryless, Objective
from stages.training.picking import PickAll, Picker, PickSmallLoss, SmallLossOptions
from stages.training.plan import FitPlan
from stages.training.predict import predict
from stages.training.synchronised import WholeBatch
from stages.training.team import Team, sum_over_team
from tests.processes import together

CPU = torch.device("cpu")
COUNT, WIDTH, CLASSES = 45, 6, 3
"""Samples that two processes cannot share evenly, in batches of which some are of odd length."""


def spec(train: str, dropout: float = 0.0) -> NetworkSpec:
    colours = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    width = WIDTH if train == "head" else 96
    fixed = {"backbone": "test_resnet", "train": train, "hidden": 5, "dropout": dropout, "image_size": 16}
    return NetworkSpec.model_validate(fixed | colours | {"feature_width": width})


def examples(train: str = "head") -> Examples:
    generator = torch.Generator().manual_seed(0)
    labels, rows = torch.arange(COUNT + 12) % CLASSES, torch.arange(COUNT + 12)
    features = torch.randn(COUNT + 12, WIDTH, generator=generator)
    features[:, :CLASSES] += 2 * nn.functional.one_hot(labels)
    noisy = torch.where(torch.rand(COUNT, generator=generator) < 0.3, (labels[:COUNT] + 1) % CLASSES, labels[:COUNT])
    images = torch.randint(0, 256, (COUNT + 12, 16, 16, 3), generator=generator, dtype=torch.uint8)
    inputs = FeatureInputs(features, CPU) if train == "head" else ImageInputs(images, spec(train), CPU, "light")
    return Examples(inputs, rows[:COUNT], noisy, rows[COUNT:], labels[COUNT:], CLASSES)


def plan(**changed: Any) -> FitPlan:
    usual: dict[str, Any] = {"epochs": 8, "batch_size": 12, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 1e-3}
    return FitPlan(**(usual | {"seed": 0, "precision": "float32", "device": CPU} | changed))


def mixed() -> PickSmallLoss:
    """Small loss and variance of gradients, the noise rate not told."""
    given, told = np.arange(COUNT) % CLASSES, np.full(COUNT, UNKNOWN)
    watch = NoiseWatch(LabelEvidence(given, told, np.arange(COUNT), None), CLASSES, 0)
    return PickSmallLoss(SmallLossOptions(None, 2, 1.0, 0.4, all_classes=False, look_after=2), watch)


class Memory:
    """Keeps states in memory, and counts how often it was asked to."""

    def __init__(self, last: Unfinished | None = None) -> None:
        self.last, self.saved = last, 0

    def load(self) -> Unfinished | None:
        return self.last

    def save(self, state: Unfinished) -> Mapping[str, Mapping[str, Array]]:
        before = {} if self.last is None else self.last.parts
        fixed = {name: part for name, part in before.items() if name.startswith("epoch-") and name in state.parts}
        parts = {name: {n: torch.as_tensor(t).clone() for n, t in p.items()} for name, p in state.parts.items()}
        self.last, self.saved = Unfinished(state.epochs, state.facts, {**parts, **fixed}), self.saved + 1
        return {}


def tensors(networks: list[nn.Module]) -> dict[str, Tensor]:
    return {f"{n}.{name}": t.clone() for n, one in enumerate(networks) for name, t in one.state_dict().items()}


def trained(
    how: FitPlan | None = None,
    picker: Picker | None = None,
    objective: Objective | None = None,
    train: str = "head",
    dropout: float = 0.0,
    store: Any = None,
) -> tuple[Fitted, dict[str, Tensor]]:
    networks = [build_network(spec(train, dropout), CLASSES, 0, number) for number in (1, 2)]
    how = how or plan()
    rule = Rule(picker or mixed(), objective or Memoryless())
    fitted = fit(networks, examples(train), rule, how, SilentReport(), store or NoStore())
    return fitted, tensors(networks)


def close(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(other[name].float(), tensor.float(), rtol=tolerance, atol=tolerance, msg=name)


def shares(count: int, size: int) -> list[int]:
    return [row for rank in range(size) for row in range(count)[Team(rank, size).share(count)]]


@given(st.integers(0, 300), st.integers(1, 9))
def test_shares_are_runs_of_nearly_equal_length_that_go_round(count: int, size: int) -> None:
    assert shares(count, size) == list(range(count))
    lengths = [len(range(count)[Team(rank, size).share(count)]) for rank in range(size)]
    assert max(lengths) - min(lengths) <= 1


def _gathered() -> list[Any]:
    team = Team.current()
    whole = torch.arange(22).reshape(11, 2)
    own = whole[team.share(11)]
    collected = team.collect(own, 11)
    told = team.of_first(lambda: f"made by {team.rank}")
    return [team.gather(own, 11), collected, told, team.all(True), team.all(team.rank == 1)]


def test_rows_that_lie_with_three_processes_come_together_in_order() -> None:
    whole = torch.arange(22).reshape(11, 2)
    for rank, (gathered, collected, told, everyone, one) in enumerate(together(3, _gathered)):
        assert torch.equal(gathered, whole)
        assert torch.equal(collected, whole) if rank == 0 else collected is None
        assert (told, everyone, one) == ("made by 0", True, False)


def _summed() -> tuple[Tensor, Tensor]:
    x = torch.tensor([1.0, 2.0]) * (1 + Team.current().rank)
    x.requires_grad_()
    total = sum_over_team(x)
    (total.square().sum() / 2).backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return total.detach(), x.grad


def test_the_gradient_of_a_sum_over_processes_comes_back_to_each_from_all() -> None:
    for total, gradient in together(2, _summed):
        assert total.tolist() == [3, 6]
        assert gradient.tolist() == [6, 12]  # of half the sum of squares, once by each of two processes


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_two_processes_pick_as_one_and_learn_the_same_but_for_rounding(dropout: float) -> None:
    alone, weights = trained(dropout=dropout)
    for rank, (fitted, found) in enumerate(together(2, trained, None, None, None, "head", dropout)):
        close(weights, found, 1e-5)
        for one, other in zip(alone.signals, fitted.signals, strict=True):
            assert torch.equal(torch.as_tensor(one["kept"]), torch.as_tensor(other["kept"]))
        if rank == 0:
            variance = [torch.as_tensor(end["variance"]) for end in (alone.signals[-1], fitted.signals[-1])]
            assert variance[0].isfinite().all()
            torch.testing.assert_close(variance[1], variance[0], rtol=1e-2, atol=1e-4)  # of features in half precision
        assert [row["kept_share_by_class"] for row in fitted.history] == [
            row["kept_share_by_class"] for row in alone.history
        ]
        assert [row["val_macro_f1"] for row in fitted.history] == [row["val_macro_f1"] for row in alone.history]
        losses = [[row["train_loss"] for row in one.history] for one in (alone, fitted)]
        assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def _remembering() -> tuple[Fitted, dict[str, Tensor]]:
    how = plan(class_weights="balanced", logit_adjustment=1.0, sampling="balanced")
    return trained(how, PickAll(), EarlyLearning(COUNT, CLASSES, 3.0, 0.7))


def test_a_loss_that_remembers_samples_and_weighs_classes_is_the_same_over_two_processes() -> None:
    weights = _remembering()[1]
    for _, found in together(2, _remembering):
        close(weights, found, 1e-5)


def _through_batch_norm() -> tuple[Fitted, dict[str, Tensor]]:
    return trained(plan(epochs=2, learning_rate=1e-3), train="all")


def test_networks_with_batch_norm_learn_the_same_over_two_processes() -> None:
    weights = _through_batch_norm()[1]
    for _, found in together(2, _through_batch_norm):
        close(weights, found, 1e-3)


class _Whole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = BatchNormAct2d(3)
        self.last = nn.Sequential(nn.Dropout2d(0.3), DropPath(0.5), nn.BatchNorm2d(3, momentum=None))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.norm(x))
        return y


def _stepped() -> tuple[Tensor, dict[str, Tensor], Tensor]:
    torch.manual_seed(0)
    team, network = Team.current(), _Whole()
    x = torch.randn(7, 3, 4, 4)[team.share(7)].requires_grad_()
    batch = WholeBatch(team)
    with batch.seen_by([network]):
        batch.count = 7
        for _ in range(2):
            y = network(x)
        (y * torch.arange(7.0)[team.share(7), None, None, None]).square().sum().backward()
    assert x.grad is not None
    assert "forward" not in vars(network.norm)
    return team.gather(y.detach(), 7), dict(network.named_buffers()), team.gather(x.grad, 7)


def test_batch_norm_dropout_and_stochastic_depth_see_the_whole_batch() -> None:
    outputs, buffers, gradient = _stepped()
    for other, theirs, back in together(3, _stepped):
        torch.testing.assert_close(other, outputs, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(back, gradient, rtol=1e-4, atol=1e-4)
        close(buffers, theirs, 1e-6)


def _predicted() -> list[Tensor]:
    network = build_network(spec("head"), CLASSES, 0, 1)
    found = [predict([network], examples().inputs, torch.arange(n), CPU, "float32", batch=4) for n in (1, 23)]
    return [tensor for one in found for tensor in (one.logits, one.embeddings)]


def test_every_process_gets_the_predictions_of_all_samples_be_they_fewer_than_processes() -> None:
    alone = _predicted()
    for found in together(2, _predicted):
        for one, other in zip(alone, found, strict=True):
            torch.testing.assert_close(other, one)


class _Tires(PickSmallLoss):
    """Is interrupted when an epoch begins."""

    def __init__(self, epoch: int) -> None:
        picker = mixed()
        super().__init__(picker.options, picker.watch)
        self._tires_at = epoch

    def begin(self, epoch: int) -> None:
        if epoch == self._tires_at:
            raise KeyboardInterrupt
        super().begin(epoch)


def _broken_off() -> tuple[Unfinished | None, int]:
    store = Memory()
    with pytest.raises(KeyboardInterrupt):
        trained(picker=_Tires(6), store=store)
    return store.last, store.saved


def _going_on(kept: Unfinished) -> dict[str, Tensor]:
    return trained(store=Memory(kept))[1]


def test_only_the_first_process_saves_and_what_it_saved_goes_on_with_two_or_one() -> None:
    undisturbed = trained()[1]
    (kept, saved), (_, none) = together(2, _broken_off)
    assert (saved, none) == (6, 0)
    window = kept.parts["epoch-00004-gradients"]
    assert [tuple(part.shape) for part in window.values()] == [(COUNT, 5), (COUNT, 1)] * 2
    for found in (_going_on(kept), *together(2, _going_on, kept)):
        close(undisturbed, found, 1e-5)


def _held() -> list[int]:
    picker = mixed()
    trained(picker=picker)
    return [array.shape[0] for gradients in picker._window.entries.values() for array in gradients.values()]


def test_gradients_are_kept_by_one_process_for_each_sample() -> None:
    assert [set(held) for held in together(2, _held)] == [{COUNT // 2}, {COUNT - COUNT // 2}]


def _too_many() -> str:
    with pytest.raises(UsageError) as error:
        trained(plan(batch_size=2), PickAll())
    return str(error.value)


def test_more_processes_than_samples_in_a_batch_are_refused() -> None:
    assert set(together(3, _too_many)) == {
        "--batch-size: batches of 1 cannot be shared by 3 processes; start fewer of them"
    }
