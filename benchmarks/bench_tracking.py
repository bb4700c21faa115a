"""What following a training costs: `python benchmarks/bench_tracking.py`.

Each tracker is told the figures of an epoch (19, as of a history row with ten classes) 200 times.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from alrctl.tracking import Run, following, parse, scalars

EPOCHS, CLASSES = 200, [f"class{number}" for number in range(10)]


def seconds(spec: str, token: str, project: Path) -> tuple[float, list[float]]:
    """Return how long a tracker takes to begin, and to take each epoch."""
    run = Run(token, "train-lnl", "lnl", project, {"epochs": EPOCHS}, {})
    row = {**{f"figure{number}": 0.5 for number in range(9)}, "kept_share_by_class": [0.5] * len(CLASSES)}
    began = time.perf_counter()
    with following(parse(spec), run, print) as tracker:
        took = [time.perf_counter() - began]
        for epoch in range(EPOCHS):
            began = time.perf_counter()
            tracker.log(scalars(row, CLASSES), epoch)
            took.append(time.perf_counter() - began)
    return took[0], took[1:]


def main() -> None:
    with TemporaryDirectory() as place:
        for number, spec in enumerate(("tensorboard", "mlflow", "mlflow")):  # the second time the store is there
            begin, epochs = seconds(spec, str(number), Path(place))
            worst = 1000 * max(epochs)
            print(f"{spec:<12} begins in {begin:.1f} s; an epoch {1000 * median(epochs):.1f} ms (at most {worst:.0f})")


if __name__ == "__main__":
    main()
