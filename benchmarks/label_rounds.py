"""Rounds of relabelling by the class-aware method, by the paper's, and at random: what each label bought.

python benchmarks/label_rounds.py WORK/data --out WORK/rounds --config benchmarks/ham_frozen.yaml --seeds 0 1 2
python benchmarks/label_rounds.py WORK/data --out WORK/rounds --config benchmarks/ham_frozen.yaml --only-print

WORK/data is what `alrctl ingest` wrote. Each run is a pipeline below --out, gone on with where it was broken off. The
area is the mean of balanced accuracy over the rounds, the one before any label among them; mended, the errors mended a
label; by class, the mean over the true classes of the share of the class's errors that were mended, beside the share
that as many labels drawn at random from all would mend.
"""

from __future__ import annotations

import statistics
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from lnl_methods import NOISE, arguments, place

from alrctl.commands.run import execute
from alrctl.console import Voice
from alrctl.pipeline import parse
from alrctl.session import Session

ARMS: dict[str, dict[str, Any]] = {
    "class-aware, expected-correction": {"method": "class-aware", "strategy": "expected-correction"},
    "class-aware, random": {"method": "class-aware", "strategy": "random", "pool": "all"},
    "coteaching-vog told the rate, entropy": {"method": "coteaching-vog", "forget_rate": "told", "strategy": "entropy"},
    "coteaching-vog told the rate, random": {"method": "coteaching-vog", "forget_rate": "told", "strategy": "random"},
}
COLUMNS = ("area", "at the end", "mended a label", "by class", "by class at random")


def run(data: Path, home: Path, noise: str, arm: str, seed: int, options: dict[str, Any], given: Any) -> None:
    told = dict(ARMS[arm])
    strategy, pool = told.pop("strategy"), told.pop("pool", None)
    precision = {"precision": options["precision"]} if "precision" in options else {}
    if told.get("forget_rate") == "told":
        told["forget_rate"] = NOISE[noise]["rate"]
    pipeline: dict[str, Any] = {
        "source": str(data.resolve()),
        "output": str(home.resolve()),
        "rounds": given.rounds,
        "expert": "oracle",
        "seed": seed,
        "strategies": [strategy],
        "corrupt": {name: list(value) if isinstance(value, tuple) else value for name, value in NOISE[noise].items()},
        "train-lnl": options | {name.replace("_", "-"): value for name, value in told.items()},
        "select": {"budget": given.budget} | ({"pool": pool} if pool else {}),
        "score": precision,
        "recalibrate": precision,
        "evaluate": {"split": "test", "bootstrap": 0, "figures": False} | precision,
    }
    execute(Session(Voice(quiet=True)), parse(pipeline, Path(), arm))


def figures(home: Path, rounds: int, samples: int) -> list[float] | None:
    """Return the table's columns of one run; None where it is not finished."""
    evaluations = [home / f"r{number}/eval" for number in range(rounds + 1)]
    if not all((one / "manifest.json").is_file() for one in evaluations):
        return None
    scores = [
        yaml.safe_load((one / "manifest.json").read_text())["summary"]["metrics"]["balanced_accuracy"]["value"]
        for one in evaluations
    ]
    last = yaml.safe_load((evaluations[-1] / "manifest.json").read_text())["summary"]["label_quality"]
    table = pl.read_parquet(evaluations[-1] / "per_class.parquet")
    before = pl.read_csv(evaluations[-1] / "transition_before.csv")
    counts = before.drop(before.columns[0]).to_numpy()
    errors = counts.sum(axis=1) - counts.diagonal()
    mended = table["errors_mended"].to_numpy()
    shares = [float(m / e) for m, e in zip(mended, errors, strict=True) if e]
    bought = last["relabelled"]
    return [
        statistics.mean(scores),
        scores[-1],
        last["errors_mended"] / bought,
        statistics.mean(shares),
        bought / samples,
    ]


def cell(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f} ± {statistics.pstdev(values):.3f}"


def main() -> None:
    words = arguments(__doc__, config=True)
    words.add_argument("--arms", nargs="+", default=list(ARMS))
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--budget", type=int, default=100)
    words.add_argument("--only-print", action="store_true")
    given = words.parse_args()
    options = yaml.safe_load(given.config.read_text())
    samples = pl.read_parquet(given.data / "samples.parquet").filter(split="train").height
    for seed, noise, arm in product(given.seeds, given.noise, given.arms):
        if not given.only_print:
            run(given.data, place(given.out, noise, arm, str(seed)), noise, arm, seed, options, given)
            print("done:", noise, arm, seed, flush=True)
    print("| noise | arm |", " | ".join(COLUMNS), "| seeds |")
    print("|---|---|" + "---|" * (len(COLUMNS) + 1))
    for noise, arm in product(given.noise, given.arms):
        places = (place(given.out, noise, arm, str(seed)) for seed in given.seeds)
        rows = [row for row in (figures(one, given.rounds, samples) for one in places) if row]
        if rows:
            print(f"| {noise} | {arm} |", " | ".join(map(cell, map(list, zip(*rows, strict=True)))), f"| {len(rows)} |")


if __name__ == "__main__":
    main()
