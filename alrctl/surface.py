"""What each command takes, as data: help, completion and misspelt options need none of what a command works with.

The options of a command are the fields of its stage's config, which stands beside the stage, and so beside torch. To
read them there at each press of the tabulator would take seconds. They are therefore written once into `surface.json`
beside this file, by `make surface`; a test fails where that file is not what the commands say. It is the one way in:
what is completed, what is helped with and what is parsed cannot differ.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

FILE = Path(__file__).with_suffix(".json")

_KINDS: dict[str, Any] = {
    "flag": bool,
    "switch": bool | None,
    "text": str | None,
    "texts": list[str] | None,
    "path": Path | None,
    "paths": list[Path] | None,
    "whole": int | None,
    "number": float | None,
}
"""What a parameter's value may be, by the names that the file knows it by."""

_SAID = ("help", "metavar", "rich_help_panel", "show_default", "min", "max")
"""What Typer is told of a parameter besides its name and kind."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a command.

    Attributes:
        name: as the command's function knows it.
        kind: of its value.
        typed: the names of an option as they are typed; empty for an argument.
        said: what Typer is told of it besides.
        words: those that it takes, where they are known.
    """

    name: str
    kind: str
    typed: tuple[str, ...] = ()
    said: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()

    def signature(self) -> inspect.Parameter:
        """Return it as Typer reads it."""
        completion = one_of(self.words) if self.words else None
        make: Callable[..., Any] = typer.Option if self.typed else typer.Argument
        default = False if self.kind == "flag" else None
        plain, info = _KINDS[self.kind], make(*self.typed, autocompletion=completion, **self.said)
        annotation = Annotated[plain, info]  # type: ignore[valid-type]  # it is read from a file
        return inspect.Parameter(self.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


@dataclass(frozen=True)
class Surface:
    """What a command takes, with an example of its use."""

    example: str
    parameters: tuple[Parameter, ...]

    def dress(self, function: Callable[..., None]) -> Callable[..., None]:
        """Give a function the parameters that Typer is to see."""
        signature = inspect.Signature([parameter.signature() for parameter in self.parameters])
        function.__signature__ = signature  # type: ignore[attr-defined]
        function.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
        return function


def one_of(words: Iterable[str]) -> Callable[[], list[str]]:
    """Return what completes to these words."""
    return lambda: list(words)


@cache
def read() -> dict[str, Surface]:
    """Return what is written of each command."""
    told = json.loads(FILE.read_text(encoding="utf-8"))
    return {name: Surface(one["example"], tuple(map(_parameter, one["parameters"]))) for name, one in told.items()}


def _parameter(told: dict[str, Any]) -> Parameter:
    return Parameter(**told | {name: tuple(told[name]) for name in ("typed", "words") if name in told})


def of_module(module: str) -> Surface:
    """Return what a command takes, as its module says."""
    command = importlib.import_module(module)
    return Surface(command.EXAMPLE, tuple(map(_described, inspect.signature(command.COMMAND).parameters.values())))


def _described(parameter: inspect.Parameter) -> Parameter:
    hint, info = get_args(parameter.annotation)
    kind = next(name for name, known in _KINDS.items() if known == hint)
    is_option = type(info).__name__ == "OptionInfo"
    usual = vars(typer.Option() if is_option else typer.Argument())
    return Parameter(
        parameter.name,
        kind,
        typed=(info.default, *info.param_decls) if is_option else (),
        said={name: vars(info)[name] for name in _SAID if vars(info)[name] != usual[name]},
        words=tuple(info.autocompletion()) if info.autocompletion else (),
    )


def written(surfaces: Mapping[str, Surface]) -> str:
    """Return the file's text: a line a parameter, so that what changed is seen."""
    told = []
    for name, surface in surfaces.items():
        lines = ",\n".join(
            f"    {json.dumps({key: value for key, value in asdict(one).items() if value}, ensure_ascii=False)}"
            for one in surface.parameters
        )
        told.append(f'{json.dumps(name)}: {{"example": {json.dumps(surface.example)}, "parameters": [\n{lines}\n]}}')
    return "{\n" + ",\n".join(told) + "\n}\n"


if __name__ == "__main__":
    from alrctl.app import COMMANDS

    FILE.write_text(written({entry.name: of_module(entry.module) for entry in COMMANDS}), encoding="utf-8")
