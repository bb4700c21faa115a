"""The mistakes a user can make, each with its exit code.

Raised where the mistake can be explained; caught in one place, which prints the text and ends with the code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST_WORD = 1000  # characters: beyond, looking for one like it takes seconds


class AlrctlError(Exception):
    """A mistake that a user can mend; its text says how."""

    exit_code = 1


class TerminatedError(BaseException):
    """The process was asked to end (SIGTERM), as batch systems and `timeout` do."""


class UsageError(AlrctlError):
    """An option's name or value is wrong."""

    exit_code = 2


class DataError(AlrctlError):
    """A file is not there, not readable, or breaks its schema."""

    exit_code = 3


class MismatchError(AlrctlError):
    """Artifacts that do not belong together: other classes, unknown ids, stale."""

    exit_code = 4


class NothingToDoError(AlrctlError):
    """The budget is spent, or there are no candidates."""

    exit_code = 5


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'X'?"` for the known name most like `word`, or the empty string."""
    if len(word) > _LONGEST_WORD:
        return ""
    by_fold = {name.casefold(): shown(name) for name in known}
    close = difflib.get_close_matches(word.casefold(), list(by_fold), n=1, cutoff=0.6)
    return f"; did you mean '{by_fold[close[0]]}'?" if close else ""


def shown(text: str, most: int = 100) -> str:
    """Return a text out of a file as it may stand in a message: on one line, not longer than `most`, nothing unseen."""
    cut = text if len(text) <= most else f"{text[:most]}..."
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in cut)


def listing(names: Iterable[str], most: int = 5) -> str:
    """Join at most `most` names, saying how many more there are."""
    everything = [shown(name, 300) for name in names]  # paths are long
    listed = ", ".join(everything[:most])
    return listed if len(everything) <= most else f"{listed} and {len(everything) - most} more"


def plural(count: int, noun: str, many: str = "") -> str:
    """Return `count` with its noun, `1 row` or `2 rows` (`many` for a plural that is not noun + s)."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
