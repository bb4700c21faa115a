"""Time and peak memory of `alrctl relabel` as a whole process, on made-up labels at the size of real collections.

python benchmarks/bench_relabel.py

100,000 answers of three annotators into 1,000,000 labels (stated: under 10 s and under 2 GiB); then a second answer to
each into what that left, which is read, verified and settled anew; then what it takes to verify the ledger. Each figure
is the median of the runs, after none to warm up.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from timing import command

from alrctl import files

CLASSES = np.array(["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"])


def write_inputs(folder: Path, labels: int, answers: int) -> None:
    """Write a label table, a queue, and two CSV files of answers."""
    generator = np.random.default_rng(0)
    ids = pl.Series("sample_id", [f"images/sample-{row:08d}.jpg" for row in range(labels)])
    given = CLASSES[generator.integers(0, len(CLASSES), labels)]
    (folder / "labels").mkdir()
    pl.DataFrame({"sample_id": ids, "label": given.tolist()}).write_parquet(folder / "labels/labels.parquet")
    files.write_yaml({"names": CLASSES.tolist()}, folder / "labels/classes.yaml")
    asked = generator.choice(labels, answers, replace=False)
    said = CLASSES[generator.integers(0, len(CLASSES), answers)].tolist()
    queue = {"rank": range(1, answers + 1), "sample_id": ids[asked], "given_label": given[asked].tolist()}
    pl.DataFrame(queue | {"suggested_label": said}).write_parquet(folder / "queue.parquet")
    for name, people in (("first", ["ann", "bob", "cid"]), ("second", ["dan", "eve", "fay"])):
        table = {
            "sample_id": ids[asked],
            "label": CLASSES[generator.integers(0, len(CLASSES), answers)].tolist(),
            "annotator": generator.choice(people, answers).tolist(),
            "seconds": generator.gamma(2, 4, answers).round(1),
            "timestamp": [
                f"2026-01-{1 + row % 28:02d}T10:{row // 60 % 60:02d}:{row % 60:02d}Z" for row in range(answers)
            ],
        }
        pl.DataFrame(table).write_csv(folder / f"{name}.csv")


def measure(name: str, runs: int, out: Path | None, *arguments: object) -> None:
    """Run a command several times, and print the medians."""
    found = []
    for _ in range(runs):
        if out is not None:
            rmtree(out, ignore_errors=True)
        found.append(command(*arguments))
    seconds, memory = (statistics.median(figures) for figures in zip(*found, strict=True))
    print(f"{name}: {seconds:.1f} s, {memory:.2f} GiB", flush=True)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--answers", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with TemporaryDirectory() as place:
        folder = Path(place)
        write_inputs(folder, given.labels, given.answers)
        sizes = f"{given.answers:,} answers into {given.labels:,} labels"
        queue = ("--queue", folder / "queue.parquet")
        one, two = folder / "one", folder / "two"
        first = ("relabel", folder / "labels", *queue, "--answers", folder / "first.csv", "-o", one)
        measure(sizes, given.runs, one, *first)
        second = ("relabel", one, *queue, "--answers", folder / "second.csv", "-o", two)
        measure(f"{sizes}, a second answer each", given.runs, two, *second)
        measure("ledger verify", given.runs, None, "ledger", "verify", two)


if __name__ == "__main__":
    main()
