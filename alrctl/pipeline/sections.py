"""The stages a pipeline file has a section for: the command, its options, and the files it may be given beside."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from alrctl.commands.corrupt import corrupt
from alrctl.commands.evaluate import evaluate
from alrctl.commands.ingest import ingest
from alrctl.commands.recalibrate import recalibrate
from alrctl.commands.relabel import relabel
from alrctl.commands.score import score
from alrctl.commands.select import select
from alrctl.commands.train_lnl import train_lnl
from alrctl.naming import option_names
from alrctl.session import Outcome
from schemas.errors import UsageError, nearest
from stages.corrupt import CorruptConfig
from stages.corrupt import check as check_noise
from stages.evaluate import EvaluateConfig
from stages.ingest import IngestConfig
from stages.recalibrate import RecalibrateConfig
from stages.relabel import RelabelConfig
from stages.score import ScoreConfig
from stages.select import SelectConfig
from stages.train_lnl import TrainLnlConfig

_OF_THE_CHAIN = {
    *("session", "config", "source", "data", "labels", "clean", "checkpoint", "scores", "queue", "answers"),
    *("oracle", "truth", "reference", "predictions", "out"),
}
"""Parameters of the commands that the chain itself gives, or that belong to no chain."""


@dataclass(frozen=True)
class Section:
    """A stage.

    Attributes:
        name: as on the command line.
        function: the command.
        config: its options.
        places: names of the files that the user may give it in the pipeline file.
    """

    name: str
    function: Callable[..., Outcome]
    config: type[BaseModel]
    places: tuple[str, ...]

    @property
    def options(self) -> list[str]:
        """Everything that may stand in the section, as it is written."""
        return [dashed(name) for name in (*option_names(self.config).values(), *self.places)]

    def told_of(self, given: Any) -> list[str]:
        """Return what is wrong with the content of the section."""
        if not isinstance(given, dict):
            return [f"{self.name}: must hold `option: value` lines"]
        options, places = self.parted(given)
        astray = {place: value for place, value in places.items() if not isinstance(value, str)}
        if astray:
            return [f"{self.name}.{dashed(place)}: '{value}' is no path" for place, value in astray.items()]
        told = []
        if self.name == "select" and options.get("mix"):  # a mix goes with the strategy of that name
            options["strategy"] = "mix"
        try:
            found = self.config.model_validate(options)
            if isinstance(found, CorruptConfig):
                check_noise(found, "transition" in places, "features" in places)
        except UsageError as error:
            told.append(f"{self.name}: {error}")
        except ValidationError as error:
            told += [self._told(problem) for problem in error.errors()]
        return told

    def parted(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the options, and the files given, by the names that Python knows them by."""
        found = {str(name).replace("-", "_"): value for name, value in given.items()}
        places = {name: found.pop(name) for name in self.places if name in found}
        return found, places

    def _told(self, problem: Any) -> str:
        where = ".".join(dashed(str(part)) for part in problem["loc"])
        if not where:
            return f"{self.name}: {str(problem['msg']).removeprefix('Value error, ')}"
        if problem["type"] == "extra_forbidden":
            return f"{self.name}.{where}: unknown option{nearest(where, self.options)}"
        return f"{self.name}.{where}: '{problem['input']}': {problem['msg']}"


def dashed(name: str) -> str:
    """Return a name as it is written in files and on the command line."""
    return name.replace("_", "-")


def _section(name: str, function: Callable[..., Outcome], config: type[BaseModel]) -> Section:
    hints = typing.get_type_hints(function)
    free = [place for place in inspect.signature(function).parameters if place not in _OF_THE_CHAIN]
    return Section(name, function, config, tuple(place for place in free if _is_path(hints[place])))


def _is_path(hint: Any) -> bool:
    return hint is Path or Path in typing.get_args(hint)


SECTIONS = {
    one.name: one
    for one in (
        _section("ingest", ingest, IngestConfig),
        _section("corrupt", corrupt, CorruptConfig),
        _section("train-lnl", train_lnl, TrainLnlConfig),
        _section("score", score, ScoreConfig),
        _section("select", select, SelectConfig),
        _section("relabel", relabel, RelabelConfig),
        _section("recalibrate", recalibrate, RecalibrateConfig),
        _section("evaluate", evaluate, EvaluateConfig),
    )
}
"""In the order of the chain."""
