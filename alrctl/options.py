"""Turns a stage's function and config into a Typer command: flag over `--config` file over default.

Every option of a config is taken from the terminal as text, so that all bad values, and those of the file, are found in
one pass and told at once, each with the nearest valid name.
"""

from __future__ import annotations

import copy
import inspect
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from alrctl import processes, tracking
from alrctl.console import Voice
from alrctl.ending import reported
from alrctl.naming import option_names
from alrctl.option_values import Place, flag, merge, read_config, read_track
from alrctl.session import Outcome, Session, command_line
from alrctl.surface import one_of
from schemas.errors import UsageError

_WIDEST = 20
"""Characters up to which the words that an option takes stand beside it; longer lists would be broken in mid-word."""

Command = Callable[..., Outcome | None]

_NOT_TYPED = frozenset({"session", "config"})
"""Parameters of a command's function that are made, and not typed."""

_COMMON: dict[str, tuple[Any, Any]] = {
    "config_file": (
        Annotated[
            Path | None,
            typer.Option("--config", help="YAML file with options by the same names", rich_help_panel="Run"),
        ],
        None,
    ),
    "force": (
        Annotated[bool, typer.Option("--force", help="run even if nothing changed", rich_help_panel="Run")],
        False,
    ),
    "dry_run": (
        Annotated[bool, typer.Option("--dry-run", help="say what would run, and stop", rich_help_panel="Run")],
        False,
    ),
    "allow_stale": (
        Annotated[
            bool, typer.Option("--allow-stale", help="use inputs whose own inputs changed since", rich_help_panel="Run")
        ],
        False,
    ),
    "track": (
        Annotated[
            str | None,
            typer.Option(
                "--track",
                help="show what is measured, live, in another program: tensorboard or mlflow, or with a place of its "
                "own: tensorboard:DIR, mlflow:FILE.db, mlflow:http://SERVER",
                metavar="NAME[:PLACE]",
                autocompletion=one_of(tracking.ADAPTERS),
                rich_help_panel="Run",
            ),
        ],
        None,
    ),
    "as_json": (Annotated[bool, typer.Option("--json", help="print one JSON document", rich_help_panel="Run")], False),
    "debug": (
        Annotated[bool, typer.Option("--debug", help="show the traceback of an error", rich_help_panel="Run")],
        False,
    ),
}


