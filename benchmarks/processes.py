"""How far two processes drift from one where whole networks learn, beside what one level of grey in one image does.

In float32 on CPUs, from the same seed. Training amplifies any rounding: the third run tells by how much.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file

PACK = "images.safetensors"


def train(data: Path, out: Path, epochs: int, processes: int) -> None:
    words = [sys.executable, "-m", "alrctl"]
    if processes > 1:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        words = [*torchrun, "-m", "alrctl"]
    given = [data, "--labels", data, "--method", "coteaching-vog", "--forget-rate", "0.2", "--epochs", str(epochs)]
    words += [
        "train-lnl",
        *map(str, given),
        "--precision",
        "float32",
        "--device",
        "cpu",
        "--allow-stale",
        "-o",
        str(out),
    ]
    subprocess.run(words, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)


def changed(data: Path, copy: Path) -> None:
    """Copy a data set, one training image of it a level brighter (or darker, where that is not to be had)."""
    shutil.copytree(data, copy)
    images = load_file(copy / PACK)["images"]
    row = pl.read_parquet(copy / "samples.parquet")["split"].to_list().index("train")
    images[row] = torch.where(images[row] < 255, images[row] + 1, images[row] - 1)
    save_file({"images": images}, copy / PACK)


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
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    given.out.mkdir(parents=True)
    changed(given.data, given.out / "changed")
    for epochs in given.epochs:
        runs = {"one": (given.data, 1), "two processes": (given.data, 2), "one level": (given.out / "changed", 1)}
        for name, (data, processes) in runs.items():
            train(data, given.out / f"{name}-{epochs}", epochs, processes)
        for name in list(runs)[1:]:
            weights, picks, f1 = apart(given.out / f"one-{epochs}", given.out / f"{name}-{epochs}")
            told = f"weights {weights:.2e}, {picks} picks differ, macro F1 on val {f1:+.3f}"
            print(f"{epochs} epoch(s), {name}: {told}", flush=True)


if __name__ == "__main__":
    main()
