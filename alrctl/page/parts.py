"""What a section of the page is made of."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Table:
    """A table; one that is folded shows only its caption until it is asked for."""

    header: list[str]
    rows: list[list[str]]
    caption: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Drawing:
    """A figure, which may also be written to files of this name."""

    name: str
    figure: Figure
    caption: str


@dataclass(frozen=True)
class Change:
    """A sample whose label was changed: its image as a data address, and who said what."""

    image: str
    sample_id: str
    before: str
    after: str
    note: str


@dataclass(frozen=True)
class Gallery:
    """Samples side by side."""

    caption: str
    changes: list[Change]


@dataclass(frozen=True)
class Code:
    """Lines to be read letter by letter."""

    caption: str
    lines: list[str]


@dataclass(frozen=True)
class Section:
    """A section of the page."""

    title: str
    text: list[str] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    galleries: list[Gallery] = field(default_factory=list)
    code: list[Code] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """What an address within the page names it by."""
        return slug(self.title)


def slug(text: str) -> str:
    """Return a text as a name of a file or an address: letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-") or "x"
