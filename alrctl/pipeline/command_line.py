"""A step as the command that a person would type for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from alrctl.naming import option_names
from alrctl.options import arguments_of, flag
from alrctl.pipeline.plan import Step


def words(step: Step, base: Path) -> list[str]:
    """Return the words of the command, `alrctl` first; paths are those from `base`."""
    arguments = arguments_of(step.function)
    given = {name: value for name, value in step.arguments.items() if name != "config" and value is not None}
    found = ["alrctl", step.section]
    found += [_path(value, base) for name, value in given.items() if name in arguments]
    for name, value in given.items():
        if name not in arguments:
            found += ["-o" if name == "out" else flag(name), _path(value, base)]
    return [*found, *_options(step.arguments["config"])]


def _path(value: Any, base: Path) -> str:
    """Return a path as it is written from `base`; one that begins with a dash would be taken for an option."""
    return os.path.relpath(value, base) if isinstance(value, Path) else str(value)


def _options(config: BaseModel) -> Iterator[str]:
    """Return the options that are not as they are by default."""
    for field, name in option_names(type(config)).items():
        value = getattr(config, field)
        if value == type(config).model_fields[field].get_default(call_default_factory=True):
            continue
        if isinstance(value, bool):
            yield flag(name) if value else "--no-" + flag(name)[2:]
        else:
            for one in value if isinstance(value, tuple) else (value,):
                yield from (flag(name), str(one))
