"""The chain as the contract writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl


def test_every_stage_leaves_the_files_of_the_contract(finished: Path) -> None:
    wanted = {
        "data": {"samples.parquet", "labels.parquet", "classes.yaml", "images.safetensors"},
        "noisy": {"labels.parquet", "truth.parquet", "transition.csv", "nominal_transition.csv"},
        "lnl": {"checkpoint.safetensors", "clean.parquet", "signals.parquet", "history.parquet"},
        "r1/scores": {"scores.parquet", "embeddings.safetensors"},
        "r1/queue": {"queue.parquet", "queue.csv"},
        "r1/labels": {"labels.parquet", "ledger.parquet", "conflicts.parquet"},
        "r1/model": {"checkpoint.safetensors", "history.parquet"},
        "r1/eval": {"predictions.parquet", "metrics.json", "per_class.parquet", "confusion.png", "confusion.svg"},
    }
    for place, names in wanted.items():
        assert names | {"manifest.json"} <= {path.name for path in (finished / place).iterdir()}, place


def test_only_queued_samples_changed_and_each_was_charged(finished: Path) -> None:
    before = pl.read_parquet(finished / "noisy/labels.parquet")
    after = pl.read_parquet(finished / "r1/labels/labels.parquet")
    queue = pl.read_parquet(finished / "r1/queue/queue.parquet")
    ledger = pl.read_parquet(finished / "r1/labels/ledger.parquet")
    changed = after.filter((after["label"] != before["label"]) | after["relabelled"])["sample_id"]
    assert set(changed) == set(queue["sample_id"])
    assert ledger["cost"].sum() == queue.height == 12


def test_the_stages_that_may_not_read_the_truth_do_not(alrctl: Callable[..., Any], finished: Path, work: Path) -> None:
    (work / "noisy/truth.parquet").write_bytes(b"not to be read")
    tiny = ("--backbone", "test_resnet", "--epochs", 3, "--batch-size", 16, "--num-gradual", 2, "--device", "cpu")
    ran = [
        alrctl("train-lnl", work / "data", "--labels", work / "noisy", *tiny, "-o", work / "lnl", "--force"),
        alrctl(
            *("score", work / "data", "--labels", work / "noisy", "--checkpoint", work / "lnl"),
            *("-o", work / "r1/scores", "--force"),
        ),
        alrctl(
            "select", work / "r1/scores", "--strategy", "entropy", "--budget", 12, "-o", work / "r1/queue", "--force"
        ),
        alrctl(
            *("recalibrate", work / "data", "--labels", work / "r1/labels", "--checkpoint", work / "lnl"),
            *("--epochs", 2, "-o", work / "r1/model", "--force", "--allow-stale"),
        ),
    ]
    assert [one.code for one in ran] == [0, 0, 0, 0], [one.err for one in ran]
    for name in ("lnl/clean.parquet", "r1/scores/scores.parquet", "r1/queue/queue.csv", "r1/model/history.parquet"):
        assert (work / name).read_bytes() == (finished / name).read_bytes(), name


def test_the_course_of_phase_1_reaches_scores_and_evaluation(
    alrctl: Callable[..., Any], finished: Path, tmp_path: Path
) -> None:
    signals = pl.read_parquet(finished / "lnl/signals.parquet").filter(network=1)
    scores = pl.read_parquet(finished / "r1/scores/scores.parquet")
    expected = signals.group_by("sample_id").agg(pl.col("margin").mean())
    joined = scores.join(expected, on="sample_id", how="left")
    assert (joined["area_under_margin"] - joined["margin_right"]).abs().max() < 1e-5
    assert scores["forgetting_events"].max() <= signals["epoch"].n_unique() // 2
    given = ("--checkpoint", finished / "lnl", "--truth", finished / "noisy", "--bootstrap", 0)
    ran = alrctl("evaluate", finished / "data", *given, "--split", "val", "-o", tmp_path / "eval")
    assert ran.code == 0, ran.err
    told = pl.read_parquet(tmp_path / "eval/judgement.parquet")
    assert told["epoch"].unique().sort().to_list() == signals["epoch"].unique().sort().to_list()
    kept = signals.filter(epoch=signals["epoch"].max()).select("sample_id", "kept")
    labels = pl.read_parquet(finished / "noisy/labels.parquet")
    truth = pl.read_parquet(finished / "noisy/truth.parquet")
    all_of = kept.join(labels, on="sample_id").join(truth, on="sample_id")
    right = all_of["label"] == all_of["true_label"]
    last = told.filter(label="(all)").sort("epoch").row(-1, named=True)
    assert last["clean_recall"] == (all_of["kept"] & right).sum() / right.sum()
    assert (tmp_path / "eval/judgement.png").stat().st_size > 5000
    page = tmp_path / "page.html"
    assert alrctl("report", tmp_path, "-o", page).code == 0
    assert "What phase 1 judged clean" in page.read_text()


def test_scratch_goes_through_the_chain(alrctl: Callable[..., Any], finished: Path, tmp_path: Path) -> None:
    tiny = ("--backbone", "test_resnet", "--batch-size", 16, "--device", "cpu")
    given = (finished / "data", "--labels", finished / "noisy")
    assert alrctl("train-lnl", *given, "--method", "scratch", *tiny, "-o", tmp_path / "lnl").code == 0
    scored = alrctl("score", *given, "--checkpoint", tmp_path / "lnl", "-o", tmp_path / "scores")
    assert scored.code == 0, scored.err
    assert pl.read_parquet(tmp_path / "scores/scores.parquet")["area_under_margin"].null_count() > 0
