"""Run a pipeline for several seeds and print mean and standard deviation by branch and round.

python benchmarks/rounds.py demo --seeds 0 1 2 --out /tmp/rounds --set select.budget=50 evaluate.split=val
python benchmarks/rounds.py ham.yaml --seeds 0 1 2 --out /tmp/rounds
"""

from __future__ import annotations

import argparse
import copy
import statistics
from pathlib import Path
from typing import Any

import yaml

from alrctl.commands import demo
from alrctl.commands.run import execute
from alrctl.console import Voice
from alrctl.pipeline import parse
from alrctl.session import Session

METRICS = ("labels_bought", "errors_mended", "label_accuracy", "balanced_accuracy", "macro_f1", "rarest_class_recall")


def content(name: str, changes: list[str]) -> dict[str, Any]:
    """Return a pipeline's content, changed by `section.option=value` words."""
    if name == "demo":
        told: dict[str, Any] = {"source": str(demo.brain_slices()), **copy.deepcopy(demo.PIPELINE)}
    else:
        told = yaml.safe_load(Path(name).read_text())
    for change in changes:
        key, _, value = change.partition("=")
        section, _, option = key.rpartition(".")
        (told.setdefault(section, {}) if section else told)[option] = yaml.safe_load(value)
    return told


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("pipeline")
    words.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    words.add_argument("--out", type=Path, required=True)
    words.add_argument("--set", nargs="*", default=[])
    given = words.parse_args()
    base = Path() if given.pipeline == "demo" else Path(given.pipeline).parent
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for seed in given.seeds:
        told = {**content(given.pipeline, given.set), "seed": seed, "output": str((given.out / str(seed)).resolve())}
        for row in execute(Session(Voice(quiet=True)), parse(told, base, given.pipeline)).summary["rounds"]:
            found.setdefault((row["branch"], row["round"]), []).append(row)
    print("| branch | round |", " | ".join(METRICS), "|")
    print("|---|---|" + "---|" * len(METRICS))
    for (branch, number), rows in found.items():
        cells = [
            f"{statistics.mean(v):.3f} ± {statistics.pstdev(v):.3f}" for v in ([r[m] for r in rows] for m in METRICS)
        ]
        print(f"| {branch} | {number} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
