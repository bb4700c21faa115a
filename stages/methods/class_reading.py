"""What a word in an answer means: a class by name, by name in other capitals, by index, or as the user maps it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.errors import UsageError, listing, nearest

FIELDS = ("sample_id", "label", "annotator", "confidence", "unsure", "seconds", "comment", "timestamp")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")


@dataclass(frozen=True)
class Meaning:
    """What `--map` says.

    Attributes:
        columns: our name of each column, key or control that the file calls otherwise, by the file's name.
        classes: the class that each word of the file means; None where it means no answer.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, str | None] = field(default_factory=dict)


def read_map(pairs: Iterable[str], classes: Sequence[str]) -> Meaning:
    """Read `THEIRS=OURS` pairs: OURS is a column of the answers, a class, or nothing (the word is no answer).

    Where a name is both a column and a class, `column:OURS` or `class:OURS` tells which.

    Raises:
        UsageError: a pair is of another form, means nothing, means two things, or two pairs contradict each other.
    """
    columns: dict[str, str] = {}
    words: dict[str, str | None] = {}
    for pair in pairs:
        theirs, kind, ours = _read_pair(pair, classes)
        known: dict[str, str] | dict[str, str | None] = columns if kind == "column" else words
        if known.get(theirs, ours) != ours:
            raise UsageError(f"--map: '{theirs}' is given two meanings ('{known[theirs]}' and '{ours}')")
        if kind == "column":
            if ours in columns.values() and columns.get(theirs) != ours:
                raise UsageError(f"--map: two columns are to be '{ours}'")
            columns[theirs] = str(ours)
        else:
            words[theirs] = ours
    return Meaning(columns, words)


def _read_pair(pair: str, classes: Sequence[str]) -> tuple[str, str, str | None]:
    """Return theirs, whether it is a column or a class, and ours."""
    meant = []
    places = [place for place, letter in enumerate(pair) if letter == "="]
    for place in places:
        theirs, ours = pair[:place], pair[place + 1 :]
        meant += [(theirs, kind, name) for kind, name in _meanings(ours, classes) if theirs]
    if not places or (not meant and pair.startswith("=")):
        raise UsageError(f"--map: '{pair}' is not of the form THEIRS=OURS")
    if not meant:
        ours = pair[places[-1] + 1 :]
        guess = nearest(ours, [*FIELDS, *classes])
        raise UsageError(
            f"--map: '{ours}' is neither a column of the answers ({', '.join(FIELDS)}) nor a class of this data set"
            f"{guess or f' ({listing(classes, 12)})'}"
        )
    if len(meant) > 1:
        hint = "write column:NAME or class:NAME after the '='"
        raise UsageError(f"--map: '{pair}' can be read in {len(meant)} ways; {hint}")
    return meant[0]


def _meanings(ours: str, classes: Sequence[str]) -> list[tuple[str, str | None]]:
    if ours == "":
        return [("class", None)]
    found: list[tuple[str, str | None]] = []
    if ours in FIELDS:
        found.append(("column", ours))
    if ours in classes:
        found.append(("class", ours))
    if ours.removeprefix("column:") in FIELDS and ours.startswith("column:"):
        found.append(("column", ours.removeprefix("column:")))
    if ours.removeprefix("class:") in classes and ours.startswith("class:"):
        found.append(("class", ours.removeprefix("class:")))
    return found


def read_classes(
    words: Collection[str], classes: Sequence[str], mapped: Mapping[str, str | None], indices: bool = True
) -> dict[str, str | None]:
    """Return what each word means; a word that is no class is not in it.

    A name goes before a name in other capitals, where only one class fits. Numbers are indices only if no class is
    itself called by a number and the file holds nothing but numbers: else a slip of the finger would be an answer.

    Args:
        words: as the file has them.
        classes: names in order.
        mapped: what the user says that words mean.
        indices: whether the file's kind may hold indices at all.
    """
    by_fold: dict[str, list[str]] = {}
    for name in classes:
        by_fold.setdefault(folded(name), []).append(name)
    unmapped = [word for word in words if word not in mapped]
    by_index = indices and all(map(_is_index, unmapped)) and not any(map(_NUMBER.fullmatch, classes))
    found: dict[str, str | None] = {}
    for word in words:
        alike = by_fold.get(folded(word), [])
        if word in mapped:
            found[word] = mapped[word]
        elif word in classes:
            found[word] = word
        elif len(alike) == 1:
            found[word] = alike[0]
        elif by_index and float(word) < len(classes):
            found[word] = classes[int(float(word))]
    return found


def folded(name: str) -> str:
    """Return a name in one spelling: without capitals, and with accents as one letter (a Mac writes them as two)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _is_index(text: str) -> bool:
    """Say whether a text is a whole number, as programs write it that know no empty ones (3.0) too."""
    return text.isascii() and text.removesuffix(".0").isdigit() and len(text) < 9
