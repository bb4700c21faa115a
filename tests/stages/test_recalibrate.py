"""Recalibrate learns from the trusted samples under their labels now, and from nothing else."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from schemas.checkpoint import NetworkSpec
from schemas.clean import CLEAN
from schemas.errors import NothingToDoError, UsageError
from schemas.history import HISTORY
from stages.methods.samples import posteriors
from stages.recalibrate import RecalibrateConfig, RecalibrateInputs, RecalibrateOutputs, run, trusted
from stages.report import NoStore, Report, SilentReport, in_memory
from stages.training.backbones import build_backbone
from stages.training.inputs import FeatureInputs, ImageInputs
from stages.training.network import Head, build_network
from stages.training.recipe import start

CPU, CLASSES = torch.device("cpu"), ("red", "green", "blue")
JUDGED = np.array([1, 1, 0, 0, -1, -1], dtype=np.int8)
RELABELLED = np.array([False, True, False, True, False, True])


@pytest.mark.parametrize(
    ("trust", "places"), [("clean", [0, 1, 3, 4, 5]), ("relabelled", [1, 3, 5]), ("all", [0, 1, 2, 3, 4, 5])]
)
def test_trusted_are_those_that_the_option_says(
    trust: Literal["clean", "relabelled", "all"], places: list[int]
) -> None:
    assert trusted(trust, JUDGED, RELABELLED).tolist() == places


def test_without_a_judgement_the_whole_training_set_is_trusted() -> None:
    none = np.full(6, -1, dtype=np.int8)
    assert trusted("clean", none, np.zeros(6, dtype=bool)).tolist() == list(range(6))


class Seen(FeatureInputs):
    """Features that remember which rows were learnt from."""

    def __init__(self, features: Tensor) -> None:
        super().__init__(features, CPU)
        self.learnt: set[int] = set()

    def batch(self, rows: Tensor, generator: torch.Generator | None, own: slice = slice(None)) -> Tensor:
        if generator is not None:
            self.learnt |= set(rows.tolist())
        return super().batch(rows, generator)


def spec() -> NetworkSpec:
    colours = {"mean": (0.5,) * 3, "std": (0.2,) * 3}
    shape = {"backbone": "test_resnet", "train": "head", "hidden": 4, "dropout": 0.0, "image_size": 16}
    return NetworkSpec.model_validate(shape | colours | {"feature_width": 5})


def head() -> nn.Module:
    return build_network(spec(), 3, 0, 1)


def inputs(**changed: Any) -> RecalibrateInputs:
    """Thirty training samples at rows 10 to 39 and nine to validate by at rows 0 to 8."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 3
    features = torch.randn(40, 5, generator=generator)
    features[:, :3] += 2 * torch.nn.functional.one_hot(labels)
    usual: dict[str, Any] = {
        "sample_ids": [f"s{number}" for number in range(30)],
        "rows": torch.arange(10, 40),
        "labels": labels[10:],
        "first_labels": None,
        "judged_clean": np.tile(np.array([1, 1, 0], dtype=np.int8), 10)[np.argsort(np.arange(30) % 7, kind="stable")],
        "relabelled": np.arange(30) % 5 == 0,
        "val_rows": torch.arange(9),
        "val_labels": labels[:9],
        "classes": CLASSES,
        "network": head(),
        "spec": spec(),
        "backbone_weights": {},
        "inputs": Seen(features),
        "units": np.arange(30),
    }
    return RecalibrateInputs(**(usual | changed))


def recalibrate(given: RecalibrateInputs, report: Report | None = None, **options: Any) -> RecalibrateOutputs:
    usual = {"epochs": 3, "batch_size": 8, "learning_rate": 0.1, "precision": "float32", "device": "cpu"}
    config = RecalibrateConfig.model_validate(usual | options).settled("coteaching")
    return run(config, given, report or SilentReport(), NoStore())


