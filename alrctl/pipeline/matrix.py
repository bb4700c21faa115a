"""Alternatives: a pipeline file's `matrix`, each of whose axes is an option with several values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from alrctl.naming import file_stem
from alrctl.pipeline.sections import SECTIONS, dashed
from schemas.errors import nearest
from stages.methods.acquisition import Strategy

_STRATEGIES = get_args(Strategy)
_KEYS: dict[str, tuple[Any, ...] | type] = {
    "seed": int,
    "strategy": _STRATEGIES,
    "first-strategy": _STRATEGIES,
    "start-from": ("previous", "lnl"),
}
"""Axes that are no option of one stage: the values they take, or the type of these."""
_PLAIN = ("strategy", "method")
"""Axes whose values are words that nothing else is called by: directories are named by these alone."""


@dataclass(frozen=True)
class Axis:
    """An option and its alternatives.

    Attributes:
        name: as it is written in the file.
        section: the stage it is an option of; empty where it is a key of the pipeline.
        option: its name there.
        values: the alternatives, as they are written.
        meant: the alternatives as they are used, files found from the pipeline file; empty where that is as written.
    """

    name: str
    section: str
    option: str
    values: tuple[Any, ...]
    meant: tuple[Any, ...] = ()

    def meaning(self, value: Any) -> Any:
        """Return one of the values as it is used."""
        return self.meant[self.values.index(value)] if self.meant else value

    def directory(self, value: Any) -> str:
        """Return the directory of what is made with one of the values."""
        if not isinstance(value, str | int | float):
            value = self.values.index(value) + 1
        return file_stem(str(value) if self.option in _PLAIN else f"{dashed(self.option)}-{value}")


def read(given: Any, taken: set[str]) -> tuple[tuple[Axis, ...], list[str]]:
    """Return the axes of a `matrix`, and what is wrong with it.

    Args:
        given: its content.
        taken: keys, and `stage.option`, that the file gives a value to elsewhere.
    """
    if not isinstance(given, dict):
        return (), ["matrix: must hold lines such as `seed: [0, 1, 2]`"]
    axes: list[Axis] = []
    problems: list[str] = []
    for name, values in given.items():
        axis, told = _axis(dashed(str(name)), values)
        problems += told
        if axis is not None:
            problems += _twice(axis, taken, axes)
            axes.append(axis)
    return tuple(axes), problems


def _axis(name: str, values: Any) -> tuple[Axis | None, list[str]]:
    section, option, told = _place(name)
    if told:
        return None, told
    if not isinstance(values, list) or not values:
        return None, [f"matrix.{name}: must be a list of alternatives, as in [1, 2]"]
    unlike = [value for place, value in enumerate(values) if value not in values[:place]]
    if len(unlike) < len(values):
        return None, [f"matrix.{name}: names {len(values) - len(unlike)} of its alternatives twice"]
    axis = Axis(name, section, option, tuple(values))
    if len({axis.directory(value) for value in values}) < len(values):
        told = [f"matrix.{name}: has alternatives that would be written to directories of one name"]
    return axis, [*told, *(text for value in values for text in _told(axis, value))]


def _place(name: str) -> tuple[str, str, list[str]]:
    """Return the stage and the option that an axis is named after."""
    if name in _KEYS or name == "select.strategy":
        return "", name.removeprefix("select."), []
    section, dot, option = name.partition(".")
    if not dot:
        section, option, told = _only_section(name)
        return section, option, told
    if section not in SECTIONS:
        return "", "", [f"matrix.{name}: no stage '{section}'{nearest(section, SECTIONS)}"]
    if option not in SECTIONS[section].options:
        return "", "", [f"matrix.{name}: unknown option{nearest(option, SECTIONS[section].options)}"]
    return section, option, []


def _only_section(name: str) -> tuple[str, str, list[str]]:
    found = [section.name for section in SECTIONS.values() if name in section.options]
    if len(found) == 1:
        return found[0], name, []
    if found:
        told = f"matrix.{name}: is an option of {' and '.join(found)}; write `{found[0]}.{name}`"
    else:
        known = [*_KEYS, *(option for section in SECTIONS.values() for option in section.options)]
        told = f"matrix.{name}: unknown option{nearest(name, known)}"
    return "", "", [told]


def _twice(axis: Axis, taken: set[str], others: list[Axis]) -> list[str]:
    place = f"{axis.section}.{axis.option}" if axis.section else axis.option
    keys = {place, "strategies"} if axis.option == "strategy" else {place}
    told = [f"matrix.{axis.name}: {key} has a value of its own; leave one out" for key in sorted(keys & taken)]
    alike = [one.name for one in others if (one.section, one.option) == (axis.section, axis.option)]
    return told + [f"matrix.{axis.name}: is the same as matrix.{name}" for name in alike]


def _told(axis: Axis, value: Any) -> list[str]:
    """Return what is wrong with one value; those of a stage's option are checked with the rest of its section."""
    if axis.section:
        return []
    wanted = _KEYS[axis.option]
    if isinstance(wanted, tuple):
        good = value in wanted
        words = f"must be one of {', '.join(wanted)}{nearest(str(value), wanted)}"
    else:
        good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        words = "must be a whole number, 0 or more"
    return [] if good else [f"matrix.{axis.name}: '{value}' {words}"]


def told_of_section(name: str, options: Any, axes: tuple[Axis, ...]) -> list[str]:
    """Return what is wrong with a section, whichever alternatives it is given."""
    own = [axis for axis in axes if axis.section == name]
    if not own or not isinstance(options, dict):
        return SECTIONS[name].told_of(options)
    every = (dict(zip((axis.option for axis in own), values, strict=True)) for values in combinations(tuple(own)))
    told = [text for values in every for text in SECTIONS[name].told_of({**options, **values})]
    return list(dict.fromkeys(told))


def combinations(axes: tuple[Axis, ...]) -> Iterator[tuple[Any, ...]]:
    """Return every combination of values, the last axis changing first."""
    return itertools.product(*(axis.values for axis in axes))
