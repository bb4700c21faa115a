"""The training loop: each network learns from its peer's picks, and a resumed run equals an undisturbed one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.func import grad, vmap
from torch.nn.functional import cross_entropy

from schemas.checkpoint import NetworkSpec
from schemas.errors import DataError
from schemas.history import HISTORY
from stages.methods import metrics
from stages.methods.predictions import Predictions
from stages.methods.transition_model import UNKNOWN
from stages.report import NoStore, SilentReport, Unfinished, in_memory
from stages.training.failures import DivergedError
from stages.training.fit import Fitted, fit
from stages.training.inputs import FeatureInputs, ImageInputs
from stages.training.learning import Examples, Rule
from stages.training.network import build_network
from stages.training.noise_watch import LabelEvidence, NoiseWatch
from stages.training.objective import EarlyLearning, Memoryless
from stages.training.options import TrainingOptions
from stages.training.picking import PickAll, Picker, PickSmallLoss, SmallLossOptions
from stages.training.plan import FitPlan, batches, learning_rate
from stages.training.predict import predict
from stages.training.signals import EpochSignals, GradientWindow

CPU, CLASSES, WIDTH = torch.device("cpu"), 3, 6


class Kept:
    """A store that keeps every state as bytes, and begins with one where it is given one."""

    def __init__(self, start: Unfinished | None = None) -> None:
        self.start = start
        self.states: list[Unfinished] = []

    def load(self) -> Unfinished | None:
        return self.start

    def save(self, state: Unfinished) -> dict[str, Any]:
        parts = {
            part: load(save({name: tensor.contiguous() for name, tensor in state.tensors(part).items()}))
            for part in state.parts
        }
        self.states.append(Unfinished(state.epochs, json.loads(json.dumps(state.facts)), parts))
        return {}


def spec(train: str = "head", **changed: Any) -> NetworkSpec:
    width = WIDTH if train == "head" else 96
    fixed = {"backbone": "test_resnet", "train": train, "hidden": 5, "dropout": 0.0, "image_size": 16}
    colours = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    return NetworkSpec.model_validate(fixed | colours | {"feature_width": width} | changed)


def heads(count: int, dropout: float = 0.0) -> list[nn.Module]:
    return [build_network(spec(dropout=dropout), CLASSES, 0, number) for number in range(1, count + 1)]


def examples(count: int = 30, validation: int = 12) -> Examples:
    """Random features that tell a little about their labels, a third of which are wrong."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count + validation) % CLASSES
    features = torch.randn(count + validation, WIDTH, generator=generator)
    features[:, :CLASSES] += 2 * torch.nn.functional.one_hot(labels)
    given = torch.where(torch.rand(count, generator=generator) < 0.33, (labels[:count] + 1) % CLASSES, labels[:count])
    rows = torch.arange(count + validation)
    return Examples(FeatureInputs(features, CPU), rows[:count], given, rows[count:], labels[count:], CLASSES)


def plan(**changed: Any) -> FitPlan:
    usual: dict[str, Any] = {"epochs": 9, "batch_size": 8, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 1e-3}
    return FitPlan(**(usual | {"seed": 0, "precision": "float32", "device": CPU} | changed))


def small_loss(**changed: Any) -> PickSmallLoss:
    usual: dict[str, Any] = {"noise_rate": 0.3, "num_gradual": 2, "exponent": 1.0, "mix_ratio": 0.0}
    options = SmallLossOptions(**(usual | {"all_classes": False, "look_after": 3} | changed))
    return PickSmallLoss(options, watch())


def watch(samples: int = 30) -> NoiseWatch:
    """An estimate to be made of labels that go round, each sample its own group."""
    given = np.arange(samples) % CLASSES
    return NoiseWatch(LabelEvidence(given, np.full(samples, UNKNOWN), np.arange(samples), None), CLASSES, 0)


