"""Time and peak memory of `alrctl select` as a whole process, on made-up scores at the size of real collections.

python benchmarks/bench_select.py
python benchmarks/bench_select.py --rows 1000000 --runs 1

Entropy on 10,000,000 rows (stated: under 20 s and under 4 GiB), and core-set, BADGE and TypiClust on 100,000 embeddings
of 512 columns, a fifth of them trusted, 1,000 to be chosen (stated: under 2 minutes each). Half of the first table, and
what is not trusted of the second, is the pool. A single figure is the median of the runs, after none to warm up.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from safetensors.numpy import save_file
from timing import command

from alrctl import table_files
from schemas.scores import SCORES

CLASSES = np.array(["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"])
PART, WIDTH = 500_000, 512


def scores(rows: int, clean: float) -> Iterator[pl.DataFrame]:
    """Give scores of so many samples in parts; `clean` is the share judged clean."""
    for number, first in enumerate(range(0, rows, PART)):
        generator = np.random.default_rng(number)
        count = min(PART, rows - first)
        posterior = generator.dirichlet(np.ones(len(CLASSES)), count)
        label = generator.integers(0, len(CLASSES), count)
        top = np.sort(posterior, axis=1)
        said = pl.Series(CLASSES[posterior.argmax(axis=1)].tolist())
        columns = {
            "sample_id": [f"images/sample-{first + row:08d}.jpg" for row in range(count)],
            "given_label": CLASSES[label].tolist(),
            "judged_clean": generator.random(count) < clean,
            "posterior": pl.Series(posterior.astype(np.float32)).arr.to_list(),
            "predicted_label": said,
            "entropy": -(posterior * np.log(np.maximum(posterior, 1e-12))).sum(axis=1).clip(0),
            "least_confidence": 1 - top[:, -1],
            "margin": top[:, -1] - top[:, -2],
            "loss": -np.log(np.maximum(posterior[np.arange(count), label], 1e-12)),
            "suggested_label": said,
            "suggested_certainty": top[:, -1],
        }
        yield pl.DataFrame(columns)


def tell(name: str, runs: int, *arguments: object) -> None:
    found = [command(*arguments, "--force") for _ in range(runs)]
    seconds, peak = (statistics.median(column) for column in zip(*found, strict=True))
    print(f"{name}: {seconds:.1f} s, {peak:.2f} GiB", flush=True)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rows", type=int, default=10_000_000)
    words.add_argument("--embeddings", type=int, default=100_000)
    words.add_argument("--budget", type=int, default=1000)
    words.add_argument("--runs", type=int, default=3)
    given = words.parse_args()
    with TemporaryDirectory() as folder:
        long, wide, out = Path(folder) / "long.parquet", Path(folder) / "wide", Path(folder) / "queue"
        table_files.write_tables(scores(given.rows, 0.5), long, SCORES)
        wide.mkdir()
        table_files.write_tables(scores(given.embeddings, 0.2), wide / "scores.parquet", SCORES)
        points = np.random.default_rng(0).normal(size=(given.embeddings, WIDTH)).astype(np.float32)
        save_file({"embeddings": points}, wide / "embeddings.safetensors")
        print(f"{os.cpu_count()} cores, budget {given.budget:,}, medians of {given.runs}", flush=True)
        shared = ("--budget", given.budget, "-o", out)
        tell(f"entropy, {given.rows:,} rows", given.runs, "select", long, "--strategy", "entropy", *shared)
        for strategy in ("coreset", "badge", "typiclust"):
            name = f"{strategy}, {given.embeddings:,} x {WIDTH}"
            tell(name, given.runs, "select", wide, "--strategy", strategy, *shared)


if __name__ == "__main__":
    main()
