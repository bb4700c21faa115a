"""The steps of all settings of a pipeline: what several settings have in common is one step, computed once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alrctl.pipeline import matrix
from alrctl.pipeline.chain import Beside, Link, chain
from alrctl.pipeline.file import Pipeline
from alrctl.pipeline.sections import SECTIONS
from alrctl.session import Outcome

_NOT_OF_SEEDS = ("ingest", "evaluate")
"""Stages that the matrix's seeds leave alone: all seeds are to be told by the same test samples."""


@dataclass(frozen=True)
class Step:
    """One stage of the plan.

    Attributes:
        name: its directory below the pipeline's output.
        section: the stage.
        function: the command.
        arguments: what it is called with, config and places.
        after: names of the steps whose outputs it reads.
        awaited: the file of an expert's answers, and the queue's CSV that may hold them, where it waits for them.
    """

    name: str
    section: str
    function: Callable[..., Outcome]
    arguments: dict[str, Any]
    after: tuple[str, ...] = ()
    awaited: tuple[Path, Path] | None = field(default=None)


@dataclass
class _Shared:
    """A step, and the settings that have it in common."""

    link: Link
    inputs: dict[str, str]  # key of each step that it reads
    settings: list[tuple[Any, ...]]


def plan(pipeline: Pipeline) -> list[Step]:
    """Return the steps in an order in which they can be carried out.

    Settings share a step where it has the same options and reads the same. It lies below a directory for each option
    of the matrix that makes a difference up to there.
    """
    found = _shared(pipeline)
    folders = _folders(pipeline, found)
    return [_step(pipeline, shared, folders[key], folders) for key, shared in found.items()]


def seed_directories(pipeline: Pipeline) -> list[str]:
    """Return the directories that tell seeds apart."""
    axes = [axis for axis in pipeline.axes if not axis.section and axis.option == "seed" and len(axis.values) > 1]
    return [axis.directory(value) for axis in axes for value in axis.values]


def _shared(pipeline: Pipeline) -> dict[str, _Shared]:
    """Return each step once, by a key of all that decides what it gives."""
    found: dict[str, _Shared] = {}
    for setting in matrix.combinations(pipeline.axes):
        keys: dict[str, str] = {}
        for link in chain(_set(pipeline, setting)):
            inputs = {place.step: keys[place.step] for place in _read(link)}
            key = keys[link.name] = _key(link, inputs)
            found.setdefault(key, _Shared(link, inputs, [])).settings.append(setting)
    return found


def _set(pipeline: Pipeline, setting: Sequence[Any]) -> Pipeline:
    """Return the pipeline of one setting."""
    sections = {name: dict(options) for name, options in pipeline.sections.items()}
    own: dict[str, Any] = {}
    for axis, value in zip(pipeline.axes, setting, strict=True):
        if axis.section:
            sections.setdefault(axis.section, {})[axis.option] = axis.meaning(value)
        elif axis.option == "strategy":
            own["strategies"] = (value,)
        else:
            own[axis.option.replace("-", "_")] = value
    if "seed" in own:
        for name in _NOT_OF_SEEDS:
            sections.setdefault(name, {}).setdefault("seed", pipeline.seed)
    return pipeline.model_copy(update={**own, "sections": sections})


def _read(link: Link) -> Iterator[Beside]:
    yield from (place for place in link.places.values() if isinstance(place, Beside))


def _key(link: Link, inputs: dict[str, str]) -> str:
    """Return a digest of a step's name and options, and of all that it reads."""
    places = {
        role: [inputs[place.step], place.name] if isinstance(place, Beside) else str(place)
        for role, place in link.places.items()
    }
    text = json.dumps([link.name, link.section, link.config.model_dump(mode="json"), places], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _folders(pipeline: Pipeline, found: dict[str, _Shared]) -> dict[str, str]:
    """Return the directory that each step's own lies in, empty at the top: a level an axis that tells it from others.

    Levels come in the order of the stages that the axes first make a difference to.
    """
    alike = {key: _decided(shared.settings) for key, shared in found.items()}
    first: dict[int, None] = {}
    for places in alike.values():
        first.update(dict.fromkeys(sorted(set(places) - set(first))))
    levels = [place for place in first if len(pipeline.axes[place].values) > 1]
    return {
        key: "/".join(
            pipeline.axes[place].directory(shared.settings[0][place]) for place in levels if place in alike[key]
        )
        for key, shared in found.items()
    }


def _decided(settings: Sequence[tuple[Any, ...]]) -> list[int]:
    """Return the axes on which all settings have one value."""
    return [place for place in range(len(settings[0])) if len({repr(setting[place]) for setting in settings}) == 1]


def _step(pipeline: Pipeline, shared: _Shared, folder: str, folders: dict[str, str]) -> Step:
    link = shared.link

    def located(place: Beside | Path) -> Path:
        if isinstance(place, Path):
            return place
        made = pipeline.output / folders[shared.inputs[place.step]] / place.step
        return made.parent / place.name if place.name else made

    name = _joined(folder, link.name)
    places = {role: located(place) for role, place in link.places.items()}
    return Step(
        name=name,
        section=link.section,
        function=SECTIONS[link.section].function,
        arguments={"config": link.config, **places, "out": pipeline.output / name},
        after=tuple(_joined(folders[key], made) for made, key in shared.inputs.items()),
        awaited=None if link.awaited is None else (located(link.awaited[0]), located(link.awaited[1])),
    )


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
