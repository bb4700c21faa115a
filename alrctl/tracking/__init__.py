"""What is measured can be followed, live, in another program: `--track tensorboard`, `--track mlflow:URI`.

The tables that the stages write stay the record; a tracker is told the same figures as they come. Each tracker is an
adapter, a module (or any object) with the two functions of `Adapter`. Those of this program stand in `ADAPTERS`; other
packages offer theirs as entry points of the group `alrctl.trackers`, under the name that `--track` takes.
"""

from __future__ import annotations

import importlib
import io
import logging
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from alrctl.naming import file_stem
from schemas.errors import AlrctlError, UsageError, nearest, shown

ADAPTERS = {"tensorboard": "alrctl.tracking.tensorboard", "mlflow": "alrctl.tracking.mlflow"}
"""The module of each tracker; imported only when it is asked for."""
ENTRY_POINTS = "alrctl.trackers"

Ended = Literal["finished", "failed", "killed"]
"""How a run ended; one that was killed may go on."""

_MOST_CELLS = 400
_PASSWORD = re.compile(r"(?<=//)[^/@\s]*:[^/@\s]*(?=@)")


@dataclass(frozen=True)
class Run:
    """One run of a stage, as trackers are told of it.

    Attributes:
        token: the same where a killed run goes on, another for every other run.
        stage: the command.
        name: the output directory as seen from the project, as in `r1/model`.
        project: the directory of the project; by default trackers keep what they are told in it.
        options: every option's value.
        notes: in words, what else tells this run from others.
    """

    token: str
    stage: str
    name: str
    project: Path
    options: Mapping[str, Any]
    notes: Mapping[str, str]


class Tracker(Protocol):
    """Takes the figures of one run."""

    @property
    def look(self) -> str:
        """What a person types or opens to see them."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Take the figures of a step, at once; those of a step that it already holds are left out."""

    def close(self, ended: Ended) -> None:
        """Take leave."""


class Adapter(Protocol):
    """A way to track."""

    def check(self, place: str) -> None:
        """Refuse a place, or a package that is missing, before any work begins. Must be quick.

        Args:
            place: what stands after the colon of `--track NAME:PLACE`; empty if nothing does.

        Raises:
            UsageError: what is wrong, and the mend.
        """

    def start(self, place: str, run: Run) -> Tracker:
        """Begin a run, or go on with the one of the same token. Whatever is raised is told in one line."""


@dataclass(frozen=True)
class Tracking:
    """What `--track` asks for.

    Attributes:
        name: of the tracker.
        place: where it keeps what it is told; empty for its own place in the project.
        project: None for the one that the output directory belongs to.
    """

    name: str
    place: str = ""
    project: Path | None = None

    @property
    def adapter(self) -> Adapter:
        """The adapter, imported now."""
        if self.name in ADAPTERS:
            return cast(Adapter, importlib.import_module(ADAPTERS[self.name]))
        return cast(Adapter, _foreign()[self.name].load())


def parse(spec: str) -> Tracking:
    """Read `NAME` or `NAME:PLACE`, and check it.

    Raises:
        UsageError: there is no such tracker or place, or the tracker's package is missing.
    """
    name, colon, place = spec.partition(":")
    known = list(ADAPTERS)
    if name not in known:
        known += _foreign()
    if name not in known:
        raise UsageError(f"--track: '{shown(spec)}' is not one of {', '.join(known)}{nearest(name, known)}")
    if colon and not place:
        raise UsageError(f"--track: '{shown(spec)}' names no place after the colon; leave the colon out for the usual")
    tracking = Tracking(name, place)
    with _one_line(name), _quiet():
        tracking.adapter.check(place)
    return tracking


def _foreign() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def need(package: str) -> None:
    """Refuse to go on without a package; the extra that brings it has its name.

    Raises:
        UsageError: it is not installed.
    """
    if find_spec(package) is None:
        raise UsageError(f"--track {package}: {package} is not installed: pip install 'alrctl[{package}]'")


def scalars(values: Mapping[str, Any], classes: Sequence[str]) -> dict[str, float]:
    """Return figures under names that every tracker takes; of a list, that of class C of `name` is `name/C`.

    Args:
        values: a figure each, or a list with one a class, or a matrix of classes row by row (told as `name/ROW/COLUMN`
            where it is not too large to be looked at); what is None is unknown, and left out.
        classes: names in order.
    """
    flat: dict[str, float] = {}
    plain = _plain(classes)
    for name, value in values.items():
        if not isinstance(value, list):
            figures = [(name, value)]
        elif len(value) == len(plain):
            figures = [(f"{name}/{of}", figure) for of, figure in zip(plain, value, strict=True)]
        else:
            cells = [f"{name}/{row}/{column}" for row in plain for column in plain]
            figures = list(zip(cells, value, strict=True)) if len(cells) <= _MOST_CELLS else []
        flat |= {of: float(figure) for of, figure in figures if figure is not None}
    return flat


def _plain(classes: Sequence[str]) -> list[str]:
    """Return the names of classes in letters, digits, `_`, `-` and `.` alone, no two alike."""
    taken: list[str] = []
    for name in classes:
        plain = file_stem(name) or "_"
        while plain in taken:
            plain += "_"
        taken.append(plain)
    return taken


@contextmanager
def following(tracking: Tracking, run: Run, warn: Callable[[str], None]) -> Iterator[Tracker]:
    """Give the tracker of a run, as long as that lasts; when it breaks, that is told, and the run goes on without it.

    Raises:
        UsageError: it cannot be begun.
    """
    with _one_line(tracking.name), _quiet():
        tracker = tracking.adapter.start(tracking.place, run)
    guarded = _Guarded(tracker, f"--track {tracking.name}", warn)
    try:
        yield guarded
    except BaseException as error:
        guarded.close("failed" if isinstance(error, Exception) else "killed")
        raise
    guarded.close("finished")


class _Guarded:
    """A tracker whose failure is told once and ends its own work, not the stage's."""

    def __init__(self, tracker: Tracker, name: str, warn: Callable[[str], None]) -> None:
        self.look = tracker.look
        self._tracker: Tracker | None = tracker
        self._name, self._warn = name, warn

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Hand figures on."""
        self._attempt(lambda tracker: tracker.log(values, step))

    def close(self, ended: Ended) -> None:
        """Hand on how the run ended."""
        self._attempt(lambda tracker: tracker.close(ended))

    def _attempt(self, act: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            with _quiet():
                act(self._tracker)
        except Exception as error:
            self._tracker = None
            self._warn(f"{self._name}: {_first_line(error)}; nothing more of this run is tracked, all else goes on")


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Turn whatever goes wrong at the start into one clear line.

    Raises:
        UsageError: something did.
    """
    try:
        yield
    except AlrctlError:
        raise
    except Exception as error:
        raise UsageError(f"--track {name}: {_first_line(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' own logs, warnings, greetings and what their threads fail of off the terminal."""
    before, hook = logging.root.manager.disable, threading.excepthook
    logging.disable(logging.CRITICAL)
    threading.excepthook = lambda _: None
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        threading.excepthook = hook


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return shown(without_password(lines[0]), 300)


def without_password(text: str) -> str:
    """Return a text with user and password of every address in it hidden."""
    return _PASSWORD.sub("...", text)
