"""Every stage replaced once by a script of about ten lines that writes its file; the next stage carries on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Alrctl = Callable[..., Any]


def replace_stage(script: str, work: Path) -> None:
    """Run a foreign script, which knows nothing of alrctl, in the project's directory."""
    lines = [line for line in script.strip().splitlines() if line.strip()]
    assert len(lines) <= 12
    assert "alrctl" not in script
    ran = subprocess.run([sys.executable, "-c", script], cwd=work, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def check_carries_on(ran: Any, out: Path, name: str) -> None:
    assert ran.code == 0, ran.err
    assert (out / name).is_file()
    assert (out / "manifest.json").is_file()


def test_ingest_replaced(alrctl: Alrctl, work: Path) -> None:
    script = """
import numpy as np, polars as pl, yaml, os
from safetensors.numpy import save_file
os.makedirs("mine")
n = 60
split = ["train"] * 40 + ["val"] * 8 + ["test"] * 12
pl.DataFrame({"sample_id": [f"s{i}" for i in range(n)], "split": split, "source": ["made"] * n,
              "width": [24] * n, "height": [24] * n}).write_parquet("mine/samples.parquet")
pl.DataFrame({"sample_id": [f"s{i}" for i in range(n)], "label": ["ab"[i % 2] for i in range(n)]}).write_parquet("mine/labels.parquet")
save_file({"images": np.random.default_rng(0).integers(0, 255, (n, 24, 24, 3), dtype=np.uint8)}, "mine/images.safetensors")
yaml.safe_dump({"names": ["a", "b"]}, open("mine/classes.yaml", "w"))
"""
    replace_stage(script, work)
    check_carries_on(alrctl("corrupt", work / "mine", "-o", work / "n2"), work / "n2", "labels.parquet")
    ran = alrctl(
        *("train-lnl", work / "mine", "--labels", work / "n2", "--backbone", "test_resnet"),
        *("--epochs", 1, "-o", work / "lnl2"),
    )
    check_carries_on(ran, work / "lnl2", "checkpoint.safetensors")


def test_corrupt_replaced_even_by_a_csv(alrctl: Alrctl, work: Path) -> None:
    script = """
import csv, random, polars as pl
labels = pl.read_parquet("data/labels.parquet")
draw = random.Random(3)
with open("noisy.csv", "w", newline="") as file:
    out = csv.writer(file)
    out.writerow(["sample_id", "label"])
    for name, label in labels.select("sample_id", "label").iter_rows():
        out.writerow([name, draw.choice(["red", "green", "blue"]) if draw.random() < 0.4 else label])
"""
    replace_stage(script, work)
    ran = alrctl(
        *("train-lnl", work / "data", "--labels", work / "noisy.csv", "--backbone", "test_resnet"),
        *("--epochs", 1, "-o", work / "lnl2"),
    )
    check_carries_on(ran, work / "lnl2", "clean.parquet")


def test_train_lnl_replaced(alrctl: Alrctl, work: Path) -> None:
    script = """
import json, os, torch, polars as pl
from safetensors.torch import load_file, save_file
from safetensors import safe_open
os.makedirs("mine")
with safe_open("lnl/checkpoint.safetensors", "pt") as file:
    meta = file.metadata()
tensors = {name: torch.randn_like(t) if t.is_floating_point() and "running_var" not in name else t for name, t in load_file("lnl/checkpoint.safetensors").items()}
save_file(tensors, "mine/checkpoint.safetensors", metadata=meta)
train = pl.read_parquet("data/samples.parquet").filter(split="train")
train.select("sample_id", judged_clean=pl.int_range(pl.len()) % 2 == 0).write_parquet("mine/clean.parquet")
"""
    replace_stage(script, work)
    ran = alrctl("score", work / "data", "--labels", work / "noisy", "--checkpoint", work / "mine", "-o", work / "s2")
    check_carries_on(ran, work / "s2", "scores.parquet")
    ran = alrctl(
        *("recalibrate", work / "data", "--labels", work / "r1/labels", "--checkpoint", work / "mine"),
        *("--epochs", 1, "-o", work / "m2"),
    )
    check_carries_on(ran, work / "m2", "checkpoint.safetensors")


def test_score_replaced(alrctl: Alrctl, work: Path) -> None:
    script = """
import numpy as np, polars as pl
train = pl.read_parquet("data/samples.parquet").filter(split="train").join(pl.read_parquet("noisy/labels.parquet"), on="sample_id")
p = np.random.default_rng(0).dirichlet([1, 1, 1], train.height)
names = np.array(["blue", "green", "red"])
top = np.sort(p, axis=1)
said = names[p.argmax(axis=1)].tolist()
train.select("sample_id", given_label="label", posterior=pl.Series(p), predicted_label=pl.Series(said),
    entropy=pl.Series(-(p * np.log(p)).sum(axis=1)), least_confidence=pl.Series(1 - top[:, -1]),
    margin=pl.Series(top[:, -1] - top[:, -2]), loss=pl.lit(1.0), suggested_label=pl.Series(said)).write_parquet("scores.parquet")
"""
    replace_stage(script, work)
    ran = alrctl("select", work / "scores.parquet", "--strategy", "margin", "--budget", 5, "-o", work / "q2")
    check_carries_on(ran, work / "q2", "queue.csv")


def test_select_replaced(alrctl: Alrctl, work: Path) -> None:
    script = """
import polars as pl
scores = pl.read_parquet("r1/scores/scores.parquet").head(7)
scores.select(pl.int_range(1, pl.len() + 1).alias("rank"), "sample_id", "given_label", "suggested_label").write_parquet("queue.parquet")
"""
    replace_stage(script, work)
    ran = alrctl(
        *("relabel", work / "noisy", "--queue", work / "queue.parquet", "--oracle", work / "data"),
        *("-o", work / "l2"),
    )
    check_carries_on(ran, work / "l2", "ledger.parquet")


def test_relabel_replaced(alrctl: Alrctl, work: Path) -> None:
    script = """
import polars as pl
labels = pl.read_parquet("noisy/labels.parquet")
truth = pl.read_parquet("noisy/truth.parquet")
first = pl.int_range(pl.len()) < 20
labels.join(truth, on="sample_id").select("sample_id", label=pl.when(first).then("true_label").otherwise("label"), relabelled=first).write_parquet("labels.parquet")
"""
    replace_stage(script, work)
    ran = alrctl(
        *("recalibrate", work / "data", "--labels", work / "labels.parquet", "--checkpoint", work / "lnl"),
        *("--epochs", 1, "-o", work / "m2"),
    )
    check_carries_on(ran, work / "m2", "history.parquet")


def test_recalibrate_replaced(alrctl: Alrctl, work: Path) -> None:
    script = """
from safetensors.torch import load_file, save_file
from safetensors import safe_open
with safe_open("lnl/checkpoint.safetensors", "pt") as file:
    meta = file.metadata()
mean = {name: t * 0.5 if t.is_floating_point() else t for name, t in load_file("lnl/checkpoint.safetensors").items()}
save_file(mean, "halved.safetensors", metadata=meta)
"""
    replace_stage(script, work)
    ran = alrctl("evaluate", work / "data", "--checkpoint", work / "halved.safetensors", "-o", work / "e2")
    check_carries_on(ran, work / "e2", "metrics.json")


def test_evaluate_replaced_and_the_report_carries_on(alrctl: Alrctl, work: Path) -> None:
    shutil.rmtree(work / "r1/eval")
    script = """
import json, os, polars as pl
os.makedirs("r1/eval")
truth = pl.read_parquet("data/labels.parquet").join(pl.read_parquet("data/samples.parquet"), on="sample_id").filter(split="test")
truth.select("sample_id", "split", "label", predicted_label=pl.lit("red"), posterior=pl.lit([0.0, 0.0, 1.0])).write_parquet("r1/eval/predictions.parquet")
json.dump({"accuracy": (truth["label"] == "red").mean()}, open("r1/eval/metrics.json", "w"))
"""
    replace_stage(script, work)
    checked = alrctl("validate", work / "r1/eval/predictions.parquet")
    assert checked.code == 0, checked.err
    assert alrctl("report", work, "-o", work / "report.html").code == 0
    assert (work / "report.html").is_file()


def test_a_file_replaced_in_place_is_used_and_said(alrctl: Alrctl, work: Path) -> None:
    script = """
import polars as pl
scores = pl.read_parquet("r1/scores/scores.parquet")
scores.sort("loss").head(40).write_parquet("r1/scores/scores.parquet")
"""
    replace_stage(script, work)
    ran = alrctl("select", work / "r1/scores", "--budget", 5, "-o", work / "q2")
    check_carries_on(ran, work / "q2", "queue.parquet")
    assert "r1/scores/scores.parquet was changed after alrctl wrote it; it is used as it is now" in ran.err