def live_window(picker: PickSmallLoss) -> None:
    """Let a picker see five epochs of made-up gradients."""
    window, labels = GradientWindow(), torch.arange(30) % CLASSES
    for epoch in range(5):
        generator = torch.Generator().manual_seed(epoch)
        picker.begin(epoch)
        for network in range(2):
            features, posterior = torch.randn(30, 4, generator=generator), torch.rand(30, CLASSES, generator=generator)
            picker.observe(network, torch.arange(30), features, posterior, labels, 30)
        picker.end(epoch, EpochSignals.empty(2, 30), labels, window)


def fitted(
    networks: Sequence[nn.Module], picker: Picker, how: FitPlan, store: Any = None, given: Examples | None = None
) -> Fitted:
    rule = Rule(picker, Memoryless())
    return fit(networks, given or examples(), rule, how, SilentReport(), store or NoStore())


def same_tensors(one: Sequence[nn.Module], other: Sequence[nn.Module]) -> bool:
    return all(
        torch.equal(tensor, b.state_dict()[name])
        for a, b in zip(one, other, strict=True)
        for name, tensor in a.state_dict().items()
    )


def same_signals(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(tensor.nan_to_num(-1), b[name].nan_to_num(-1))
        for a, b in zip(one, other, strict=True)
        for name, tensor in a.items()
    )


def stepped_by_hand(network: nn.Module, given: Examples, chosen: Tensor, how: FitPlan) -> dict[str, Tensor]:
    """The parameters after one first step of SGD on the mean loss over `chosen`."""
    _, logits = network(given.inputs.batch(given.rows, None))
    loss = cross_entropy(logits, given.labels, reduction="none")[chosen].sum() / len(chosen)
    slopes = torch.autograd.grad(loss, list(network.parameters()))
    return {
        name: parameter.detach() - how.learning_rate * (slope + how.weight_decay * parameter.detach())
        for (name, parameter), slope in zip(network.named_parameters(), slopes, strict=True)
    }


def losses_of(network: nn.Module, given: Examples) -> Tensor:
    with torch.no_grad():
        return cross_entropy(network(given.inputs.batch(given.rows, None))[1], given.labels, reduction="none")


def test_each_network_steps_on_the_mean_loss_over_its_peers_picks() -> None:
    given, how, networks = examples(), plan(epochs=1, batch_size=30), heads(2)
    losses = [losses_of(network, given) for network in networks]
    picks = [loss.argsort()[:18] for loss in losses]
    assert set(picks[0].tolist()) != set(picks[1].tolist())
    expected = [stepped_by_hand(networks[0], given, picks[1], how), stepped_by_hand(networks[1], given, picks[0], how)]
    found = fitted(networks, small_loss(noise_rate=0.4, num_gradual=0), how)
    for network, tensors in zip(networks, expected, strict=True):
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(parameter.detach(), tensors[name], rtol=0, atol=1e-6)
    learnt = (losses[0][picks[1]].mean() + losses[1][picks[0]].mean()) / 2
    assert found.history[0]["train_loss"] == pytest.approx(float(learnt), abs=1e-6)
    for number in (0, 1):
        assert set(found.signals[0]["kept"][number].nonzero().flatten().tolist()) == set(picks[number].tolist())


