"""What the estimate of the noise gains by several kernels, from frozen features: rate, truth told, judgement.

python benchmarks/noise_views.py WORK/data --out WORK/views --config benchmarks/ham_frozen.yaml --seeds 0 1 2 --widths 1
python benchmarks/noise_views.py WORK/data --out WORK/views --config benchmarks/ham_frozen.yaml --seeds 0 1 2

WORK/data is what `alrctl ingest` wrote. Errors are absolute: of the rate overall, and the largest by true and by given
class among those with 100 samples or more. "Told": share of the samples whose true class is held for likeliest, mean
over the classes. Precision and worst class are those of "judged clean" with the default floor.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from lnl_methods import NOISE, arguments, place
from numpy.typing import NDArray

from alrctl.commands.corrupt import corrupt
from alrctl.commands.score import score
from alrctl.commands.train_lnl import train_lnl
from alrctl.console import Voice
from alrctl.embeddings import EMBEDDINGS, read_embeddings
from alrctl.session import Session
from stages.corrupt import CorruptConfig
from stages.methods import noise_estimate
from stages.methods.clean_floor import judge
from stages.methods.noise_estimate import NoiseEstimate, Rate
from stages.methods.samples import group_numbers
from stages.methods.transition_model import UNKNOWN
from stages.score import ScoreConfig
from stages.train_lnl import TrainLnlConfig
from stages.training.recipe import CLEAN_FLOOR

COLUMNS = ("rate off by", "by true class", "by given class", "told", "precision", "worst class", "seconds")
_LARGE = 100


def frozen(data: Path, out: Path, options: dict[str, Any]) -> NDArray[np.float64]:
    """Return features (N, D) of the training samples, of a backbone of which nothing was trained."""
    session, start = Session(Voice(quiet=True)), out / "start"
    config = options | {"method": "scratch", "train": "head", "hidden": 0}
    train_lnl(session, TrainLnlConfig(**config), data, data, start)
    told = ScoreConfig(dropout_passes=2, precision=options.get("precision", "auto"))
    score(session, told, data, data, start, out / "scores")
    scored = pl.read_parquet(out / "scores" / "scores.parquet", columns=["sample_id"])
    return read_embeddings(out / "scores" / EMBEDDINGS, scored.height).double().numpy()


def one(home: Path, samples: pl.DataFrame, names: list[str], features: NDArray[np.float64], seed: int) -> list[float]:
    """Return the table's columns for one draw of noisy labels."""
    place_of = {name: index for index, name in enumerate(names)}
    both = samples.join(pl.read_parquet(home / "labels.parquet"), on="sample_id", maintain_order="left").join(
        pl.read_parquet(home / "truth.parquet"), on="sample_id", maintain_order="left"
    )
    given, true = (both[column].replace_strict(place_of).to_numpy() for column in ("label", "true_label"))
    before = time.perf_counter()
    unknown = np.full(len(true), UNKNOWN)
    found = noise_estimate.estimate_noise(features, given, unknown, group_numbers(samples), len(names), seed)
    return [*judged(found, given, true, len(names)), time.perf_counter() - before]


def judged(found: NoiseEstimate, given: NDArray[np.int64], true: NDArray[np.int64], classes: int) -> list[float]:
    """Return the table's columns but the last."""
    wrong, right = given != true, found.truth[np.arange(len(true)), given]
    clean, hit = judge(right, given, CLEAN_FLOOR), found.truth.argmax(axis=1) == true
    members = [true == index for index in np.unique(true)]

    def off(rates: list[Rate | None], label: NDArray[np.int64]) -> float:
        sizes = np.bincount(label, minlength=classes)
        known = [(rate, wrong[label == k]) for k, rate in enumerate(rates) if rate is not None and sizes[k] >= _LARGE]
        return max(abs(rate.value - float(errors.mean())) for rate, errors in known)

    return [
        abs(found.rate.value - float(wrong.mean())),
        off(found.by_true_class, true),
        off(found.by_given_class, given),
        float(np.mean([hit[member].mean() for member in members])),
        float((~wrong[clean]).mean()),
        float(min(clean[member & ~wrong].mean() for member in members if (member & ~wrong).any())),
    ]


def main() -> None:
    words = arguments(__doc__, config=True)
    words.add_argument("--widths", type=float, nargs="+", help="of the kernels (default: the program's)")
    words.add_argument("--map", nargs="+", metavar="FROM=TO", help="of the asymmetric noise (default: HAM10000's)")
    given = words.parse_args()
    if given.map:
        NOISE["asymmetric 0.4"]["map"] = tuple(given.map)
    noise_estimate._WIDTHS = tuple(given.widths or noise_estimate._WIDTHS)
    options = {k.replace("-", "_"): v for k, v in yaml.safe_load(given.config.read_text()).items()}
    features = frozen(given.data, given.out, options)
    samples = pl.read_parquet(given.data / "samples.parquet").filter(split="train")
    names = yaml.safe_load((given.data / "classes.yaml").read_text())["names"]
    print("| noise |", " | ".join(COLUMNS), "|")
    print("|---|" + "---|" * len(COLUMNS))
    for noise in given.noise:
        rows = []
        for seed in given.seeds:
            home = place(given.out, noise, str(seed), "noisy")
            corrupt(Session(Voice(quiet=True)), CorruptConfig(**NOISE[noise], seed=seed), given.data, home)
            rows.append(one(home, samples, names, features, seed))
        print(
            f"| {noise} |",
            " | ".join(f"{statistics.mean(found):.3f}" for found in zip(*rows, strict=True)),
            "|",
            flush=True,
        )


if __name__ == "__main__":
    main()
