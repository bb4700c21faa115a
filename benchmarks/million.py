"""A million small images through the chain: seconds, and peak memory of each command.

python benchmarks/million.py WORK [--samples 1000000] [--only STAGE ...]
systemd-run --scope -p MemoryMax=8G -p MemorySwapMax=0 python benchmarks/million.py WORK  # the files' cache counted

WORK takes some 15 GB: the images (PNGs of 32 x 32 pixels in folders of seven classes, 50:1), their pack, and the
features of a frozen EfficientNet-Lite0. What is there already is not made again. Resident counts the pages of mapped
files, which the system takes back when it needs room; own does not: what the process itself asked for, looked at every
half second.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32
SHARES = (0.50, 0.25, 0.12, 0.06, 0.04, 0.02, 0.01)
FROZEN = ("--train", "head", "--backbone", "tf_efficientnet_lite0", "--weights", "efficientnet-lite0", "--epochs", "1")
STAGES = {
    "ingest": ("ingest", "photos", "-o", "data", "--image-size", str(SIDE)),
    "corrupt": ("corrupt", "data", "--rate", "0.4", "-o", "noisy"),
    "train-lnl": ("train-lnl", "data", "--labels", "noisy", "--method", "class-aware", *FROZEN, "-o", "lnl"),
    "score": ("score", "data", "--labels", "noisy", "--checkpoint", "lnl", "-o", "scores"),
    "select": ("select", "scores", "--budget", "1000", "-o", "queue"),
    "relabel": ("relabel", "noisy", "--queue", "queue", "--oracle", "noisy", "-o", "labels"),
}


def make_images(folder: Path, samples: int) -> None:
    generator = np.random.default_rng(0)
    labels = generator.choice(len(SHARES), samples, p=SHARES)
    colours = generator.integers(0, 255, (len(SHARES), 8, 8, 3))
    for label in range(len(SHARES)):
        (folder / f"c{label}").mkdir(parents=True)
    for number, label in enumerate(labels):
        pixels = np.clip(colours[label] + generator.normal(0, 60, (8, 8, 3)), 0, 255).astype(np.uint8)
        image = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        image.save(folder / f"c{label}" / f"{number:07d}.png")


def own_memory(process: int) -> int:
    """Return the KiB of a process's own memory; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def measured(words: tuple[str, ...], home: Path) -> tuple[float, float, float]:
    """Return seconds, peak resident and peak own memory in GiB of one command, which must succeed."""
    environment = os.environ | {"ALRCTL_CACHE": str(home / "cache")}
    began, own = time.perf_counter(), 0
    command = [sys.executable, "-m", "alrctl", *words, "--force"]
    process = subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.DEVNULL)
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        own = max(own, own_memory(process.pid))
        time.sleep(0.5)
    assert os.waitstatus_to_exitcode(status) == 0, words
    return time.perf_counter() - began, usage.ru_maxrss / 2**20, own / 2**20


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("work", type=Path)
    asked.add_argument("--samples", type=int, default=1_000_000)
    asked.add_argument("--only", nargs="*", choices=list(STAGES), default=list(STAGES))
    given = asked.parse_args()
    home = given.work.resolve()
    if not (home / "photos").is_dir():
        make_images(home / "photos", given.samples)
    print("| command | seconds | resident, GiB | own, GiB |\n|---|---|---|---|", flush=True)
    for name in given.only:
        seconds, resident, own = measured(STAGES[name], home)
        print(f"| {name} | {seconds:,.0f} | {resident:.2f} | {own:.2f} |", flush=True)


if __name__ == "__main__":
    main()
