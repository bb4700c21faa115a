"""Time and peak memory of `alrctl evaluate` as a whole process, on made-up predictions at the size of real collections.

python benchmarks/bench_evaluate.py
python benchmarks/bench_evaluate.py --rows 1000000 --runs 1

5,000,000 predictions of 9 classes in 3,000,000 groups, read from a table, judged with 1,000 resamples, and written
(stated: under 60 s and under 6 GiB). A single figure is the median of the runs, after none to warm up.
"""

from __future__ import annotations

import argparse
import os
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from timing import command

from alrctl import files, table_files
from schemas.labels import LABELS
from schemas.samples import SAMPLES

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "scc", "unk", "vasc")
SHARES = np.array([3, 5, 11, 1, 11, 64, 2, 2, 1]) / 100


def write(folder: Path, rows: int, groups: int) -> None:
    """Write a data set whose samples are all of the test split, and another program's predictions of them."""
    generator = np.random.default_rng(0)
    place = pl.Series(np.arange(rows))
    names = pl.Series(CLASSES)
    sample = pl.DataFrame({"place": place}).select(pl.format("images/sample-{}.jpg", "place").alias("sample_id"))
    group = pl.DataFrame({"group": generator.integers(0, groups, rows)}).select(pl.format("lesion-{}", "group"))
    label = generator.choice(len(CLASSES), rows, p=SHARES)
    samples = sample.with_columns(
        split=pl.lit("test"), group_id=group.to_series(), source="sample_id", width=pl.lit(600), height=pl.lit(450)
    )
    table_files.write_table(samples, folder / SAMPLES.file_name, SAMPLES)
    labels = sample.with_columns(label=names.gather(label), relabelled=pl.lit(False))
    table_files.write_table(labels, folder / LABELS.file_name, LABELS)
    files.write_yaml({"names": list(CLASSES), "ordered": False}, folder / "classes.yaml")
    logits = generator.normal(size=(rows, len(CLASSES))).astype(np.float32) + np.log(SHARES).astype(np.float32)
    logits[np.arange(rows), label] += 2
    posterior = np.exp(logits)
    posterior /= posterior.sum(axis=1, keepdims=True)
    sample.with_columns(posterior=pl.Series(posterior).arr.to_list()).write_parquet(folder / "said.parquet")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rows", type=int, default=5_000_000)
    words.add_argument("--groups", type=int, default=3_000_000)
    words.add_argument("--bootstrap", type=int, default=1000)
    words.add_argument("--runs", type=int, default=3)
    given = words.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, given.rows, given.groups)
        options = ("--predictions", folder / "said.parquet", "--bootstrap", given.bootstrap, "-o", folder / "eval")
        found = [command("evaluate", folder, *options, "--force") for _ in range(given.runs)]
        seconds, peak = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{os.cpu_count()} cores, median of {given.runs}, {given.bootstrap:,} resamples")
        print(f"{given.rows:,} predictions of {len(CLASSES)} classes: {seconds:.1f} s, {peak:.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
