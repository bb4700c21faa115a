"""Peak memory and time of `train-lnl --train head` by data size, on made-up features of 512 columns.

python benchmarks/bench_memory.py
python benchmarks/bench_memory.py --samples 1000000 --epochs 50

Each size runs in a process of its own: `coteaching-vog` by default, its state kept on disk as the command keeps
it, and its tables written. Beside the measured peak stands what is stated in docs/performance.md.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from alrctl import table_files
from alrctl.allocator import keep_freed_memory
from alrctl.resume import DiskStore
from schemas.checkpoint import NetworkSpec
from schemas.clean import CLEAN
from schemas.signals import SIGNALS
from stages.report import SilentReport
from stages.train_lnl import TrainLnlConfig, TrainLnlInputs, run

WIDTH, HIDDEN, CLASSES = 512, 256, 7
BASE = 1.1e9
"""Bytes of Python, torch and polars themselves, and of what does not grow with the data."""


def stated(samples: int, epochs: int) -> float:
    """Return the peak in bytes that docs/performance.md states."""
    features = WIDTH * 4
    window = 2 * (2 * HIDDEN * 2 + 4)  # two networks' features in half precision and residuals; twice while written
    signals = 2 * 17 * (1 if samples > 493_000 else epochs)  # past 32 MiB an epoch they lie on disk
    others = 600  # ids, labels, orders of batches, mixtures, tables of one epoch
    return BASE + samples * (features + window + signals + others)


def train(samples: int, epochs: int, batch_size: int) -> None:
    keep_freed_memory()  # as the command does
    generator = torch.Generator().manual_seed(0)
    features = torch.empty(samples, WIDTH).normal_(generator=generator)
    labels = torch.randint(0, CLASSES, (samples,), generator=generator)
    spec = NetworkSpec(
        backbone="resnet18",
        train="head",
        hidden=HIDDEN,
        dropout=0,
        image_size=64,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        feature_width=WIDTH,
    )
    rows = torch.arange(samples)
    inputs = TrainLnlInputs(
        sample_ids=[f"images/sample-{index:07d}.png" for index in range(samples)],
        rows=rows,
        labels=labels,
        val_rows=rows[:1000],
        val_labels=labels[:1000],
        classes=tuple("abcdefg"),
        images=None,
        features=features,
        spec=spec,
        backbone_weights={},
    )
    config = TrainLnlConfig(train="head", epochs=epochs, batch_size=batch_size, num_gradual=min(10, epochs // 2))
    began = time.perf_counter()
    with TemporaryDirectory() as folder:
        outputs = run(config, inputs, SilentReport(), DiskStore(Path(folder) / "state"))
        table_files.write_table(CLEAN.make(outputs.clean), Path(folder) / CLEAN.file_name, CLEAN)
        table_files.write_tables(outputs.signals, Path(folder) / SIGNALS.file_name, SIGNALS)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"| {samples:,} | {epochs} | {peak / 1e9:.2f} | {stated(samples, epochs) / 1e9:.2f} | {seconds:,.0f} |",
        flush=True,
    )


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--samples", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    words.add_argument("--epochs", type=int, default=6)
    words.add_argument("--batch-size", type=int, default=1024, help="has no part in the peak; large is quick")
    words.add_argument("--here", action="store_true", help="train in this process (used by the script itself)")
    given = words.parse_args()
    if given.here:
        train(given.samples[0], given.epochs, given.batch_size)
        return
    print("| samples | epochs | peak, GB | stated, GB | seconds |\n|---|---|---|---|---|", flush=True)
    for samples in given.samples:
        options = ["--epochs", str(given.epochs), "--batch-size", str(given.batch_size)]
        subprocess.run([sys.executable, __file__, "--here", "--samples", str(samples), *options], check=True)


if __name__ == "__main__":
    main()
