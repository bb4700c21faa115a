"""`python -m alrctl` and the console script."""

from __future__ import annotations

import gc
import sys
import warnings
from pathlib import Path

_SELDOM = (
    100_000,
    20,
    50,
)  # between looks for cycles: answers are many objects without any


def _drop_working_directory() -> None:
    """Keep a user's own `stages.py` beside them from shadowing ours under `python -m alrctl`.

    `-m` puts the working directory first on the path, unless Python runs in safe-path mode, where it puts nothing.
    """
    here = Path(__file__).resolve().parent.parent
    if not sys.flags.safe_path and sys.path and Path(sys.path[0] or ".").resolve() != here:
        del sys.path[0]


def main() -> None:
    """Run the program."""
    gc.set_threshold(*_SELDOM)
    warnings.filterwarnings("ignore", module="PIL")  # what it cannot read of an image's notes says nothing of the image
    from alrctl.app import app, run_and_exit

    run_and_exit(app)


if __name__ == "__main__":
    _drop_working_directory()
    main()
