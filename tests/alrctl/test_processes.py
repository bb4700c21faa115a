"""Several processes started as one: three commands take them, the first speaks and writes, and the result is one's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from safetensors.torch import load_file

Alrctl = Callable[..., Any]
OPTIONS = ("--method", "coteaching-vog", "--train", "head", "--backbone", "test_resnet", "--hidden", "8")
MORE = (
    "--epochs",
    "7",
    "--num-gradual",
    "2",
    "--batch-size",
    "15",
    "--device",
    "cpu",
    "--precision",
    "float32",
    "--allow-stale",
)


def started(monkeypatch: pytest.MonkeyPatch, rank: int) -> None:
    """Let this process take itself for one of two."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", str(rank))


@pytest.mark.parametrize("command", ["select", "relabel", "evaluate", "run"])
def test_a_command_for_one_process_refuses_several(
    alrctl: Alrctl, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    started(monkeypatch, 0)
    ran = alrctl(command)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: works in one process; start it without torchrun or accelerate")


def test_a_mistake_is_told_by_the_first_process_alone(alrctl: Alrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {}
    for rank in (0, 1):
        started(monkeypatch, rank)
        told[rank] = alrctl("train-lnl", "nowhere", "--labels", "nothing", "-o", "out", "--json")
    assert [told[rank].code for rank in (0, 1)] == [3, 3]
    assert "nowhere: no such file or directory" in told[0].err
    assert (told[1].err, told[1].out) == ("", "")


def test_two_processes_write_once_what_one_would(alrctl: Alrctl, work: Path) -> None:
    one, two = work / "one", work / "two"
    given = (work / "data", "--labels", work / "noisy", *OPTIONS, *MORE)
    assert alrctl("train-lnl", *given, "-o", one).code == 0
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    ran = subprocess.run(
        [*torchrun, "-m", "alrctl", "train-lnl", *map(str, given), "-o", str(two), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["status"] == "done"
    assert sorted(path.name for path in two.iterdir()) == sorted(path.name for path in one.iterdir())
    assert json.loads((two / "manifest.json").read_text())["device"] == "2 x cpu"
    picks = [pl.read_parquet(out / "signals.parquet").drop("loss", "p_given", "margin") for out in (one, two)]
    assert picks[0].drop("variance_of_gradients").equals(picks[1].drop("variance_of_gradients"))
    weights = [load_file(out / "checkpoint.safetensors") for out in (one, two)]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[0].items():
        assert float((tensor - weights[1][name]).abs().max()) < 1e-4 * max(1.0, float(tensor.abs().max())), name