@pytest.mark.parametrize("trust", ["clean", "relabelled", "all"])
def test_only_trusted_samples_are_learnt_from(trust: Literal["clean", "relabelled", "all"]) -> None:
    given = inputs()
    found = recalibrate(given, trust=trust)
    expected = given.rows.numpy()[trusted(trust, given.judged_clean, given.relabelled)]
    assert isinstance(given.inputs, Seen)
    assert given.inputs.learnt == set(expected.tolist())
    assert found.facts["trusted"] == len(expected)
    assert found.facts["relabelled"] == 6
    assert sum(found.facts["trusted_by_class"].values()) == len(expected)


def test_samples_are_learnt_under_their_labels_now() -> None:
    turned = (inputs().labels + 1) % 3
    given = inputs(labels=turned, judged_clean=np.ones(30, dtype=np.int8), val_labels=(torch.arange(9) + 1) % 3)
    found = recalibrate(given, epochs=10)
    assert found.facts["val_macro_f1"] > 0.7
    assert recalibrate(inputs(labels=turned), epochs=10).facts["val_macro_f1"] < 0.5


def test_the_network_given_is_fine_tuned_and_not_begun_anew() -> None:
    given, other = inputs(), inputs()
    with torch.no_grad():
        for parameter in other.network.parameters():
            parameter.add_(1)
    before = {name: tensor.clone() for name, tensor in given.network.state_dict().items()}
    found, moved = recalibrate(given, epochs=1, learning_rate=1e-9), recalibrate(other, epochs=1, learning_rate=1e-9)
    assert found.network is given.network
    for name, tensor in found.network.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=1e-6)
    assert moved.history[0]["train_loss"] != found.history[0]["train_loss"]


def test_the_best_epoch_by_validation_macro_f1_is_told() -> None:
    found = recalibrate(inputs(), epochs=6, learning_rate=2.0)
    scores = [row["val_macro_f1"] for row in found.history]
    assert found.facts["best_epoch"] == scores.index(max(scores)) + 1
    assert found.facts["val_macro_f1"] == max(scores)


def test_without_a_validation_split_the_last_epoch_stands() -> None:
    found = recalibrate(inputs(val_rows=torch.arange(0), val_labels=torch.arange(0)))
    assert found.facts["best_epoch"] == 3
    assert found.facts["val_macro_f1"] is None


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_trusted_samples_are_nothing_to_do_and_the_mend_is_said(count: int) -> None:
    given = inputs(judged_clean=np.zeros(30, dtype=np.int8), relabelled=np.arange(30) < count)
    with pytest.raises(NothingToDoError) as caught:
        recalibrate(given)
    assert str(caught.value) == "fewer than two samples are trusted; relabel some first, or use --trust all"


def test_a_class_without_a_trusted_sample_is_warned_of(report: Report, heard: list[str]) -> None:
    given = inputs()
    not_blue = (given.labels != 2).numpy()
    given = inputs(judged_clean=not_blue.astype(np.int8), relabelled=np.zeros(30, dtype=bool))
    found = recalibrate(given, report)
    assert heard == ["no trusted sample of blue: the network cannot learn it; relabel some of it first"]
    assert found.facts["trusted_by_class"]["blue"] == 0
    assert recalibrate(inputs(), report).facts["trusted"] > 0
    assert len(heard) == 1


def test_the_history_keeps_its_contract_and_the_same_seed_gives_the_same() -> None:
    found, again = recalibrate(inputs()), recalibrate(inputs())
    table = HISTORY.make({name: [row[name] for row in found.history] for name in HISTORY.schema.column_names()})
    assert table["epoch"].to_list() == [0, 1, 2]
    assert found.history == again.history
    assert found.device == "cpu"


def test_by_default_it_takes_half_the_epochs_of_phase_one() -> None:
    assert RecalibrateConfig().epochs == 25
    assert RecalibrateConfig().trust == "auto"


# --- weighted --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "trust"), [("class-aware", "weighted"), ("coteaching", "clean"), ("sce", "clean")])
def test_what_is_trusted_follows_from_the_method_unless_it_is_said(method: str, trust: str) -> None:
    assert RecalibrateConfig().settled(method).trust == trust
    assert RecalibrateConfig(trust="relabelled").settled(method).trust == "relabelled"


