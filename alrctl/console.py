"""What people see: progress and warnings on stderr, one summary or one JSON document on stdout."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Task as ProgressTask
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from alrctl.tracking import Tracker, scalars

_WIDEST_NAME = 18
"""Characters up to which the names in a table's first column are not cut where the terminal is narrow."""

_LONGEST = 4000
"""Characters of a warning or an error; what is longer came out of a file."""
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, but for tab and line feed; what turns the direction of writing; halves of letters."""


class _Rate(TextColumn):
    """Units a second."""

    def render(self, task: ProgressTask) -> Text:
        unit = task.fields.get("unit", "")
        return Text(f"{task.speed:,.1f} {unit}/s" if task.speed and unit else "")


class Voice:
    """Speaks to the terminal in the one way that the flags ask for."""

    def __init__(self, as_json: bool = False, quiet: bool = False, helping: bool = False) -> None:
        """Take how to speak; a process that is `helping` another leaves all but errors to that one."""
        self.as_json = as_json and not helping
        self._silent = as_json or quiet or helping
        self._helping = helping
        self._warned: set[str] = set()
        self.out = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self.err = Console(file=sys.stderr, highlight=False, soft_wrap=True)

    def say(self, markup: str = "") -> None:
        """Print a line for people on stdout."""
        if not self._silent:
            self.out.print(inert(markup))

    def show(self, tree: Tree) -> None:
        """Print a tree for people on stdout."""
        if not self._silent:
            self.out.print(tree)

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table for people on stdout."""
        if self._silent:
            return
        table = Table(title=title or None, title_justify="left", title_style="bold", header_style="bold")
        header, rows = [inert(name) for name in header], [[inert(cell) for cell in row] for row in rows]
        for index, name in enumerate(header):
            longest = max((len(row[index]) for row in rows), default=0) if index == 0 else 0
            justify: Literal["left", "right"] = "left" if index == 0 else "right"
            table.add_column(escape(name), justify=justify, min_width=min(_WIDEST_NAME, longest) or None)
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self.out.print(table)

    def warn(self, text: str) -> None:
        """Print a warning on stderr, each once."""
        if text in self._warned or self._helping:
            return
        self._warned.add(text)
        self.err.print(f"[bold yellow]warning:[/] {escape(inert(text, _LONGEST))}")

    def error(self, text: str) -> None:
        """Print an error on stderr."""
        self.err.print(f"[bold red]error:[/] {escape(inert(text, _LONGEST))}")

    def document(self, value: Mapping[str, Any]) -> None:
        """Print the one JSON document, where `--json` asks for it."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
            sys.stdout.flush()


def inert(text: str, most: int | None = None) -> str:
    """Return a text as a terminal may be given it: what steers it or cannot be written is spelt out.

    Args:
        text: may hold names out of files.
        most: characters; what is longer is cut.
    """
    cut = text if most is None or len(text) <= most else f"{text[:most]}..."
    return _STEERING.sub(lambda found: repr(found[0])[1:-1], cut)


class LiveReport:
    """A stage's report, shown as a bar where stderr is a terminal; warnings are kept for the manifest.

    Attributes:
        warnings: told so far.
        tracker: takes what is measured, where one is asked for.
        classes: names in order, for figures by class.
    """

    def __init__(self, voice: Voice, name: str) -> None:
        self._voice = voice
        self._name = name
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self.warnings: list[str] = []
        self.tracker: Tracker | None = None
        self.classes: Sequence[str] = ()

    def progress(self, done: int, total: int, text: str = "", unit: str = "") -> None:
        """Move the bar."""
        if self._bar is None or self._task is None:
            return
        if self._bar.tasks[self._task].total != total or self._bar.tasks[self._task].completed > done:
            self._bar.reset(self._task, total=total)
        self._bar.update(self._task, completed=done, text=text, unit=unit)

    def warn(self, text: str) -> None:
        """Keep a warning, and print it at once."""
        if text not in self.warnings:
            self.warnings.append(text)
            self._voice.warn(text)

    def measured(self, values: Mapping[str, Any], step: int) -> None:
        """Hand figures on to the tracker."""
        if self.tracker is not None:
            self.tracker.log(scalars(values, self.classes), step)

    @contextmanager
    def shown(self) -> Iterator[LiveReport]:
        """Show the bar, if stderr is a terminal, as long as the stage works."""
        if not self._voice.err.is_terminal:
            yield self
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(""),
            TimeRemainingColumn(),
        )
        with Progress(*columns, TextColumn("{task.fields[text]}"), console=self._voice.err, transient=True) as bar:
            self._bar, self._task = bar, bar.add_task(self._name, total=None, text="", unit="")
            try:
                yield self
            finally:
                self._bar = self._task = None


def cell(value: Any) -> str:
    """Return a figure as people read it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(cell(item) for item in value)
    return str(value)
