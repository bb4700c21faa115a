"""How long the program takes to start, against `python -c pass`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial

from timing import in_turns, tell


def command(*arguments: str) -> Callable[[], object]:
    return partial(subprocess.run, [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    bare = command("-c", "pass")
    for arguments in (["--help"], ["select", "--help"], ["train-lnl", "--help"]):
        tell(f"alrctl {' '.join(arguments)}", "python -c pass", in_turns(5, command("-m", "alrctl", *arguments), bare))


if __name__ == "__main__":
    main()
