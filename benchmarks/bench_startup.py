"""CPU time of what should be quick, as ratios to `python -c pass`; the aims beside them are seconds on an idle machine.

CPU time and not the clock's: whatever else runs on the machine then counts for little.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from pathlib import Path

from bench_select import scores
from timing import compared, laps, tell

from alrctl import table_files
from schemas.scores import SCORES

RUNS = 7
SAMPLES = 300
MODULE = ("-m", "alrctl")


def spent(*arguments: object, expected: int = 0, environment: Mapping[str, str] | None = None) -> float:
    """Return the CPU seconds, user and system, of one Python."""
    words = [sys.executable, *map(str, arguments)]
    null = subprocess.DEVNULL
    process = subprocess.Popen(words, stdout=null, stderr=null, env={**os.environ, **(environment or {})})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == expected, words
    return usage.ru_utime + usage.ru_stime


def completing(typed: str) -> Callable[[], float]:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_ALRCTL_COMPLETE": "complete_bash"}
    # the name decides what the variable is called, and `python -m alrctl` has another
    script = "import sys; sys.argv = ['alrctl']; from alrctl.__main__ import main; main()"
    return partial(spent, "-c", script, environment=words)


def selecting(folder: Path) -> Callable[[], float]:
    """Return a selection from scores of a few hundred samples, each time into another directory."""
    table_files.write_tables(scores(SAMPLES, 0.5), folder / SCORES.file_name, SCORES)
    number = count()
    options = ("--strategy", "entropy", "--budget", 70)
    return lambda: spent(*MODULE, "select", folder / SCORES.file_name, *options, "-o", folder / f"q{next(number)}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asked: dict[str, tuple[float | None, Callable[[], float]]] = {
            "--version": (0.3, partial(spent, *MODULE, "--version")),
            "--help": (0.3, partial(spent, *MODULE, "--help")),
            "train-lnl --help": (None, partial(spent, *MODULE, "train-lnl", "--help")),
            "slect (unknown)": (None, partial(spent, *MODULE, "slect", expected=2)),
            "train-lnl --metod x (unknown)": (None, partial(spent, *MODULE, "train-lnl", "--metod", "x", expected=2)),
            "tr<TAB>": (0.3, completing("alrctl tr")),
            "train-lnl --<TAB>": (0.3, completing("alrctl train-lnl --")),
            "select --strategy <TAB>": (0.3, completing("alrctl select --strategy ")),
            f"select ({SAMPLES} samples)": (1.0, selecting(Path(folder))),
        }
        found = laps(RUNS, partial(spent, "-c", "pass"), *(function for _, function in asked.values()))
    for place, (name, (aim, _)) in enumerate(asked.items(), 1):
        wanted = "" if aim is None else f" (aim: {aim:g} s)"
        tell(f"alrctl {name}{wanted}", "python -c pass", compared(found, place, 0))


if __name__ == "__main__":
    main()
