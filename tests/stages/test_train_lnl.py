"""Phase 1: the judgement and the signals come from the training pass itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError

from schemas.checkpoint import NetworkSpec
from schemas.clean import CLEAN
from schemas.errors import DataError, UsageError
from schemas.history import HISTORY
from schemas.signals import SIGNALS
from stages.methods.transition_model import UNKNOWN
from stages.report import NoStore, Report, SilentReport
from stages.train_lnl import TrainLnlConfig, TrainLnlInputs, TrainLnlOutputs, _warn_of_starved_classes, run
from stages.training.backbones import build_backbone
from stages.training.network import Head, Network, build_network
from stages.training.noise_watch import LabelEvidence

CLASSES = ("red", "green", "blue")
NAMES = [f"s{number}" for number in range(30)]
TINY: dict[str, Any] = {"epochs": 7, "batch_size": 10, "learning_rate": 0.1, "num_gradual": 2, "train": "head"}
FIXED = {"device": "cpu", "precision": "float32"}


def spec(**changed: Any) -> NetworkSpec:
    shape = {"backbone": "test_resnet", "train": "head", "hidden": 4, "dropout": 0.0, "image_size": 16}
    colours = {"mean": (0.5,) * 3, "std": (0.2,) * 3, "feature_width": 5}
    return NetworkSpec.model_validate(shape | colours | changed)


def inputs(**changed: Any) -> TrainLnlInputs:
    """Thirty training samples at rows 10 to 39, a fifth of them mislabelled, and ten to validate by."""
    true = torch.arange(40) % 3
    features = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    features[:, :3] += 2 * torch.nn.functional.one_hot(true)
    given = torch.where(torch.arange(40) % 5 == 0, (true + 1) % 3, true)
    usual: dict[str, Any] = {
        "sample_ids": NAMES,
        "rows": torch.arange(10, 40),
        "labels": given[10:],
        "val_rows": torch.arange(10),
        "val_labels": true[:10],
        "classes": CLASSES,
        "images": None,
        "features": features,
        "spec": spec(),
        "backbone_weights": {},
    }
    found = usual | changed
    labels, samples = found["labels"].numpy(), len(found["labels"])
    features = None if found["features"] is None else found["features"][found["rows"]]
    known = LabelEvidence(labels, np.full(samples, UNKNOWN), np.arange(samples), features)
    return TrainLnlInputs(**({"known": known} | found))


def train(given: TrainLnlInputs | None = None, report: Report | None = None, **options: Any) -> TrainLnlOutputs:
    config = TrainLnlConfig.model_validate(TINY | FIXED | options)
    return run(config, given or inputs(), report or SilentReport(), NoStore())


def signals_of(found: TrainLnlOutputs) -> pl.DataFrame:
    return pl.concat(found.signals)


@pytest.mark.parametrize("method", ["coteaching", "coteaching-vog"])
def test_judged_clean_is_network_ones_pick_in_the_last_epoch(method: str) -> None:
    found = train(method=method, forget_rate=0.3)
    signals = SIGNALS.check(signals_of(found), "signals")
    last = signals.filter((pl.col("epoch") == 6) & (pl.col("network") == 1))
    assert found.clean["sample_id"].to_list() == last["sample_id"].to_list() == NAMES
    assert found.clean["judged_clean"].to_list() == last["kept"].to_list()
    assert found.facts["judged_clean"] == found.clean["judged_clean"].sum() == last["kept"].sum()
    assert 0 < last["kept"].sum() < 30
    assert CLEAN.check(found.clean, "clean")["true_posterior"].list.len().to_list() == [3] * 30


def test_certainty_is_the_share_of_picks_over_the_last_five_epochs_and_both_networks() -> None:
    found = train(method="coteaching", forget_rate=0.3)
    by_sample = signals_of(found).filter(pl.col("epoch") >= 2).group_by("sample_id", maintain_order=True)
    assert found.clean["certainty"].to_list() == pytest.approx(by_sample.agg(pl.col("kept").mean())["kept"].to_list())


def test_certainty_of_a_short_training_is_over_all_its_epochs() -> None:
    found = train(method="coteaching", forget_rate=0.3, epochs=3)
    by_sample = signals_of(found).group_by("sample_id", maintain_order=True).agg(pl.col("kept").mean())
    assert found.clean["certainty"].to_list() == pytest.approx(by_sample["kept"].to_list())


def test_cross_entropy_makes_no_judgement_and_one_network(report: Report, heard: list[str]) -> None:
    found = train(report=report, method="cross-entropy")
    clean = CLEAN.check(found.clean, "clean")
    assert len(found.networks) == 1
    assert all(clean[name].null_count() == 30 for name in ("judged_clean", "certainty", "true_posterior"))
    assert found.facts["judged_clean"] is None
    assert set(signals_of(found)["network"]) == {1}
    assert signals_of(found)["kept"].all()
    assert heard == []


def test_signals_have_a_row_a_sample_epoch_and_network() -> None:
    signals = SIGNALS.check(signals_of(train(method="coteaching-vog", forget_rate=0.3)), "signals")
    assert signals.height == 30 * 7 * 2
    assert signals.group_by("epoch", "network").agg(pl.col("sample_id").n_unique())["sample_id"].unique().to_list() == [
        30
    ]
    torch.testing.assert_close(
        torch.tensor(signals["p_given"].to_list()),
        torch.exp(-torch.tensor(signals["loss"].to_list())),
        atol=1e-5,
        rtol=0,
    )
    right = signals.filter(pl.col("margin") > 0)
    assert (right["p_given"] > 1 / 3).all()


def test_variance_of_gradients_is_null_until_five_epochs_are_seen_and_in_other_methods() -> None:
    with_vog = signals_of(train(method="coteaching-vog", forget_rate=0.3))
    known = with_vog.filter(pl.col("variance_of_gradients").is_not_null())
    assert set(known["epoch"]) == {5, 6}
    assert known.height == 30 * 2 * 2
    assert signals_of(train(method="coteaching", forget_rate=0.3))["variance_of_gradients"].null_count() == 420


def test_history_keeps_its_contract() -> None:
    found = train(method="coteaching-vog")
    table = HISTORY.make({name: [row[name] for row in found.history] for name in HISTORY.schema.column_names()})
    assert table["epoch"].to_list() == list(range(7))
    assert found.facts["estimated_noise_rate"] == table["noise_rate_estimate"][-1] is not None


def test_an_auto_forget_rate_ends_at_the_estimate_and_a_given_one_at_itself() -> None:
    auto, given_rate = train(method="coteaching").history[-1], train(method="coteaching", forget_rate=0.3).history[-1]
    assert auto["forget_rate"] == auto["noise_rate_estimate"]
    assert given_rate["forget_rate"] == 0.3
    assert given_rate["noise_rate_estimate"] == auto["noise_rate_estimate"]


def test_a_class_that_vanished_is_warned_of(report: Report, heard: list[str]) -> None:
    labels = inputs().labels.clone()
    labels[labels == 2] = 0
    labels[4] = 2  # one sample, and it looks like another class
    found = train(inputs(labels=labels), report, method="coteaching", forget_rate=0.2)
    assert found.facts["kept_share_by_class"]["blue"] == 0
    assert len(heard) == 1
    assert heard[0].startswith("starved in the last epoch: blue (0% of its labels were judged clean, and ")
    assert heard[0].endswith(
        "Use --method class-aware, which keeps a floor of each class, or look at it first (select --pool noisy)"
    )


@pytest.mark.parametrize(("share", "starves"), [(0.0, True), (0.2, True), (0.3, False), (None, False)])
def test_a_class_starves_that_keeps_less_than_half_of_what_is_right_at_the_least(
    share: float | None, starves: bool, report: Report, heard: list[str]
) -> None:
    rate = {"value": 0.4, "low": 0.3, "high": 0.5}
    _warn_of_starved_classes([0.9, share], {"by_given_class": [rate, rate]}, ("red", "blue"), report)
    expected = f"blue ({share or 0:.0%} of its labels were judged clean, and 50% to 70% are held to be right)"
    assert [expected in text for text in heard] == [True] * starves


def test_without_an_estimate_only_a_class_that_vanished_starves(report: Report, heard: list[str]) -> None:
    _warn_of_starved_classes([0.9, 0.01], None, ("red", "blue"), report)
    assert heard == []
    _warn_of_starved_classes([0.9, 0.0], {"by_given_class": [None, None]}, ("red", "blue"), report)
    assert heard[0].startswith("starved in the last epoch: blue (0% of its labels were judged clean);")


def test_a_class_without_samples_is_not_called_vanished(report: Report, heard: list[str]) -> None:
    found = train(inputs(labels=inputs().labels.clamp(max=1)), report, method="coteaching", forget_rate=0.1)
    assert found.facts["kept_share_by_class"]["blue"] is None
    assert heard == []


def test_noise_that_could_not_be_estimated_is_told(report: Report, heard: list[str]) -> None:
    found = train(inputs(labels=inputs().labels.clamp(max=0)), report, method="class-aware")
    assert found.noise is None
    assert heard == ["the noise could not be estimated: there is one class or group, or features do not differ"]


def test_the_same_seed_gives_the_same_and_another_seed_another() -> None:
    first, again, other = (train(method="coteaching-vog", forget_rate=0.3, seed=seed) for seed in (0, 0, 1))
    assert signals_of(first).equals(signals_of(again))
    assert first.history == again.history
    assert not signals_of(first).equals(signals_of(other))


def test_the_two_networks_begin_apart_and_stay_apart() -> None:
    found = train(method="coteaching", forget_rate=0.0, epochs=1)
    one, two = (network.state_dict()["last.weight"] for network in found.networks)
    assert not torch.equal(one, two)


def test_heads_standardise_by_the_training_samples_alone() -> None:
    given = inputs()
    assert given.features is not None
    network = train(given, method="cross-entropy", epochs=1).networks[0]
    assert isinstance(network, Head)
    torch.testing.assert_close(network.shift, given.features[given.rows].mean(dim=0))


def test_a_whole_network_begins_from_the_weights_given() -> None:
    images = torch.randint(0, 256, (40, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    shape = spec(train="all", hidden=0, feature_width=96)
    weights = dict(build_backbone("test_resnet", 123).state_dict())
    given = inputs(images=images, features=None, spec=shape, backbone_weights=weights)
    found = train(given, method="coteaching", epochs=1, learning_rate=1e-9, train="all", batch_size=30)
    for network in found.networks:
        assert isinstance(network, Network)
        for name, parameter in network.backbone.named_parameters():
            torch.testing.assert_close(parameter.detach(), weights[name], rtol=0, atol=1e-6)


def test_weights_that_do_not_fit_are_refused() -> None:
    images = torch.zeros((40, 16, 16, 3), dtype=torch.uint8)
    given = inputs(
        images=images, features=None, spec=spec(train="all", feature_width=96), backbone_weights={"x": torch.zeros(1)}
    )
    with pytest.raises(DataError, match=r"^--weights: the weights do not fit \(missing: .* more; unknown: x\)$"):
        train(given, method="cross-entropy", train="all")


@pytest.mark.parametrize("rate", ["auto", 0, 0.0, 0.3, 0.99])
def test_a_forget_rate_is_auto_or_a_share(rate: float | str) -> None:
    assert TrainLnlConfig.model_validate({"forget_rate": rate}).forget_rate == rate


@pytest.mark.parametrize("rate", [1.0, 1, 1.5, -0.1, float("nan"), float("inf"), "half", None])
def test_a_forget_rate_that_is_no_share_is_refused(rate: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainLnlConfig.model_validate({"forget_rate": rate})
    if isinstance(rate, int | float):
        assert "must be auto, or a share from 0 to below 1" in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"method": "svm"}, {"num_gradual": 0}, {"exponent": 0}, {"mix_ratio": 1.1}, {"dropout": 1.0}, {"hidden": -1}],
)
def test_an_option_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainLnlConfig.model_validate(wrong)


@pytest.mark.parametrize(("options", "width"), [({}, 0), ({"train": "head"}, 256), ({"train": "head", "hidden": 7}, 7)])
def test_heads_on_a_frozen_backbone_have_a_hidden_layer_of_their_own(options: dict[str, Any], width: int) -> None:
    assert TrainLnlConfig.model_validate(options).hidden_width == width


@pytest.mark.parametrize(
    ("spelling", "method"),
    [
        ("coteaching_VOG", "coteaching-vog"),
        ("cross_entropy", "cross-entropy"),
        ("CE", "cross-entropy"),
        ("scratch", "scratch"),
        ("symmetric-cross-entropy", "sce"),
        ("generalized_cross_entropy", "gce"),
    ],
)
def test_the_published_programs_spellings_are_taken(spelling: str, method: str) -> None:
    assert TrainLnlConfig.model_validate({"method": spelling}).method == method


@pytest.mark.parametrize("method", ["sce", "gce", "elr"])
def test_a_robust_loss_learns_from_all_samples_judges_none_and_is_not_cross_entropy(method: str) -> None:
    found, plain = train(method=method, epochs=30), train(method="cross-entropy", epochs=30)
    assert len(found.networks) == 1
    assert found.clean["judged_clean"].to_list() == [None] * 30
    assert signals_of(found)["kept"].all()
    assert found.history[-1]["train_loss"] != plain.history[-1]["train_loss"]
    assert found.history[-1]["val_macro_f1"] > 0.5


def test_the_options_of_a_robust_loss_reach_it() -> None:
    for method, option, values in (
        ("sce", "sce_beta", (0.1, 2.0)),
        ("gce", "gce_q", (0.2, 1.0)),
        ("elr", "elr_lambda", (0, 5)),
    ):
        one, other = (train(method=method, epochs=2, **{option: value}) for value in values)
        assert one.history[-1]["train_loss"] != other.history[-1]["train_loss"], method


def test_scratch_leaves_the_network_as_it_began() -> None:
    found = train(method="scratch")
    untouched = build_network(spec(), 3, 0, 1).state_dict()
    assert len(found.networks) == 1
    assert torch.equal(found.networks[0].state_dict()["last.weight"], untouched["last.weight"])
    assert found.history == list(found.signals) == []
    assert found.clean["judged_clean"].to_list() == [None] * 30
    assert HISTORY.rows(found.history).height == 0


def test_compiled_networks_are_those_that_are_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def count(network: torch.nn.Module) -> torch.nn.Module:
        compiled.append(network)
        return network

    monkeypatch.setattr(torch, "compile", count)
    found = train(method="coteaching", epochs=1, compile=True)
    assert [id(network) for network in compiled] == [id(network) for network in found.networks]


def test_a_network_that_cannot_be_compiled_here_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(features: torch.Tensor) -> None:
        raise type("CppCompileError", (RuntimeError,), {"__module__": "torch._inductor.exc"})("no compiler\nmore")

    monkeypatch.setattr(torch, "compile", lambda network: fail)
    with pytest.raises(UsageError, match=r"^--compile: torch.compile failed here \(no compiler\); leave it out"):
        train(method="cross-entropy", compile=True)
