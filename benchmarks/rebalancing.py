"""What `recalibrate`'s ways to even out classes give, after phase 1 by co-teaching with VOG: balanced accuracy on test.

python benchmarks/rebalancing.py WORK/data --out WORK/frozen

WORK/frozen is what `lnl_methods.py` wrote, the method "coteaching-vog, told the rate" among it. Nobody has looked at a
label: the same checkpoint and labels for every way, on what was judged clean.
"""

from __future__ import annotations

import json
import statistics
from itertools import product
from pathlib import Path
from typing import Any

from lnl_methods import arguments, place

from alrctl.commands.evaluate import evaluate
from alrctl.commands.recalibrate import recalibrate
from alrctl.console import Voice
from alrctl.session import Session
from stages.evaluate import EvaluateConfig
from stages.recalibrate import RecalibrateConfig

METHOD = "coteaching-vog, told the rate"
WAYS: dict[str, dict[str, Any]] = {
    "as they come": {},
    "square-root sampling": {"sampling": "square-root"},
    "balanced sampling": {"sampling": "balanced"},
    "class weights": {"class_weights": "balanced"},
    "logit adjustment": {"logit_adjustment": 1.0},
    "last layer": {"layers": "last"},
    "last layer, balanced sampling": {"layers": "last", "sampling": "balanced"},
    "last layer, logit adjustment": {"layers": "last", "logit_adjustment": 1.0},
    "weighted by the posterior of the truth": {"trust": "weighted"},
}


def accuracy(data: Path, home: Path, noise: str, seed: int, way: str) -> float:
    before, noisy = place(home, noise, str(seed), METHOD, "lnl"), place(home, noise, str(seed), "noisy")
    model, found = (place(home, noise, str(seed), "rebalancing", way, part) for part in ("model", "eval"))
    session = Session(Voice(quiet=True))
    recalibrate(session, RecalibrateConfig.model_validate({**WAYS[way], "seed": seed}), data, noisy, before, model)
    evaluate(session, EvaluateConfig(bootstrap=0, figures=False), data, found, checkpoint=model)
    summary = json.loads((found / "manifest.json").read_text())["summary"]
    return float(summary["metrics"]["balanced_accuracy"]["value"])


def main() -> None:
    words = arguments(__doc__)
    given = words.parse_args()
    print("| way |", " | ".join(given.noise), "|")
    print("|---|" + "---|" * len(given.noise))
    found = {
        (way, noise): [accuracy(given.data, given.out, noise, seed, way) for seed in given.seeds]
        for way, noise in product(WAYS, given.noise)
    }
    for way in WAYS:
        cells = [f"{statistics.mean(v):.3f} ± {statistics.pstdev(v):.3f}" for v in (found[way, n] for n in given.noise)]
        print(f"| {way} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
