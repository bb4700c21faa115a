"""`train-lnl` by the class-aware method: what it writes of the noise, and what an expert's labels change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from alrctl import checkpoints
from alrctl.matrices import read_transition
from schemas.classes import Classes

Alrctl = Callable[..., Any]
SHORT = ("--epochs", 4, "--batch-size", 16, "--device", "cpu", "--backbone", "test_resnet", "--augmentation", "none")


def train(alrctl: Alrctl, work: Path, labels: Path, out: Path, *more: object) -> dict[str, Any]:
    given = ("--labels", labels, "--method", "class-aware", *SHORT)
    ran = alrctl("train-lnl", work / "data", *given, *more, "-o", out, "--json")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = ran.document["summary"]
    return found


@pytest.mark.parametrize("which", ["all", "head"])
def test_the_noise_is_told_by_class_with_intervals(alrctl: Alrctl, work: Path, tmp_path: Path, which: str) -> None:
    found = train(alrctl, work, work / "noisy", tmp_path / "lnl", "--train", which)
    noise, table = found["noise"], pl.read_parquet(tmp_path / "lnl/noise.parquet")
    names = list(noise["by_given_class"])
    assert table["label"].to_list() == [*names, "(all)"]
    assert table["noise_rate"][-1] == noise["rate"]["value"] == found["estimated_noise_rate"]
    labels = pl.read_parquet(work / "noisy/labels.parquet").join(
        pl.read_parquet(work / "data/samples.parquet").filter(split="train"), on="sample_id"
    )
    counts = dict(labels.group_by("label").len().iter_rows())
    for row in table[:-1].iter_rows(named=True):
        assert row["samples"] == counts.get(row["label"], 0)
        assert row["low"] <= row["noise_rate"] <= row["high"]
        assert row["estimated_errors"] == pytest.approx(row["samples"] * row["noise_rate"])
    matrix = read_transition(tmp_path / "lnl/transition.csv", Classes(names=tuple(names))).matrix
    assert matrix.shape == (len(names), len(names))
    assert matrix.sum(axis=1) == pytest.approx(1)
    clean = pl.read_parquet(tmp_path / "lnl/clean.parquet")
    assert clean["judged_clean"].sum() == found["judged_clean"]
    assert clean.filter(pl.col("certainty") > 0.5)["judged_clean"].all()


def test_the_estimated_matrix_can_make_noise_again(alrctl: Alrctl, work: Path, tmp_path: Path) -> None:
    train(alrctl, work, work / "noisy", tmp_path / "lnl")
    given = ("--noise", "transition", "--transition", tmp_path / "lnl/transition.csv")
    assert alrctl("corrupt", work / "data", *given, "-o", tmp_path / "again").code == 0


def test_what_an_expert_told_is_judged_clean_and_the_ledger_tells_what_stood_there(
    alrctl: Alrctl, work: Path, tmp_path: Path
) -> None:
    found = train(alrctl, work, work / "r1/labels", tmp_path / "lnl")
    table = pl.read_parquet(work / "r1/labels/labels.parquet")
    told = table.filter("relabelled")["sample_id"].to_list()
    assert found["noise"]["told"] == len(told) > 0
    clean = pl.read_parquet(tmp_path / "lnl/clean.parquet").filter(pl.col("sample_id").is_in(told))
    assert clean["judged_clean"].all()
    assert (clean["certainty"] == 1).all()
    (tmp_path / "bare").mkdir()
    table.write_parquet(tmp_path / "bare/labels.parquet")  # no ledger: what stood there before is not known
    bare = train(alrctl, work, tmp_path / "bare/labels.parquet", tmp_path / "without")
    assert bare["noise"]["told"] == len(told)
    assert bare["noise"]["by_true_class"] != found["noise"]["by_true_class"]


def test_the_terminal_shows_the_estimate_by_class(alrctl: Alrctl, work: Path, tmp_path: Path) -> None:
    given = ("--labels", work / "noisy", "--method", "class-aware", *SHORT)
    shown = alrctl("train-lnl", work / "data", *given, "-o", tmp_path / "lnl").out
    assert "labels held to be wrong, by given class" in shown
    assert "the noise, by estimate: " in shown


@pytest.mark.parametrize("more", [("--logit-adjustment", 1), ("--class-weights", "balanced")])
def test_evening_out_by_the_noisy_labels_is_refused(
    alrctl: Alrctl, work: Path, tmp_path: Path, more: tuple[object, ...]
) -> None:
    given = ("--labels", work / "noisy", "--method", "class-aware", *SHORT)
    ran = alrctl("train-lnl", work / "data", *given, *more, "-o", tmp_path / "lnl")
    assert ran.code == 2
    assert "class-aware evens out the classes by the shares that it estimates (--balance)" in ran.err
    assert not (tmp_path / "lnl").exists()


def test_a_round_after_it_learns_from_everything_and_hands_its_judgement_on(
    alrctl: Alrctl, work: Path, tmp_path: Path
) -> None:
    train(alrctl, work, work / "r1/labels", tmp_path / "lnl")
    given = ("--labels", work / "r1/labels", "--checkpoint", tmp_path / "lnl", "--epochs", 2, "--device", "cpu")
    ran = alrctl("recalibrate", work / "data", *given, "-o", tmp_path / "model", "--json")
    assert ran.code == 0, ran.err
    found = ran.document["summary"]
    clean = pl.read_parquet(tmp_path / "model/clean.parquet")
    assert (found["trust"], found["trusted"]) == ("weighted", clean.height)
    assert pl.read_parquet(tmp_path / "model/noise.parquet")["noise_rate"][-1] == found["estimated_noise_rate"]
    assert (tmp_path / "model/transition.csv").is_file()
    scored = ("--labels", work / "r1/labels", "--checkpoint", tmp_path / "model", "-o", tmp_path / "scores")
    assert alrctl("score", work / "data", *scored).code == 0
    scores = pl.read_parquet(tmp_path / "scores/scores.parquet")
    assert scores["judged_clean"].to_list() == clean["judged_clean"].to_list()
    assert alrctl("validate", tmp_path / "model").code == 0


def test_what_is_trusted_can_still_be_said(alrctl: Alrctl, work: Path, tmp_path: Path) -> None:
    train(alrctl, work, work / "r1/labels", tmp_path / "lnl")
    given = ("--labels", work / "r1/labels", "--checkpoint", tmp_path / "lnl", "--epochs", 2, "--device", "cpu")
    ran = alrctl("recalibrate", work / "data", *given, "--trust", "clean", "-o", tmp_path / "model", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["summary"]["trust"] == "clean"
    assert not (tmp_path / "model/clean.parquet").exists()


@pytest.mark.parametrize(
    ("words", "share"),
    [
        (("--method", "class-aware", "--train", "head"), 0.5),
        (("--method", "class-aware", "--train", "head", "--dropout", 0.2), 0.2),
        (("--method", "class-aware"), 0.0),
        (("--method", "coteaching", "--train", "head"), 0.0),
    ],
)
def test_dropout_is_by_method_unless_it_is_told(
    finished: Path, alrctl: Alrctl, tmp_path: Path, words: tuple[object, ...], share: float
) -> None:
    data = ("train-lnl", finished / "data", "--labels", finished / "noisy", *SHORT)
    ran = alrctl(*data, *words, "--epochs", 1, "-o", tmp_path / "lnl")
    assert ran.code == 0, ran.err
    assert checkpoints.read(tmp_path / "lnl" / "checkpoint.safetensors").metadata.spec.dropout == share


@pytest.mark.parametrize("wrong", ["1", "-0.1", "half"])
def test_a_dropout_that_is_no_share_is_refused(finished: Path, alrctl: Alrctl, tmp_path: Path, wrong: str) -> None:
    data = ("train-lnl", finished / "data", "--labels", finished / "noisy", *SHORT)
    ran = alrctl(*data, "--dropout", wrong, "-o", tmp_path / "lnl")
    assert ran.code == 2
    assert "--dropout" in ran.err
