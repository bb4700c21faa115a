"""How far two processes drift from one where whole networks learn, and how far one with other convolutions does.

In float32, on CPUs, from the same seed. Training amplifies any rounding; the third run, in which nothing but that
differs, tells by how much.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
from safetensors.torch import load_file

HOW = {
    "one process": ["-m", "alrctl"],
    "two processes": ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "alrctl"],
    "other convolutions": [
        "-c",
        "import runpy, torch; torch.backends.mkldnn.enabled = False; "
        "runpy.run_module('alrctl', run_name='__main__', alter_sys=True)",
    ],
}


def train(data: Path, out: Path, epochs: int, how: str) -> None:
    given = [data, "--labels", data, "--method", "coteaching-vog", "--forget-rate", "0.2", "--epochs", str(epochs)]
    given += ["--precision", "float32", "--device", "cpu", "-o", out]
    words = [sys.executable, *HOW[how], "train-lnl", *map(str, given)]
    subprocess.run(words, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)


def apart(one: Path, other: Path) -> tuple[float, int, float]:
    """Return how far weights are apart at most (of a tensor's largest), how many picks differ, and by how much F1."""
    weights = [load_file(out / "checkpoint.safetensors") for out in (one, other)]
    names = [name for name, tensor in weights[0].items() if tensor.is_floating_point() and "running" not in name]
    pairs = [(weights[0][name].double(), weights[1][name].double()) for name in names]
    furthest = max(float((a - b).abs().max() / a.abs().max().clamp_min(1e-9)) for a, b in pairs)
    picks = [pl.read_parquet(out / "clean.parquet")["judged_clean"].to_numpy() for out in (one, other)]
    f1 = [pl.read_parquet(out / "history.parquet")["val_macro_f1"][-1] for out in (one, other)]
    return furthest, int(np.sum(picks[0] != picks[1])), f1[1] - f1[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="that `ingest` wrote")
    parser.add_argument("--out", type=Path, required=True, help="a folder that is not there")
    parser.add_argument("--epochs", type=int, nargs="+", default=[1])
    given = parser.parse_args()
    given.out.mkdir(parents=True)
    for epochs in given.epochs:
        first, *others = [given.out / f"{how} {epochs}" for how in HOW]
        for how, out in zip(HOW, (first, *others), strict=True):
            train(given.data, out, epochs, how)
        for out in others:
            weights, picks, f1 = apart(first, out)
            print(f"{out.name} epoch(s): weights {weights:.2g}, {picks} picks, macro F1 on val {f1:+.3f}", flush=True)


if __name__ == "__main__":
    main()
