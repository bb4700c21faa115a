"""Time and peak memory of `alrctl corrupt` as a whole process, on made-up data at the size of real collections.

python benchmarks/bench_corrupt.py
python benchmarks/bench_corrupt.py --samples 100000 --runs 1

1,000,000 samples of 9 classes: class-dependent noise, noise by instance from images of 32 x 32 pixels, and from
embeddings of 512 columns. A single figure is the median of the runs, after none to warm up. Needs 5 GB of disk.
"""

from __future__ import annotations

import argparse
import os
import statistics
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from safetensors.numpy import save_file
from timing import command

from alrctl import files, table_files
from schemas.labels import LABELS
from schemas.samples import SAMPLES

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "scc", "unk", "vasc")
SHARES = np.array([3, 5, 11, 1, 11, 64, 2, 2, 1]) / 100
SIDE, WIDTH = 32, 512
KINDS = {
    "pair": (),
    "instance": (),
    "instance, embeddings": ("--features", "embeddings.safetensors"),
}


def write(folder: Path, samples: int) -> None:
    """Write a data set all of whose samples are of the training split, its images, and embeddings with their scores."""
    generator = np.random.default_rng(0)
    ids = pl.select(pl.format("images/sample-{}.jpg", pl.int_range(samples)).alias("sample_id"))
    columns = {"group_id": pl.lit(None, pl.String), "width": pl.lit(SIDE), "height": pl.lit(SIDE)}
    table = ids.with_columns(split=pl.lit("train"), source="sample_id", **columns)
    table_files.write_table(table, folder / SAMPLES.file_name, SAMPLES)
    label = pl.Series(CLASSES).gather(generator.choice(len(CLASSES), samples, p=SHARES))
    table_files.write_table(ids.with_columns(label=label, relabelled=pl.lit(False)), folder / LABELS.file_name, LABELS)
    files.write_yaml({"names": list(CLASSES), "ordered": False}, folder / "classes.yaml")
    pixels = generator.integers(0, 256, (samples, SIDE, SIDE, 3), dtype=np.uint8)
    save_file({"images": pixels}, folder / "images.safetensors")
    del pixels
    save_file(
        {"embeddings": generator.standard_normal((samples, WIDTH), np.float32)}, folder / "embeddings.safetensors"
    )
    ids.write_parquet(folder / "scores.parquet")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--samples", type=int, default=1_000_000)
    words.add_argument("--runs", type=int, default=3)
    given = words.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        writing = get_context("spawn").Process(target=write, args=(folder, given.samples))
        writing.start()  # in a process of its own, or its peak memory would count as that of those begun after it
        writing.join()
        print(f"{os.cpu_count()} cores, median of {given.runs}, {given.samples:,} samples of {len(CLASSES)} classes")
        for kind, more in KINDS.items():
            options = ("--noise", kind.partition(",")[0], *(folder / word if "." in word else word for word in more))
            found = [command("corrupt", folder, *options, "-o", folder / "n", "--force") for _ in range(given.runs)]
            seconds, peak = (statistics.median(column) for column in zip(*found, strict=True))
            print(f"{kind}: {seconds:.1f} s, {peak:.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
