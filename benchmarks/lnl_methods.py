"""Every method of `train-lnl` under several kinds of noise, over seeds: a table of mean and standard deviation.

python benchmarks/lnl_methods.py WORK/data --out WORK/frozen --config benchmarks/ham_frozen.yaml
python benchmarks/lnl_methods.py WORK/data --out WORK/frozen --config benchmarks/ham_frozen.yaml --only-print

WORK/data is what `alrctl ingest` wrote. Each run is a chain of `corrupt`, `train-lnl` and `evaluate` below --out,
skipped where it is there already, so that the table may be made in several sittings. Methods that judge no label trust
them all: their precision is the share of right labels, their recall 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from alrctl.commands.corrupt import corrupt
from alrctl.commands.evaluate import evaluate
from alrctl.commands.train_lnl import train_lnl
from alrctl.console import Voice
from alrctl.session import Session
from stages.corrupt import CorruptConfig
from stages.evaluate import EvaluateConfig
from stages.train_lnl import TrainLnlConfig

HAM_MAP = ("nv=mel", "mel=nv", "bcc=bkl", "bkl=bcc", "vasc=df", "df=vasc", "akiec=bkl")
NOISE: dict[str, dict[str, Any]] = {
    "symmetric 0.2": {"rate": 0.2},
    "symmetric 0.4": {"rate": 0.4},
    "symmetric 0.5": {"rate": 0.5},
    "asymmetric 0.4": {"rate": 0.4, "noise": "asymmetric", "map": HAM_MAP},
}
METHODS: dict[str, dict[str, Any]] = {
    "cross-entropy": {"method": "cross-entropy"},
    "sce": {"method": "sce"},
    "gce": {"method": "gce"},
    "elr": {"method": "elr"},
    "coteaching, told the rate": {"method": "coteaching", "forget_rate": "told"},
    "coteaching-vog, told the rate": {"method": "coteaching-vog", "forget_rate": "told"},
    "coteaching-vog, told the rate, clean pass": {
        "method": "coteaching-vog",
        "forget_rate": "told",
        "gradients": "clean-pass",
    },
    "coteaching-vog, not told": {"method": "coteaching-vog"},
    "class-aware": {"method": "class-aware"},
    "cross-entropy, logit-adjusted": {"method": "cross-entropy", "logit_adjustment": 1.0},
    "coteaching-vog, told, logit-adjusted": {
        "method": "coteaching-vog",
        "forget_rate": "told",
        "logit_adjustment": 1.0,
    },
    "coteaching-vog, told, logit-adjusted, dropout": {
        "method": "coteaching-vog",
        "forget_rate": "told",
        "logit_adjustment": 1.0,
        "dropout": 0.5,
    },
}
COLUMNS = ("BA", "macro-F1", "precision", "recall", "worst", "mean over classes", "estimated rate")


def place(out: Path, *words: str) -> Path:
    return out.joinpath(*(word.replace(", ", "-").replace(" ", "-") for word in words))


def run(data: Path, out: Path, noise: str, method: str, seed: int, options: dict[str, Any]) -> None:
    session = Session(Voice(quiet=True))
    noisy = place(out, noise, str(seed), "noisy")
    corrupt(session, CorruptConfig(**NOISE[noise], seed=seed), data, noisy)
    told = dict(METHODS[method])
    if told.get("forget_rate") == "told":
        told["forget_rate"] = NOISE[noise]["rate"]
    lnl = place(out, noise, str(seed), method, "lnl")
    train_lnl(session, TrainLnlConfig(**{**options, **told, "seed": seed}), data, noisy, lnl)
    found = place(out, noise, str(seed), method, "eval")
    evaluate(session, EvaluateConfig(bootstrap=0, figures=False), data, found, checkpoint=lnl, truth=noisy)


def figures(out: Path, noise: str, method: str, seed: int) -> list[float | None] | None:
    """Return the table's columns of one run; None where it is not there yet."""
    home = place(out, noise, str(seed), method)
    if not (home / "eval" / "manifest.json").is_file():
        return None
    summary = json.loads((home / "eval" / "manifest.json").read_text())["summary"]
    quality, metrics, by_class = summary["label_quality"], summary["metrics"], summary["by_class"]
    judged = quality["clean_recall"] is not None
    recalls = [value for value in by_class["clean_recall"] if value is not None]
    lnl = json.loads((home / "lnl" / "manifest.json").read_text())["summary"]
    return [
        metrics["balanced_accuracy"]["value"],
        metrics["macro_f1"]["value"],
        quality["clean_precision"] if judged else quality["label_accuracy_before"],
        quality["clean_recall"] if judged else 1.0,
        quality["clean_recall_worst_class"] if judged else 1.0,
        statistics.mean(recalls) if judged else 1.0,
        lnl["estimated_noise_rate"],
    ]


def cell(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.mean(known):.3f} ± {statistics.pstdev(known):.3f}" if known else "-"


def arguments(
    description: str | None, config: bool = False, noise: Sequence[str] = tuple(NOISE), seeds: Sequence[int] = (0, 1, 2)
) -> argparse.ArgumentParser:
    """Return what reads the words that every study of this folder is given: data, place, noises and seeds."""
    words = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("data", type=Path)
    words.add_argument("--out", type=Path, required=True)
    words.add_argument("--noise", nargs="+", default=list(noise))
    words.add_argument("--seeds", type=int, nargs="+", default=list(seeds))
    if config:
        words.add_argument("--config", type=Path, required=True, help="YAML with options of train-lnl")
    return words


def main() -> None:
    words = arguments(__doc__)
    words.add_argument("--config", type=Path, help="YAML with options of train-lnl")
    words.add_argument("--methods", nargs="+", default=list(METHODS))
    words.add_argument("--map", nargs="+", metavar="FROM=TO", help="of the asymmetric noise (default: HAM10000's)")
    words.add_argument("--only-print", action="store_true")
    given = words.parse_args()
    if given.map:
        NOISE["asymmetric 0.4"]["map"] = tuple(given.map)
    options = (
        {k.replace("-", "_"): v for k, v in yaml.safe_load(given.config.read_text()).items()} if given.config else {}
    )
    for seed, noise, method in product(given.seeds, given.noise, given.methods):
        if not given.only_print:
            run(given.data, given.out, noise, method, seed, options)
            print("done:", noise, method, seed, flush=True)
    print("| noise | method |", " | ".join(COLUMNS), "| seeds |")
    print("|---|---|" + "---|" * (len(COLUMNS) + 1))
    for noise, method in product(given.noise, given.methods):
        rows = [row for row in (figures(given.out, noise, method, seed) for seed in given.seeds) if row]
        if rows:
            print(f"| {noise} | {method} |", " | ".join(map(cell, zip(*rows, strict=True))), f"| {len(rows)} |")


if __name__ == "__main__":
    main()
