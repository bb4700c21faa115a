"""Puts each fault at each moment of each stage, and tells what was lost: which must be nothing.

    python benchmarks/every_fault.py                              # all of it: hours
    python benchmarks/every_fault.py --every 5 --stage corrupt --fault kill --fault full

A moment lies before every system call that would change a file of the project (tests/alrctl/file_calls.py), both where
nothing stands at the place yet and where another result does. After each fault everything finished must be as it was,
the place hold nothing, the old or the new as a whole, and the same command end in the bytes of an undisturbed run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.alrctl import faults  # noqa: E402
from tests.conftest import write_photos  # noqa: E402

_TRAINED = "--backbone test_resnet --epochs 3 --batch-size 16 --device cpu"
CHAIN = (
    "ingest photos -o work/data --image-size 24",
    "corrupt work/data --rate 0.4 -o work/noisy",
    f"train-lnl work/data --labels work/noisy --method coteaching-vog {_TRAINED} --num-gradual 2 -o work/lnl",
    "score work/data --labels work/noisy --checkpoint work/lnl -o work/r1/scores",
    "select work/r1/scores --strategy entropy --budget 12 -o work/r1/queue",
    "relabel work/noisy --queue work/r1/queue --oracle work/data -o work/r1/labels",
    "recalibrate work/data --labels work/r1/labels --checkpoint work/lnl --epochs 2 -o work/r1/model",
    "evaluate work/data --checkpoint work/r1/model --truth work/noisy -o work/r1/eval",
)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--every", type=int, default=1, help="only every so many moments")
    asked.add_argument("--stage", action="append", choices=list(faults.STAGES))
    asked.add_argument("--fault", action="append", choices=list(faults.EXPECTED))
    given = asked.parse_args()
    server, lost = faults.Server(), 0
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        photos = write_photos(base / "photos", {"red": 60, "green": 35, "blue": 15})
        for command in CHAIN:
            ended = server.run(base, command.split())
            assert ended.code == 0, ended.err
        project = faults.prepare(base / "work", photos, base / "project")
        for name in given.stage or faults.STAGES:
            for replacing in (False, True)[: 2 if faults.STAGES[name].other else 1]:
                trial = faults.Trial(server, project, name, replacing)
                for fault in given.fault or faults.EXPECTED:
                    lost += _each(trial, name, fault, given.every)
    server.close()
    sys.exit(f"{lost} faults were not held" if lost else 0)


def _each(trial: faults.Trial, name: str, fault: str, every: int) -> int:
    began, wrong = time.monotonic(), []
    moments = range(0, trial.calls, every)
    for at in moments:
        wrong += trial.disturb(fault, at) + trial.repeat()
        trial.reset()
    print(
        f"{name:<12} {'over another' if trial.replacing else 'new':<12} {fault:<10} {len(moments):>4} injections of "
        f"{trial.calls:>4} moments, {len(wrong)} amiss, {time.monotonic() - began:.0f} s",
        flush=True,
    )
    print("\n".join(wrong), end="\n" if wrong else "", flush=True)
    return len(wrong)


if __name__ == "__main__":
    main()