def as_command(
    function: Command,
    config: type[BaseModel] | None = None,
    plain: bool = False,
    tracked: bool = False,
    shared: bool = False,
) -> Callable[..., None]:
    """Return what Typer registers for `function(session, [config,] **places)`.

    Args:
        function: reads, computes and writes; returns how it ended, or None if it has printed what it had to say.
        config: the stage's options.
        plain: for commands that write no artifact: without the flags of a stage's run.
        tracked: for commands that measure something that can be followed: with `--track`.
        shared: for commands that several processes may do together.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = {n: p for n, p in inspect.signature(function).parameters.items() if n not in _NOT_TYPED}
    places = [_place(name, parameter, hints[name]) for name, parameter in parameters.items()]
    annotations: dict[str, tuple[Any, Any]] = {p.name: (_optional(hints[p.name], p), None) for p in places}
    if config is not None:
        annotations |= {f: (_option(name, config.model_fields[f]), None) for f, name in option_names(config).items()}
    common_names = {"as_json", "debug"} if plain else _COMMON.keys() - (set() if tracked else {"track"})
    annotations |= {name: value for name, value in _COMMON.items() if name in common_names}

    def command(**given: Any) -> None:
        common = {name: given.pop(name, default) for name, (_, default) in _COMMON.items()}
        voice = Voice(common["as_json"], helping=not processes.is_first())
        with reported(voice, common["debug"]):
            if processes.count() > 1 and not shared:
                raise UsageError(
                    "works in one process; start it without torchrun or accelerate, which are for train-lnl, score and "
                    "recalibrate"
                )
            from_file = read_config(common["config_file"])
            track, problems = read_track(common["track"])
            arguments = merge(places, config, given, from_file, common["config_file"], problems)
            flags = (common["force"], common["dry_run"], common["allow_stale"])
            session = Session(voice, *flags, command_line(), track)
            outcome = function(session, **arguments)
            if outcome is not None:
                voice.document(outcome.document())

    kind = inspect.Parameter.KEYWORD_ONLY
    signature = [
        inspect.Parameter(name, kind, default=default, annotation=annotation)
        for name, (annotation, default) in annotations.items()
    ]
    command.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    command.__annotations__ = {name: annotation for name, (annotation, _) in annotations.items()}
    command.__doc__ = function.__doc__
    command.__name__ = function.__name__
    return command


def arguments_of(function: Command) -> tuple[str, ...]:
    """Return the names of a command's parameters that stand without an option's name."""
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters.items()
    places = [_place(name, one, hints[name]) for name, one in parameters if name not in _NOT_TYPED]
    return tuple(place.name for place in places if place.is_argument)


def _place(name: str, parameter: inspect.Parameter, hint: Any) -> Place:
    plain, info = _annotated(hint)
    required = parameter.default is inspect.Parameter.empty
    is_list = get_origin(plain) is list
    is_path = plain is Path or Path in get_args(plain)
    default = None if required else parameter.default
    return Place(name, required, default, type(info).__name__ == "ArgumentInfo", is_path, is_list)


def _optional(hint: Any, place: Place) -> Any:
    """Let Typer take the parameter as optional (a config file may hold it), and say that it is needed."""
    plain, shared = _annotated(hint)
    info = copy.copy(shared)
    info.help = f"{info.help} (required)" if place.required else info.help
    info.show_default = False
    return Annotated[plain | None, info]


def _annotated(hint: Any) -> tuple[Any, Any]:
    """Return the type and Typer's description of `Annotated[type, description]`, or of that `| None`."""
    for kind in (hint, *get_args(hint)):
        if get_origin(kind) is Annotated:
            plain, info = get_args(kind)
            return plain, info
    raise TypeError(f"{hint}: a command's parameter must be Annotated")


def _option(name: str, info: FieldInfo) -> Any:
    typed = flag(name)
    base = _without_none(info.annotation)
    words = _words(base)
    completion = one_of(words) if words else None
    help_text = info.description or ""
    metavar = _metavar(base)
    if len(metavar) > _WIDEST:
        help_text, metavar = f"{help_text}; one of {metavar.replace('|', ', ')}", "NAME"
    if base is bool:
        if info.default is not None:  # None: what is so depends on the data, and the help says on what
            help_text = f"{help_text} (default: {'on' if info.default else 'off'})"
        return Annotated[bool | None, typer.Option(f"{typed}/--no-{typed[2:]}", help=help_text)]
    default = _shown(info)
    help_text = f"{help_text} (default: {default})" if default else help_text
    if get_origin(base) is tuple:
        return Annotated[list[str] | None, _texts(typed, help_text, "TEXT", completion)]
    return Annotated[str | None, _texts(typed, help_text, metavar, completion)]


def _texts(typed: str, help_text: str, metavar: str, completion: Callable[[], list[str]] | None) -> Any:
    return typer.Option(typed, help=help_text, metavar=metavar, show_default=False, autocompletion=completion)


def _without_none(annotation: Any) -> Any:
    if isinstance(annotation, types.UnionType) or get_origin(annotation) is typing.Union:
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else kinds
    return annotation


def _shown(info: FieldInfo) -> str:
    if info.is_required() or info.default in (None, (), ""):
        return ""
    return ", ".join(map(str, info.default)) if isinstance(info.default, tuple) else str(info.default)


def _words(base: Any) -> list[str]:
    """Return the words that a value may be, or one of several values."""
    if get_origin(base) is Literal:
        return [str(value) for value in get_args(base)]
    return [word for kind in (base if isinstance(base, list) else get_args(base)) for word in _words(kind)]


def _metavar(base: Any) -> str:
    if isinstance(base, list):
        return "|".join(_metavar(kind) for kind in base)
    if get_origin(base) is Literal:
        return "|".join(str(value) for value in get_args(base))
    return {int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(base, "TEXT")