@pytest.mark.parametrize("twice", [{"logit_adjustment": 1.0}, {"class_weights": "balanced"}])
def test_classes_are_not_evened_out_twice(twice: dict[str, Any]) -> None:
    for trust, method in (("weighted", "coteaching"), ("auto", "class-aware")):
        with pytest.raises(UsageError, match=r"^--trust weighted evens out the classes by the shares"):
            RecalibrateConfig.model_validate(twice | {"trust": trust}).settled(method)
    assert RecalibrateConfig.model_validate(twice).settled("coteaching").trust == "clean"


def spoilt() -> RecalibrateInputs:
    """Labels of which three in ten are wrong; of the first ten samples an expert told the class."""
    whole = inputs()
    wrong = torch.arange(30) % 10 >= 7
    first = torch.where(wrong, (whole.labels + 1) % 3, whole.labels)
    told = np.arange(30) < 10
    now = torch.where(torch.from_numpy(told), whole.labels, first)
    return replace(whole, labels=now, first_labels=first, relabelled=told)


def test_weighted_learns_from_all_and_judges_anew() -> None:
    given = spoilt()
    found = recalibrate(given, trust="weighted")
    assert isinstance(given.inputs, Seen)
    assert given.inputs.learnt >= set(range(10, 40))
    assert found.clean is not None and found.noise is not None
    clean = CLEAN.check(found.clean, "clean")
    assert clean["sample_id"].to_list() == given.sample_ids
    told = clean.head(10)
    assert told["judged_clean"].all() and (told["certainty"] == 1).all()
    truth = posteriors(clean, "true_posterior")
    np.testing.assert_array_equal(truth[:10], np.eye(3)[given.labels[:10]])
    label = given.labels.numpy()
    np.testing.assert_allclose(clean["certainty"].to_numpy(), truth[np.arange(30), label], atol=1e-6)
    assert found.noise["told"] == 10
    assert found.facts["estimated_noise_rate"] == found.noise["rate"]["value"]
    assert (found.facts["trust"], found.facts["trusted"]) == ("weighted", 30)


def test_other_trust_judges_nothing_anew() -> None:
    found = recalibrate(inputs(), trust="clean")
    assert found.clean is None
    assert found.noise is None
    assert found.facts["estimated_noise_rate"] is None


def test_weighted_without_correction_knows_nothing_of_what_experts_told() -> None:
    found = recalibrate(spoilt(), trust="weighted", correct=False)
    assert found.noise is not None
    assert found.noise["told"] == 0


def test_weighted_takes_the_labels_before_for_unknown_where_no_ledger_tells_them() -> None:
    with_ledger, without = recalibrate(spoilt(), trust="weighted"), spoilt()
    found = recalibrate(replace(without, first_labels=None), trust="weighted")
    assert found.noise is not None and with_ledger.noise is not None
    assert found.noise["told"] == with_ledger.noise["told"] == 10
    assert found.noise["by_true_class"] != with_ledger.noise["by_true_class"]


# --- from scratch ----------------------------------------------------------------------------------------------------


def moved(network: nn.Module) -> nn.Module:
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.add_(1)
    return network


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return list(mine) == list(theirs) and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_from_scratch_the_weights_given_do_not_matter_and_stay_as_they_are() -> None:
    given, other = inputs(), inputs(network=moved(head()))
    found, again = recalibrate(given, **{"from": "scratch"}), recalibrate(other, **{"from": "scratch"})
    assert same(found.network, again.network)
    assert found.history == again.history
    assert same(given.network, head())
    assert same(other.network, moved(head()))


