"""`--track tensorboard[:DIR]`: an event file a run, in `tensorboard/` of the project or in DIR.

A run's folder is called as the stage's output directory is. One that is made anew, with `--force` or other options,
gets a folder beside the former, `NAME.2` and so on, so that no curve holds two runs.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from shlex import quote

from alrctl.tracking import Ended, Run, need

_TOKEN = "alrctl-run"  # a file in a run's folder, that says whose it is


def check(place: str) -> None:
    """Refuse to go on without the package."""
    need("tensorboard")


def start(place: str, run: Run) -> TensorBoard:
    """Begin a run's folder, or go on in the one of the same token."""
    root = Path(place) if place else run.project / "tensorboard"
    folder = _folder(root / run.name, run.token)
    tracker = TensorBoard(folder, f"tensorboard --logdir {quote(os.path.relpath(root))}")
    tracker.describe(run)
    return tracker


class TensorBoard:
    """Writes the figures of one run to an event file."""

    def __init__(self, folder: Path, look: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.look = look
        self._held = _held(folder)
        self._writer = SummaryWriter(str(folder))

    def describe(self, run: Run) -> None:
        """Write down what run this is, as a table, once."""
        if not self._held:
            told = {**run.notes, **run.options}
            rows = [f"| {name} | {str(value).replace('|', '/')} |" for name, value in told.items()]
            self._writer.add_text("options", "\n".join(["| | |", "|---|---|", *rows]))
            self._writer.flush()

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Write the figures, so that they are on disk when this returns."""
        try:
            for name, value in values.items():
                if step > self._held.get(name, -1):
                    self._writer.add_scalar(name, value, step)
            self._writer.flush()
        except Exception:
            with suppress(Exception):
                self._writer.file_writer.close()  # waits for the thread that writes, so that it fails in here
            raise

    def close(self, ended: Ended) -> None:
        """Close the file; how a run ended cannot be told to TensorBoard."""
        self._writer.close()


def _folder(first: Path, token: str) -> Path:
    """Return the folder of the run with this token; a new one where there is none."""
    for number in itertools.count(1):
        folder = first if number == 1 else first.with_name(f"{first.name}.{number}")
        note = folder / _TOKEN
        if note.is_file() and note.read_text() == token:
            return folder
        if not note.is_file() and not _events(folder):
            folder.mkdir(parents=True, exist_ok=True)
            note.write_text(token)
            return folder
    raise AssertionError


def _held(folder: Path) -> dict[str, int]:
    """Return the last step that is on disk of each figure."""
    if not _events(folder):
        return {}
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 1}).Reload()
    return {name: found.Scalars(name)[-1].step for name in found.Tags()["scalars"]}


def _events(folder: Path) -> list[Path]:
    return list(folder.glob("*.tfevents.*"))
