"""How often the 95 % interval of `compare`'s paired difference holds the true one, on made-up runs (300 test samples).

python benchmarks/difference_coverage.py
python benchmarks/difference_coverage.py --repetitions 1000

The spread is the standard deviation over seeds of how good their networks are, in logits.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.stages.made_up_runs import share_held, true_difference

SETTINGS = ((1, 0.0), (3, 0.0), (3, 0.2), (5, 0.2))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--repetitions", type=int, default=400)
    asked.add_argument("--bootstrap", type=int, default=1000, help="resamples of each comparison")
    given = asked.parse_args()
    print("| seeds | spread | true difference | share that holds it | standard error |\n|---|---|---|---|---|")
    for seeds, spread in SETTINGS:
        share = share_held(seeds, spread, given.repetitions, given.bootstrap)
        error = math.sqrt(share * (1 - share) / given.repetitions)
        print(f"| {seeds} | {spread} | {true_difference(spread):.3f} | {share:.1%} | {error:.1%} |", flush=True)


if __name__ == "__main__":
    main()