def test_a_network_alone_equals_torchs_own_loop_of_sgd_and_cosine() -> None:
    given, how = examples(), plan(epochs=4, batch_size=30)
    mine, theirs = heads(1), heads(1)
    fitted(mine, PickAll(), how)
    optimizer = torch.optim.SGD(theirs[0].parameters(), 0.1, momentum=0.9, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    for _ in range(4):
        optimizer.zero_grad()
        cross_entropy(theirs[0](given.inputs.batch(given.rows, None))[1], given.labels).backward()
        optimizer.step()
        schedule.step()
    for name, tensor in mine[0].state_dict().items():
        torch.testing.assert_close(tensor, theirs[0].state_dict()[name], rtol=0, atol=1e-5)


METHODS: dict[str, tuple[int, Callable[[], Picker]]] = {
    "cross-entropy": (1, PickAll),
    "coteaching": (2, lambda: small_loss(noise_rate=None, num_gradual=4)),
    "coteaching-vog": (2, lambda: small_loss(mix_ratio=0.4)),
    "coteaching-vog, all classes": (2, lambda: small_loss(mix_ratio=0.4, all_classes=True, noise_rate=None)),
}


@pytest.mark.parametrize("method", METHODS)
def test_going_on_after_any_epoch_gives_what_an_undisturbed_run_gives(method: str) -> None:
    count, picker = METHODS[method]
    given, networks, store = examples(validation=0), heads(count, dropout=0.3), Kept()
    whole = fitted(networks, picker(), plan(), store, given)
    assert [state.epochs for state in store.states] == list(range(1, 10))
    for state in store.states:
        again, rest = heads(count, dropout=0.3), Kept(state)
        resumed = fitted(again, picker(), plan(), rest, given)
        assert len(rest.states) == 9 - state.epochs
        assert resumed.history == whole.history
        assert same_signals(resumed.signals, whole.signals)
        assert same_tensors(again, networks)


def test_going_on_gives_the_same_where_the_loss_remembers_samples() -> None:
    def learnt(networks: Sequence[nn.Module], store: Kept) -> Fitted:
        rule = Rule(PickAll(), EarlyLearning(30, CLASSES, 3.0, 0.7))
        return fit(networks, examples(validation=0), rule, plan(epochs=4), SilentReport(), store)

    networks, again, store = heads(1), heads(1), Kept()
    whole = learnt(networks, store)
    resumed = learnt(again, Kept(store.states[1]))
    assert resumed.history == whole.history
    assert same_tensors(again, networks)


def test_going_on_after_any_epoch_keeps_the_same_last_epochs() -> None:
    how, store = plan(epochs=5, keep_epochs=3), Kept()
    whole = fitted(heads(2), PickAll(), how, store)
    assert list(whole.tail) == [2, 3, 4]
    for state in store.states:
        resumed = fitted(heads(2), PickAll(), how, Kept(state))
        assert list(resumed.tail) == [2, 3, 4]
        for epoch, weights in whole.tail.items():
            assert all(torch.equal(in_memory(resumed.tail[epoch][name]), in_memory(weights[name])) for name in weights)


def test_going_on_after_any_epoch_keeps_the_same_best_epoch() -> None:
    how, networks, store = plan(epochs=5, learning_rate=1.0, keep_best=True), heads(1), Kept()
    whole = fitted(networks, PickAll(), how, store)
    assert whole.best_epoch < 4, "the case must tell the best epoch from the last"
    for state in store.states:
        again = heads(1)
        resumed = fitted(again, PickAll(), how, Kept(state))
        assert resumed.best_epoch == whole.best_epoch
        assert resumed.history == whole.history
        assert same_tensors(again, networks)


def test_each_epoch_is_told_to_those_who_follow_once_it_is_saved_and_again_on_going_on() -> None:
    class Following(SilentReport):
        def __init__(self, store: Kept) -> None:
            self.store = store
            self.told: list[tuple[dict[str, Any], int]] = []

        def measured(self, values: Mapping[str, Any], step: int) -> None:
            self.told.append(({"epoch": step, **values}, len(self.store.states)))

    whole, rest = Following(Kept()), Following(Kept())
    rule = Rule(PickAll(), Memoryless())
    history = fit(heads(1), examples(), rule, plan(epochs=3), whole, whole.store).history
    assert whole.told == [(row, epoch + 1) for epoch, row in enumerate(history)]
    rest.store.start = whole.store.states[1]
    fit(heads(1), examples(), rule, plan(epochs=3), rest, rest.store)
    assert rest.told == [(row, saved) for row, saved in zip(history, (0, 0, 1), strict=True)]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_on_several_threads_the_same_run_gives_the_same_bytes_and_so_does_going_on(dropout: float) -> None:
    torch.set_num_threads(2)  # two networks then learn side by side, unless they draw random numbers
    try:
        built = [heads(2, dropout) for _ in range(3)]
        store = Kept()
        whole = fitted(built[0], small_loss(), plan(epochs=3), store)
        again = fitted(built[1], small_loss(), plan(epochs=3))
        resumed = fitted(built[2], small_loss(), plan(epochs=3), Kept(store.states[0]))
    finally:
        torch.set_num_threads(1)
    assert whole.history == again.history == resumed.history
    assert same_signals(whole.signals, again.signals)
    assert same_signals(whole.signals, resumed.signals)
    assert same_tensors(built[0], built[1])
    assert same_tensors(built[0], built[2])


def test_going_on_gives_the_same_with_images_augmentation_and_batch_norm() -> None:
    images = torch.randint(0, 256, (20, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    shape = spec("all", hidden=0, dropout=0.2)
    rows, labels = torch.arange(20), torch.arange(20) % CLASSES
    given = Examples(ImageInputs(images, shape, CPU, "paper"), rows[:14], labels[:14], rows[14:], labels[14:], CLASSES)
    built = [[build_network(shape, CLASSES, 0, number) for number in (1, 2)] for _ in range(2)]
    store = Kept()
    whole = fitted(built[0], small_loss(), plan(epochs=3, batch_size=7), store, given)
    resumed = fitted(built[1], small_loss(), plan(epochs=3, batch_size=7), Kept(store.states[0]), given)
    assert resumed.history == whole.history
    assert same_signals(resumed.signals, whole.signals)
    assert same_tensors(built[0], built[1])


def test_a_part_whose_name_begins_with_epoch_never_changes_once_saved() -> None:
    store = Kept()
    fitted(heads(2), small_loss(mix_ratio=0.4), plan(), store, examples(validation=0))
    first: dict[str, Any] = {}
    for state in store.states:
        for part in (name for name in state.parts if name.startswith("epoch-")):
            kept = first.setdefault(part, state.parts[part])
            assert all(torch.equal(kept[n].nan_to_num(-1), t.nan_to_num(-1)) for n, t in state.parts[part].items())
    assert sum("gradients" in part for part in store.states[-1].parts) == 5


def last_layer_gradients(network: nn.Module, given: Examples) -> Tensor:
    """Gradient of each sample's own loss by its class's weight row and bias, by autograd, (N, H + 1)."""

    def loss(weight: Tensor, bias: Tensor, h: Tensor, y: Tensor) -> Tensor:
        return cross_entropy((weight @ h + bias)[None], y[None])

    with torch.no_grad():
        penultimate, _ = network(given.inputs.batch(given.rows, None))
    last: Any = network.last
    by_sample = vmap(grad(loss, argnums=(0, 1)), in_dims=(None, None, 0, 0))
    by_weight, by_bias = by_sample(last.weight.detach(), last.bias.detach(), penultimate, given.labels)
    own = torch.arange(len(given.labels)), given.labels
    return torch.cat([by_weight[own], by_bias[own][:, None]], dim=1)


def test_variance_of_gradients_in_training_equals_autograd_over_the_five_epochs_before() -> None:
    given, networks, store = examples(validation=0), heads(2), Kept()
    weights = [[{n: t.clone() for n, t in network.state_dict().items()} for network in networks]]
    picker = small_loss(mix_ratio=0.4, window=torch.float32)
    found = fitted(networks, picker, plan(epochs=7, batch_size=30), store, given)
    for state in store.states:
        saved = state.parts["networks"]
        prefixes = ("network1.", "network2.")
        weights.append([{n[9:]: t for n, t in saved.items() if n.startswith(prefix)} for prefix in prefixes])
    for number, probe in enumerate(heads(2)):
        seen = []
        for before in weights[:7]:  # what an epoch of one batch begins with
            probe.load_state_dict(before[number])
            seen.append(last_layer_gradients(probe, given))
        for epoch in range(7):
            variance = found.signals[epoch]["variance"][number]
            if epoch < 5:
                assert variance.isnan().all()
            else:
                expected = torch.stack(seen[epoch - 5 : epoch]).std(dim=0, correction=0).mean(dim=1)
                torch.testing.assert_close(variance, expected, rtol=0, atol=1e-5)


def test_the_window_keeps_features_in_half_precision_and_large_ones_finite() -> None:
    picker, window = small_loss(mix_ratio=0.4), GradientWindow()
    picker.begin(0)
    features = torch.full((30, 4), 1e6)
    for network in range(2):
        picker.observe(
            network, torch.arange(30), features, torch.full((30, CLASSES), 1 / 3), torch.zeros(30).long(), 30
        )
    picker.end(0, EpochSignals.empty(2, 30), torch.zeros(30).long(), window)
    kept = window.entries[0]["features1"]
    assert isinstance(kept, Tensor)
    assert kept.dtype == torch.float16
    assert bool(torch.isfinite(kept).all())


def test_variance_of_gradients_changes_the_picks_past_the_warm_up_alone() -> None:
    given = examples(validation=0)
    without, mixed = (fitted(heads(2), small_loss(mix_ratio=m), plan(), given=given) for m in (0.0, 0.4))
    different = [
        not torch.equal(one["kept"], other["kept"]) for one, other in zip(without.signals, mixed.signals, strict=True)
    ]
    assert different[:5] == [False] * 5
    assert any(different[5:])


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    runs = [heads(2) for _ in range(3)]
    for networks, seed in zip(runs, (0, 0, 1), strict=True):
        fitted(networks, small_loss(), plan(epochs=2, seed=seed))
    assert same_tensors(runs[0], runs[1])
    assert not same_tensors(runs[0], runs[2])


def test_training_leaves_the_global_generators_alone() -> None:
    torch_before = torch.random.get_rng_state()
    numpy_before = np.random.get_state()[1].copy()  # type: ignore[index,union-attr]  # noqa: NPY002 (to see it untouched)
    fitted(heads(2, dropout=0.3), small_loss(noise_rate=None), plan(epochs=2))
    assert torch.equal(torch.random.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # type: ignore[index]  # noqa: NPY002 (as above)


def test_validation_does_not_change_the_training() -> None:
    images = torch.randint(0, 256, (14, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    shape, rows, labels = spec("all", hidden=0, dropout=0.2), torch.arange(14), torch.arange(14) % CLASSES
    inputs, networks, histories = ImageInputs(images, shape, CPU, "light"), [], []
    for last in (10, 14):  # without and with four samples to validate by
        given = Examples(inputs, rows[:10], labels[:10], rows[10:last], labels[10:last], CLASSES)
        networks.append([build_network(shape, CLASSES, 0, 1)])
        histories.append(fitted(networks[-1], PickAll(), plan(epochs=2, batch_size=5), given=given).history)
    assert same_tensors(networks[0], networks[1])
    for bare, full in zip(*histories, strict=True):
        assert all((bare[name], full[name] is None) == (None, False) for name in full if name.startswith("val_"))
        assert all(bare[name] == full[name] for name in full if not name.startswith("val_"))


def test_every_epoch_is_in_train_mode_though_validation_is_not() -> None:
    images = torch.randint(0, 256, (14, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    shape, rows, labels = spec("all", hidden=0), torch.arange(14), torch.arange(14) % CLASSES
    given = Examples(ImageInputs(images, shape, CPU, "none"), rows[:10], labels[:10], rows[10:], labels[10:], CLASSES)
    network = build_network(shape, CLASSES, 0, 1)
    fitted([network], PickAll(), plan(epochs=3, batch_size=5), given=given)
    seen = [int(tensor) for name, tensor in network.state_dict().items() if name.endswith("num_batches_tracked")]
    assert seen
    assert set(seen) == {3 * 2}


@pytest.mark.parametrize("keep_best", [False, True])
def test_the_best_epoch_is_kept_where_asked_and_of_equals_the_earlier(keep_best: bool) -> None:
    given, networks = examples(), heads(1)
    found = fitted(networks, PickAll(), plan(epochs=9, learning_rate=1.0, keep_best=keep_best), given=given)
    scores = [row["val_macro_f1"] for row in found.history]
    assert scores.index(max(scores)) != 8, "the case must tell the best epoch from the last"
    expected = scores.index(max(scores)) if keep_best else 8
    assert found.best_epoch == expected
    now = predict(networks, given.inputs, given.val_rows, CPU, "float32").posterior.numpy().astype(np.float64)
    assert metrics.overall(Predictions(given.val_labels.numpy(), now))["macro_f1"] == scores[expected]


def test_history_keeps_its_contract_and_counts_what_was_kept() -> None:
    given = examples()
    found = fitted(heads(2), small_loss(noise_rate=None, num_gradual=3), plan(epochs=4), given=given)
    table = HISTORY.make({name: [row[name] for row in found.history] for name in HISTORY.schema.column_names()})
    assert table["epoch"].to_list() == list(range(4))
    for row, signals in zip(found.history, found.signals, strict=True):
        kept = signals["kept"][0]
        assert row["kept_share"] == pytest.approx(kept.float().mean().item())
        by_class = [kept[given.labels == index].float().mean().item() for index in range(CLASSES)]
        assert row["kept_share_by_class"] == pytest.approx(by_class)


def test_the_history_judges_each_epoch_by_the_validation_split() -> None:
    given, networks = examples(), heads(2)
    found = fitted(networks, PickAll(), plan(epochs=3), given=given)
    now = predict(networks, given.inputs, given.val_rows, CPU, "float32").posterior.numpy().astype(np.float64)
    of = Predictions(given.val_labels.numpy(), now)
    row, overall, by_class = found.history[-1], metrics.overall(of), metrics.by_class(of)
    assert row["val_loss"] == pytest.approx(overall["log_loss"])
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "macro_precision", "macro_auroc", "mcc"):
        assert row[f"val_{name}"] == pytest.approx(overall[name]), name
    for name in ("precision", "recall", "f1", "auroc"):
        assert row[f"val_{name}_by_class"] == pytest.approx(getattr(by_class, name).tolist()), name
    assert row["val_confusion"] == metrics.confusion(of.label, of.predicted, CLASSES).ravel().tolist()
    assert row["val_accuracy"] != found.history[0]["val_accuracy"]


def test_what_the_validation_split_leaves_undefined_is_null_in_the_history() -> None:
    given = examples(validation=12)
    no_third = Examples(given.inputs, given.rows, given.labels, given.val_rows, given.val_labels.clamp(max=1), CLASSES)
    row = fitted(heads(1), PickAll(), plan(epochs=1), given=no_third).history[0]
    assert row["val_recall_by_class"][2] is row["val_auroc_by_class"][2] is row["val_f1_by_class"][2] is None
    table = HISTORY.make({name: [row[name]] for name in HISTORY.schema.column_names()})
    assert table["val_recall_by_class"][0][2] is None
    without = fitted(heads(1), PickAll(), plan(epochs=1), given=examples(validation=0)).history[0]
    told = HISTORY.make({name: [without[name]] for name in HISTORY.schema.column_names()})
    of_validation = [name for name in told.columns if name.startswith("val_")]
    assert len(of_validation) == 12
    assert all(told[name].to_list() == [None] for name in of_validation)


@pytest.mark.parametrize(("keep", "expected"), [(0, []), (1, [3]), (2, [2, 3]), (9, [0, 1, 2, 3])])
def test_the_last_epochs_weights_are_kept_as_they_were(keep: int, expected: list[int]) -> None:
    store = Kept()
    found = fitted(heads(2), PickAll(), plan(epochs=4, keep_epochs=keep, keep_best=True), store)
    assert list(found.tail) == expected
    for epoch, weights in found.tail.items():
        then = store.states[epoch].tensors("networks")
        assert weights.keys() == then.keys()
        assert all(torch.equal(in_memory(weights[name]), then[name]) for name in then), epoch


def test_a_class_without_samples_has_no_share_kept() -> None:
    given = examples()
    one_missing = Examples(
        given.inputs, given.rows, given.labels.clamp(max=1), given.val_rows, given.val_labels, CLASSES
    )
    found = fitted(heads(1), PickAll(), plan(epochs=1), given=one_missing)
    assert found.history[0]["kept_share_by_class"] == [1.0, 1.0, None]


def test_a_loss_that_is_no_number_ends_the_run_with_the_mend() -> None:
    with pytest.raises(DataError) as caught:
        fitted(heads(1), PickAll(), plan(learning_rate=1e30))
    told = str(caught.value)
    assert told.startswith("the loss became ")
    assert "a smaller --learning-rate helps (it is 1e+30)" in told


def test_a_loss_that_explodes_ends_the_run_before_it_is_no_number() -> None:
    class Huge(Memoryless):
        def losses(self, network: int, places: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
            return super().losses(network, places, logits, labels) + 1001

    with pytest.raises(DivergedError, match=r"^the loss became 100\d\.\d+ in epoch 1: training diverged"):
        fit(heads(1), examples(), Rule(PickAll(), Huge()), plan(), SilentReport(), NoStore())


def test_weights_that_are_no_numbers_end_the_run_though_the_loss_was_one() -> None:
    network = heads(1)[0]
    for parameter in network.parameters():
        parameter.register_hook(lambda slope: slope * torch.inf)
    with pytest.raises(DivergedError):
        fit([network], examples(), Rule.plain(), plan(batch_size=30), SilentReport(), NoStore())


def test_a_run_that_diverges_gives_its_last_good_weights() -> None:
    class Late(Memoryless):
        calls = 0

        def losses(self, network: int, places: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
            Late.calls += 1
            return super().losses(network, places, logits, labels) * (torch.nan if Late.calls > 10 else 1)

    class Remembering(Kept):
        def load(self) -> Unfinished | None:
            return self.states[-1] if self.states else None

    networks, store, undisturbed = heads(1), Remembering(), heads(1)
    with pytest.raises(DivergedError) as caught:  # four batches an epoch: the third epoch's third fails
        fit(networks, examples(), Rule(PickAll(), Late()), plan(), SilentReport(), store)
    assert caught.value.epochs == 2
    fit(undisturbed, examples(), Rule.plain(), plan(), SilentReport(), recorded := Kept())
    good = recorded.states[1].tensors("networks")
    assert all(torch.equal(good[f"network1.{n}"], t) for n, t in caught.value.networks[0].state_dict().items())


def test_class_weights_and_logit_adjustment_reach_the_step() -> None:
    given, networks = examples(), [heads(1) for _ in range(3)]
    for one, changed in zip(networks, ({}, {"class_weights": "balanced"}, {"logit_adjustment": 1.0}), strict=True):
        fitted(one, PickAll(), plan(epochs=2, **changed), given=given)
    assert not same_tensors(networks[0], networks[1])
    assert not same_tensors(networks[0], networks[2])


def test_logit_adjustment_learns_what_all_classes_are_equally_likely_in() -> None:
    labels = torch.tensor([0] * 54 + [1] * 6)
    rows, features = torch.arange(60), torch.ones(60, WIDTH)  # nothing to tell the classes by but their shares
    given = Examples(FeatureInputs(features, CPU), rows, labels, rows[:0], labels[:0], 2)
    for tau, share in ((0.0, 0.1), (1.0, 0.5)):
        network = build_network(spec(), 2, 0, 1)
        fitted([network], PickAll(), plan(epochs=60, batch_size=60, logit_adjustment=tau), given=given)
        posterior = network(features[:1])[1].softmax(dim=1)
        assert float(posterior[0, 1].detach()) == pytest.approx(share, abs=0.02)


def test_picks_do_not_depend_on_the_order_of_a_batch() -> None:
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    loss = torch.rand(30, generator=torch.Generator().manual_seed(2))
    places = torch.arange(30)
    one = small_loss(noise_rate=0.4, num_gradual=0, mix_ratio=0.3)
    live_window(one)
    one.begin(6)
    there = places[one.pick(0, places, loss)]
    mixed = places[order][one.pick(0, places[order], loss[order])]
    assert there.sort().values.equal(mixed.sort().values)
    assert len(there) == 12 + 5


def test_gradients_of_a_clean_pass_are_those_of_the_epochs_last_weights() -> None:
    given, networks, store = examples(validation=0), heads(2), Kept()
    how = plan(epochs=6, batch_size=10)
    fitted(networks, small_loss(mix_ratio=0.4, gradients="clean-pass", window=torch.float32), how, store, given)
    gradients = store.states[-1].tensors("epoch-00005-gradients")
    for number, network in enumerate(networks):
        network.eval()
        penultimate, logits = network(given.inputs.batch(given.rows, None))
        torch.testing.assert_close(gradients[f"features{number}"], penultimate.detach())
        own = logits.softmax(dim=1).gather(1, given.labels[:, None]) - 1
        torch.testing.assert_close(gradients[f"residual{number}"], own.detach())


@given(st.integers(1, 300), st.integers(3, 50), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_batches_are_a_permutation_in_parts_of_nearly_equal_size(count: int, size: int, seed: int) -> None:
    parts = batches(count, size, torch.Generator().manual_seed(seed))
    sizes = [len(part) for part in parts]
    assert sorted(torch.cat(parts).tolist()) == list(range(count))
    assert len(parts) == math.ceil(count / size)
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


def test_batches_are_shuffled_by_their_generator_alone() -> None:
    first, again, other = (torch.cat(batches(50, 8, torch.Generator().manual_seed(seed))) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, torch.arange(50))


def allowed(size: int) -> bool:
    try:
        return TrainingOptions(batch_size=size).batch_size == size
    except ValidationError:
        return False


@pytest.mark.parametrize("count", [2, 3, 5, 7, 21])
def test_no_allowed_batch_size_leaves_a_batch_of_one_which_batch_norm_cannot_take(count: int) -> None:
    for size in filter(allowed, range(1, 9)):
        assert min(len(part) for part in batches(count, size, torch.Generator().manual_seed(0))) >= 2


def test_a_plan_takes_every_option_that_it_shares_with_a_stage() -> None:
    values = {"epochs": 7, "batch_size": 5, "learning_rate": 0.3, "momentum": 0.4, "weight_decay": 0.5, "seed": 6}
    values["keep_epochs"] = 2
    options = TrainingOptions.model_validate(values | {"precision": "bfloat16"})
    expected = FitPlan(**values, precision="bfloat16", device=CPU, keep_best=True)  # type: ignore[arg-type]
    assert FitPlan.of(options, CPU, keep_best=True) == expected


@pytest.mark.parametrize("epochs", [1, 2, 7, 50])
def test_the_learning_rate_is_a_cosine_over_the_runs_epochs(epochs: int) -> None:
    how = plan(epochs=epochs, learning_rate=0.3)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    for epoch in range(epochs):
        assert learning_rate(epoch, how) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        schedule.step()
    assert learning_rate(0, how) == 0.3
    assert learning_rate(epochs - 1, how) > 0


def test_the_learning_rate_of_each_epoch_is_in_the_history() -> None:
    how = plan(epochs=5)
    found = fitted(heads(1), PickAll(), how)
    assert [row["learning_rate"] for row in found.history] == [learning_rate(epoch, how) for epoch in range(5)]
