"""A step as the command that a person would type for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from alrctl.naming import option_names
from alrctl.option_values import flag
from alrctl.options import arguments_of
from alrctl.pipeline.plan import Step
from schemas.errors import UsageError

_FILES = {("train-lnl", "weights"), ("ingest", "root")}
"""Options that are text, and that may mean a file or a folder."""


def words(step: Step, base: Path) -> list[str]:
    """Return the words of the command, `alrctl` first.

    Args:
        step: what is to be carried out.
        base: the directory in which the command is to be given; paths are those from there.

    Raises:
        UsageError: an option has a value that no command line can say.
    """
    arguments = arguments_of(step.function)
    given = {name: value for name, value in step.arguments.items() if name != "config" and value is not None}
    found = ["alrctl", step.section, *(relative(given.pop(name), base) for name in arguments if name in given)]
    for name, value in given.items():
        found += ["-o" if name == "out" else flag(name), relative(value, base)]
    return [*found, *_options(step, base)]


def relative(place: Path, base: Path) -> str:
    """Return a path as it is written in the directory `base`.

    One that begins with a dash would be taken for an option, and one with a tilde for somebody's home.
    """
    found = os.path.relpath(place, base)
    if os.path.realpath(os.path.join(os.path.realpath(base), found)) != os.path.realpath(place):
        found = os.path.relpath(os.path.realpath(place), os.path.realpath(base))  # links lie on the way
    return f"./{found}" if found.startswith(("-", "~")) else found


def _options(step: Step, base: Path) -> Iterator[str]:
    """Return the options that are not as they are by default."""
    config: BaseModel = step.arguments["config"]
    for field, name in option_names(type(config)).items():
        value = getattr(config, field)
        if value == type(config).model_fields[field].get_default(call_default_factory=True):
            continue
        if value is None or value == ():
            raise UsageError(f"{step.name}: {flag(name)}: no command can say '{_shown(value)}'; leave it out")
        if isinstance(value, bool):
            yield flag(name) if value else "--no-" + flag(name)[2:]
            continue
        if (step.section, name) in _FILES and value and (name == "root" or Path(value).exists()):
            value = relative(Path(value), base)
        for one in value if isinstance(value, tuple) else (value,):
            yield from _said(flag(name), str(one))


def _shown(value: Any) -> str:
    return "null" if value is None else "[]"


def _said(option: str, value: str) -> tuple[str, ...]:
    """Return an option with its value: as one word where the value would be taken for an option."""
    return (f"{option}={value}",) if value.startswith("-") else (option, value)
