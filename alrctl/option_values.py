"""The values of a command's options: flag over `--config` file over default, and all that is wrong told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from alrctl import files, tracking
from alrctl.naming import option_names
from schemas.errors import DataError, UsageError, nearest, shown


@dataclass(frozen=True)
class Place:
    """A path (or other) parameter of a command's own."""

    name: str
    required: bool
    default: Any
    is_argument: bool
    is_path: bool
    is_list: bool


def flag(name: str) -> str:
    """Return an option as it is typed."""
    return "--" + _dashed(name)


def read_config(path: Path | None) -> dict[str, Any]:
    """Return the options of a `--config` file by their fields' names; none where there is no file.

    Raises:
        DataError: not readable, or not of lines `name: value`.
    """
    if path is None:
        return {}
    content = files.read_yaml(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise DataError(f"{path}: must hold 'name: value' lines, as in `epochs: 30`")
    return {str(name).replace("-", "_"): value for name, value in content.items()}


def read_track(spec: str | None) -> tuple[tracking.Tracking | None, list[str]]:
    """Return what `--track` asks for, and what is wrong with it."""
    try:
        return None if spec is None else tracking.parse(spec), []
    except UsageError as error:
        return None, [str(error)]


def merge(
    places: list[Place],
    config: type[BaseModel] | None,
    given: Mapping[str, Any],
    from_file: Mapping[str, Any],
    source: Path | None,
    found: list[str],
) -> dict[str, Any]:
    """Return the function's arguments, every problem of flags and file told at once, after those found before.

    Raises:
        UsageError: unknown names, bad or missing values.
    """
    problems = list(found)
    names = option_names(config) if config is not None else {}
    known = [place.name for place in places] + list(names.values())
    for name in from_file:
        if name not in known:
            problems.append(f"{source}: unknown option '{_dashed(name)}'{nearest(_dashed(name), map(_dashed, known))}")
    flags = {names.get(name, name): value for name, value in given.items() if value is not None and value != []}
    merged = {**{name: value for name, value in from_file.items() if name in known}, **flags}
    arguments: dict[str, Any] = {}
    for place in places:
        value = merged.pop(place.name, place.default)
        if value is None and place.required:
            problems.append(f"missing {place.name.upper() if place.is_argument else '--' + _dashed(place.name)}")
        if place.is_path and not _is_path(value, place):
            problems.append(f"{source}: {_dashed(place.name)}: {value!r} is no path")
            continue
        arguments[place.name] = _as_place(value, place)
    if config is not None:
        try:
            arguments["config"] = config.model_validate(merged)
        except ValidationError as error:
            problems += _all_told(error, flags, source)
    if problems:
        raise UsageError("; ".join(problems))
    return arguments


def _is_path(value: Any, place: Place) -> bool:
    items = value if place.is_list and isinstance(value, list) else [value]
    return value is None or all(isinstance(item, str | Path) for item in items)


def _as_place(value: Any, place: Place) -> Any:
    if value is None or not place.is_path:
        return value
    return [Path(item) for item in value] if place.is_list else Path(value)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _all_told(error: ValidationError, flags: Mapping[str, Any], source: Path | None) -> list[str]:
    """Say what is wrong with each option, once an option (one that takes a number or a word breaks two rules)."""
    by_option = {problem["loc"][:1]: problem for problem in reversed(error.errors())}
    told = []
    for place, problem in reversed(by_option.items()):
        words = [p["ctx"]["expected"] for p in error.errors() if p["loc"][:1] == place and p["type"] == "literal_error"]
        also = f", or {words[0]}" if words and problem["type"] != "literal_error" else ""
        told.append(_told(problem, flags, source) + also)
    return told


def _told(problem: Any, flags: Mapping[str, Any], source: Path | None) -> str:
    """Say what is wrong with one option's value."""
    if not problem["loc"]:
        return str(problem["msg"]).removeprefix("Value error, ")
    name = str(problem["loc"][0])
    where = f"--{_dashed(name)}" if name in flags or source is None else f"{source}: {_dashed(name)}"
    value, context = problem.get("input"), problem.get("ctx", {})
    value = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
    if problem["type"] == "missing":
        return f"missing {where}"
    if problem["type"] == "literal_error":
        return f"{where}: {not_one_of(value, context['expected'])}"
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"{where}: '{value}' {message}" if "input" in problem else f"{where}: {message}"


def not_one_of(value: object, expected: str) -> str:
    """Say that a value is none of the words that pydantic expected, which one may be meant."""
    words = [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]
    return f"'{shown(str(value))}' is not one of {', '.join(words)}{nearest(str(value), words)}"
