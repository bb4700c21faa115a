"""How many real errors each strategy of `select` finds under several kinds of noise, over seeds.

python benchmarks/strategies.py WORK/data --out WORK/frozen --config benchmarks/ham_frozen.yaml
python benchmarks/strategies.py WORK/data --out WORK/frozen --config benchmarks/ham_frozen.yaml --cross-validate 5

Each run is a chain of `corrupt`, `train-lnl` (coteaching-vog, not told the rate) and `score` below --out, skipped where
it is there already. Of the first --budget samples that a strategy picks: the share whose label is wrong; the mean over
the true classes of the share of the class's errors that are found; and that share by class.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

import polars as pl
import yaml
from lnl_methods import NOISE, arguments, place

from alrctl import table_files
from alrctl.commands.corrupt import corrupt
from alrctl.commands.score import score
from alrctl.commands.train_lnl import train_lnl
from alrctl.console import Voice
from alrctl.dataset import CLASSES, read_classes
from alrctl.embeddings import EMBEDDINGS, read_embeddings
from alrctl.session import Session
from schemas.scores import SCORES
from schemas.truth import TRUTH
from stages.corrupt import CorruptConfig
from stages.report import SilentReport
from stages.score import ScoreConfig
from stages.select import SelectConfig, SelectInputs
from stages.select import run as select
from stages.train_lnl import TrainLnlConfig

METHOD = "coteaching-vog, not told"
STRATEGIES: dict[str, dict[str, Any]] = {
    "random (control)": {"strategy": "random"},
    "class-balanced-random": {"strategy": "class-balanced-random"},
    "entropy": {"strategy": "entropy"},
    "least-confidence": {"strategy": "least-confidence"},
    "margin": {"strategy": "margin"},
    "bald": {"strategy": "bald"},
    "disagreement": {"strategy": "disagreement"},
    "neighbours": {"strategy": "neighbours"},
    "coreset": {"strategy": "coreset"},
    "badge": {"strategy": "badge"},
    "typiclust": {"strategy": "typiclust"},
    **{
        f"label-quality: {measure}": {"strategy": "label-quality", "label_quality": measure}
        for measure in (
            "self-confidence",
            "normalised-margin",
            "cross-entropy-less-entropy",
            "confidence-weighted-entropy",
            "area-under-margin",
        )
    },
    "expected-correction, class worth 0": {"strategy": "expected-correction", "class_worth": 0.0},
    "expected-correction, class worth 0.5": {"strategy": "expected-correction", "class_worth": 0.5},
    "expected-correction, class worth 1": {"strategy": "expected-correction", "class_worth": 1.0},
    "mix: expected-correction 2, area-under-margin 1": {
        "strategy": "mix",
        "mix": ("expected-correction=2", "label-quality=1"),
        "label_quality": "area-under-margin",
    },
}


def prepare(data: Path, out: Path, noise: str, seed: int, options: dict[str, Any], folds: int) -> tuple[Path, Path]:
    """Run the chain up to the scores; return their directory and that of the noisy labels."""
    session = Session(Voice(quiet=True))
    noisy, home = place(out, noise, str(seed), "noisy"), place(out, noise, str(seed), METHOD)
    corrupt(session, CorruptConfig(**NOISE[noise], seed=seed), data, noisy)
    train_lnl(session, TrainLnlConfig(**options, method="coteaching-vog", seed=seed), data, noisy, home / "lnl")
    scores = home / ("scores" if not folds else f"scores-cv{folds}")
    score(session, ScoreConfig(cross_validate=folds), data, noisy, home / "lnl", scores)
    return scores, noisy


def found(data: Path, scores: Path, noisy: Path, given: argparse.Namespace, seed: int) -> dict[str, list[float]]:
    """Return of each strategy the share of errors, the mean share found by class, and that share by class."""
    table = table_files.read_table(scores / "scores.parquet", SCORES)
    names = read_classes(data / CLASSES).names
    embeddings = read_embeddings(scores / EMBEDDINGS, table.height)
    truth = table.select("sample_id", "given_label").join(
        table_files.read_table(noisy / "truth.parquet", TRUTH), on="sample_id", maintain_order="left"
    )
    wrong = truth.filter(pl.col("given_label") != pl.col("true_label"))
    errors = dict(wrong["true_label"].value_counts().iter_rows())
    rows = {}
    for name, options in STRATEGIES.items():
        config = SelectConfig(**options, budget=given.budget, pool=given.pool, seed=seed)
        queue = select(config, SelectInputs(table, names, embeddings), SilentReport()).queue
        hits = wrong.filter(pl.col("sample_id").is_in(queue["sample_id"].implode()))
        counts = dict(hits["true_label"].value_counts().iter_rows())
        shares = [counts.get(label, 0) / errors[label] for label in names if label in errors]
        rows[name] = [hits.height / queue.height, mean(shares), *shares]
    return rows


def main() -> None:
    words = arguments(__doc__, config=True, noise=["symmetric 0.4", "asymmetric 0.4"])
    words.add_argument("--budget", type=int, default=500)
    words.add_argument("--pool", choices=("noisy", "all"), default="noisy")
    words.add_argument("--cross-validate", type=int, default=0)
    given = words.parse_args()
    options = {name.replace("-", "_"): value for name, value in yaml.safe_load(given.config.read_text()).items()}
    names = read_classes(given.data / CLASSES).names
    print("| noise | strategy | wrong labels | mean over classes |", " | ".join(names), "|")
    print("|---|---|---|---|" + "---|" * len(names))
    for noise in given.noise:
        runs = []
        for seed in given.seeds:
            scores, noisy = prepare(given.data, given.out, noise, seed, options, given.cross_validate)
            runs.append(found(given.data, scores, noisy, given, seed))
        for number, name in enumerate(STRATEGIES):
            columns = list(zip(*(run[name] for run in runs), strict=True))
            cells = [f"{mean(column):.3f} ± {pstdev(column):.3f}" for column in columns[:2]]
            cells += [f"{mean(column):.2f}" for column in columns[2:]]
            print(f"| {noise if number == 0 else ''} | {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