@pytest.mark.parametrize("seed", [0, 5])
def test_from_scratch_a_head_begins_as_network_1_of_phase_1_does_with_the_same_seed(seed: int) -> None:
    given = inputs()
    found = recalibrate(given, epochs=1, learning_rate=1e-12, seed=seed, **{"from": "scratch"})
    assert isinstance(given.inputs, Seen)
    begun = start(spec(), 3, seed, 1, given.inputs.features[10:], {})
    for name, tensor in begun.state_dict().items():
        torch.testing.assert_close(found.network.state_dict()[name], tensor, rtol=0, atol=1e-9)
    assert begun.state_dict()["shift"].abs().min() > 0, "it standardises by the training samples' features"


@pytest.mark.parametrize("frozen", [False, True], ids=["fresh", "of a file"])
def test_from_scratch_a_whole_network_begins_with_the_backbones_first_weights(frozen: bool) -> None:
    whole = spec().model_copy(update={"train": "all", "hidden": 0, "feature_width": 96})
    weights = dict(moved(build_backbone("test_resnet", 3)).state_dict()) if frozen else {}
    images = torch.randint(0, 256, (40, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    given = inputs(
        network=moved(build_network(whole, 3, 0, 1)),
        spec=whole,
        backbone_weights=weights,
        inputs=ImageInputs(images, whole, CPU, "none"),
    )
    found = recalibrate(given, epochs=1, learning_rate=1e-12, seed=5, **{"from": "scratch"}).network
    begun = start(whole, 3, 5, 1, None, weights)
    for name, parameter in begun.named_parameters():
        torch.testing.assert_close(found.get_parameter(name), parameter.data, rtol=0, atol=1e-9, check_stride=False)
        if weights and name.startswith("backbone."):
            assert torch.equal(parameter, weights[name.removeprefix("backbone.")])


def test_from_is_called_from_wherever_it_is_read_or_written() -> None:
    assert RecalibrateConfig().model_dump()["from"] == "checkpoint"
    assert '"from":"scratch"' in RecalibrateConfig.model_validate({"from": "scratch"}).model_dump_json()
    with pytest.raises(ValidationError):
        RecalibrateConfig.model_validate({"from_": "scratch"})


# --- looked at, not corrected ----------------------------------------------------------------------------------------


def not_corrected(**options: Any) -> tuple[RecalibrateOutputs, RecalibrateInputs]:
    """Return what comes of the labels before anybody looked: those of what was looked at are a class further on."""
    usual = inputs()
    first = torch.where(torch.from_numpy(usual.relabelled), (usual.labels + 1) % 3, usual.labels)
    given = inputs(first_labels=first)
    return recalibrate(given, correct=False, **options), given


@pytest.mark.parametrize("trust", ["clean", "relabelled", "all"])
def test_without_correcting_the_same_samples_are_learnt_under_their_first_labels(trust: str) -> None:
    found, given = not_corrected(trust=trust)
    assert given.first_labels is not None
    put_back = recalibrate(inputs(labels=given.first_labels), trust=trust)
    assert same(found.network, put_back.network)
    assert found.history == put_back.history
    corrected = recalibrate(inputs(), trust=trust)
    assert not same(found.network, corrected.network)
    assert found.facts["trusted"] == corrected.facts["trusted"]
    assert (found.facts["corrections_withheld"], corrected.facts["corrections_withheld"]) == (6, None)


def test_without_correcting_validation_goes_by_its_labels_as_usual() -> None:
    found, _ = not_corrected(epochs=6, learning_rate=2.0)
    scores = [row["val_macro_f1"] for row in found.history]
    assert found.facts["best_epoch"] == scores.index(max(scores)) + 1


def test_by_default_the_checkpoint_is_gone_on_from_and_corrections_are_learnt() -> None:
    assert (RecalibrateConfig().from_, RecalibrateConfig().correct) == ("checkpoint", True)


def unlike(found: RecalibrateOutputs, before: dict[str, Tensor]) -> set[str]:
    """The tensors that are other than before."""
    return {name for name, tensor in found.network.state_dict().items() if not torch.equal(tensor, before[name])}


def kept(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_the_last_layer_learns_alone_and_begins_anew() -> None:
    given = inputs()
    recalibrate(given, trust="all", epochs=20)
    before = kept(given.network)
    other = replace(given, network=copy.deepcopy(given.network))
    found = recalibrate(given, layers="last", epochs=10)
    assert found.network is given.network
    assert unlike(found, before) == {"last.weight", "last.bias"}
    assert found.facts["val_balanced_accuracy"] > 0.6
    assert isinstance(other.network, Head)
    with torch.no_grad():
        for tensor in (other.network.last.weight, other.network.last.bias):
            tensor.add_(100)
    again = recalibrate(other, layers="last", epochs=10)
    torch.testing.assert_close(again.network.state_dict()["last.weight"], found.network.state_dict()["last.weight"])


def test_the_last_epochs_of_a_last_layer_are_of_the_whole_network() -> None:
    given = inputs(val_rows=torch.arange(0), val_labels=torch.arange(0))
    found = recalibrate(given, layers="last", epochs=3, keep_epochs=2)
    assert sorted(found.tail) == [1, 2]
    state = found.network.state_dict()
    last = {name: in_memory(array) for name, array in found.tail[2].items()}
    assert last.keys() == {f"network1.{name}" for name in state}
    for name, tensor in state.items():
        torch.testing.assert_close(last[f"network1.{name}"], tensor)
    assert not torch.equal(in_memory(found.tail[1]["network1.last.weight"]), state["last.weight"])


def test_the_last_layer_of_a_whole_network_learns_on_its_features() -> None:
    shape = spec().model_copy(update={"train": "all", "hidden": 0, "feature_width": 96})
    network = build_network(shape, 3, 0, 1)
    images = torch.randint(0, 255, (40, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    given = inputs(network=network, spec=shape, inputs=ImageInputs(images, shape, CPU, "paper"))
    before = kept(network)
    found = recalibrate(given, layers="last", epochs=2)
    assert unlike(found, before) == {"head.last.weight", "head.last.bias"}  # batch norm's statistics stay, too
    assert found.tail[1].keys() == {f"network1.{name}" for name in before}


def test_weighted_may_learn_by_the_last_layer_alone() -> None:
    given = spoilt()
    before = kept(given.network)
    found = recalibrate(given, trust="weighted", layers="last")
    assert unlike(found, before) == {"last.weight", "last.bias"}
    assert found.clean is not None


def test_a_last_layer_from_scratch_is_refused() -> None:
    with pytest.raises(ValidationError, match="--from scratch takes none of them"):
        RecalibrateConfig.model_validate({"layers": "last", "from": "scratch"})


def test_classes_are_drawn_as_the_option_says() -> None:
    labels = torch.tensor([0] * 26 + [1] * 3 + [2])
    judged, val = np.ones(30, dtype=np.int8), torch.arange(0)

    class Counting(FeatureInputs):
        drawn = torch.zeros(3)

        def batch(self, rows: Tensor, generator: torch.Generator | None, own: slice = slice(None)) -> Tensor:
            if generator is not None:
                self.drawn += torch.bincount(labels[rows - 10], minlength=3)
            return super().batch(rows, generator)

    shares = {}
    for sampling in ("natural", "square-root", "balanced"):
        seen = Counting(torch.randn(40, 5, generator=torch.Generator().manual_seed(0)), CPU)
        seen.drawn = torch.zeros(3)
        given = inputs(labels=labels, judged_clean=judged, inputs=seen, val_rows=val, val_labels=val)
        recalibrate(given, sampling=sampling, epochs=60)
        shares[sampling] = (seen.drawn / seen.drawn.sum()).tolist()
    roots = torch.tensor([26.0, 3, 1]).sqrt()
    assert shares["natural"] == pytest.approx([26 / 30, 3 / 30, 1 / 30])
    assert shares["square-root"] == pytest.approx((roots / roots.sum()).tolist(), abs=0.05)
    assert shares["balanced"] == pytest.approx([1 / 3] * 3, abs=0.05)


def test_sampling_by_class_and_weighted_trust_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="--sampling"):
        RecalibrateConfig.model_validate({"trust": "weighted", "sampling": "balanced"}).settled("sce")
