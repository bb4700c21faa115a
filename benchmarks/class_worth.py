"""What the labels are that expected correction ranks first, by how much more a rare class's is held to be worth.

python benchmarks/class_worth.py WORK/data --out WORK/frozen --seeds 0 1 2 3 4

WORK/frozen is what lnl_methods.py wrote of `class-aware`. Of the first 500 labels in one go, or of the first tenth
where there are fewer than 5,000: how many times as many are wrong as at random, mean over the seeds, and in the worst
one; in brackets how many times as large a share of a class's errors is found, mean over the classes.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from lnl_methods import arguments, place

from stages.methods.mislabelling import expected_correction

WORTHS = (0.0, 0.03, 0.05, 0.08, 0.1, 0.15, 0.25)


def gains(home: Path, names: list[str], worth: float) -> tuple[float, float]:
    """Return how many times as many wrong labels stand first as at random, overall and by class."""
    place_of = {name: index for index, name in enumerate(names)}
    both = pl.read_parquet(home / "class-aware" / "lnl" / "clean.parquet")
    for file in ("labels.parquet", "truth.parquet"):
        both = both.join(pl.read_parquet(home / "noisy" / file), on="sample_id", maintain_order="left")
    given, true = (both[column].replace_strict(place_of).to_numpy() for column in ("label", "true_label"))
    posterior = np.array(both["true_posterior"].to_list())
    wrong, count = given != true, min(500, len(true) // 10)
    first = np.argsort(-expected_correction(posterior, given, worth).expected, kind="stable")[:count]
    shares = [wrong[first][true[first] == k].sum() / wrong[true == k].sum() for k in np.unique(true[wrong])]
    return float(wrong[first].mean() / wrong.mean()), float(np.mean(shares)) * len(true) / count


def main() -> None:
    words = arguments(__doc__)
    told = words.parse_args()
    names = [str(name) for name in yaml.safe_load((told.data / "classes.yaml").read_text())["names"]]
    print("| class worth |", " | ".join(told.noise), "|")
    print("|---|" + "---|" * len(told.noise))
    for worth in WORTHS:
        cells = []
        for noise in told.noise:
            found = [gains(place(told.out, noise, str(seed)), names, worth) for seed in told.seeds]
            overall, by_class = zip(*found, strict=True)
            cells.append(f"{statistics.mean(overall):.2f}, {min(overall):.2f} ({statistics.mean(by_class):.1f})")
        print(f"| {worth} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
