"""The content of a pipeline file, read and checked as a whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from alrctl import files
from alrctl.option_values import not_one_of
from alrctl.pipeline import matrix
from alrctl.pipeline.matrix import Axis
from alrctl.pipeline.sections import SECTIONS, dashed
from schemas.errors import UsageError, nearest
from stages.methods.acquisition import Strategy

_NO_KEYS = ("sections", "axes")


class Pipeline(BaseModel):
    """The content of `pipeline.yaml`. Paths are relative to the file; a stage's section holds its options."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    source: Path = Field(description="images to ingest, or a directory that `ingest` wrote")
    output: Path = Field(Path("."), description="where all artifacts go")
    rounds: int = Field(2, ge=0, le=100, description="of score, select, relabel, recalibrate, evaluate")
    strategies: tuple[Strategy, ...] = Field(
        ("expected-correction",), min_length=1, description="each gets a branch of its own"
    )
    first_strategy: Strategy | None = Field(None, description="of the first round, where it is another")
    expert: Literal["oracle", "file"] = Field(
        "file", description="oracle: the truth answers, for experiments; file: stop each round for answers.csv"
    )
    start_from: Literal["previous", "lnl"] = Field("previous", description="network that a round fine-tunes")
    bound: bool = Field(False, description="with an oracle: also train on labels all of which are right")
    report: bool = Field(True, description="write report.html at the end")
    seed: int = Field(0, ge=0, description="of every stage that has none of its own")
    sections: dict[str, dict[str, Any]] = Field(default_factory=dict)
    axes: tuple[Axis, ...] = ()

    @field_validator("source", "output")
    @classmethod
    def _can_be_a_file(cls, place: Path) -> Path:
        if "\0" in str(place):
            raise ValueError("holds a null character, which no name of a file does")
        return place


def load(path: Path) -> Pipeline:
    """Read a pipeline file.

    Raises:
        UsageError: unknown names or bad values, all told at once.
    """
    content = files.read_yaml(path)
    if not isinstance(content, dict):
        raise UsageError(f"{path}: must hold `name: value` lines, at least `source: PATH`")
    return parse(content, path.parent, str(path))


def parse(content: dict[str, Any], base: Path, source: str) -> Pipeline:
    """Check the content of a pipeline file; `base` is what its paths are relative to.

    Raises:
        UsageError: unknown names or bad values, all told at once.
    """
    content = {dashed(str(name)): value for name, value in content.items()}
    sections = {name: content.pop(name) or {} for name in SECTIONS if name in content}
    sound = {name: _rooted(name, options, base) for name, options in sections.items() if isinstance(options, dict)}
    axes, problems = matrix.read(content.pop("matrix", {}), {*content, *_given(sound)})
    for name in dict.fromkeys([*sections, *(axis.section for axis in axes if axis.section)]):
        problems += matrix.told_of_section(name, sections.get(name, {}), axes)
    axes = tuple(_axis_rooted(axis, base) for axis in axes)
    if "strategy" in sound.get("select", {}):
        problems.append("select.strategy: name the strategies under `strategies`, each gets a branch")
    own, told = _own(content)
    problems += told
    try:
        pipeline = Pipeline.model_validate({**own, "sections": sound, "axes": _with_strategies(axes, own)})
        if pipeline.bound and pipeline.expert != "oracle":
            problems.append("bound: only an experiment knows all labels; it goes with `expert: oracle`")
    except ValidationError as error:
        found = error.errors()
        inside = {problem["loc"][:1] for problem in found if len(problem["loc"]) > 1}  # a list that lacks what is wrong
        problems += [_told(problem) for problem in found if problem["loc"] not in inside]
    if problems:
        raise UsageError(f"{source}: {'; '.join(problems)}")
    places = {"source": base / pipeline.source, "output": base / pipeline.output}
    _check_apart(places["source"], places["output"], source)
    return pipeline.model_copy(update=places)


def _check_apart(images: Path, output: Path, source: str) -> None:
    """Refuse to write among the images: what was written would be taken for images and classes the next time.

    Raises:
        UsageError: the output is the source, or lies in it.
    """
    if (images / "samples.parquet").is_file() or not images.is_dir():
        return
    if output.resolve().is_relative_to(images.resolve()):
        raise UsageError(
            f"{source}: output {output} lies among the images of {images}; choose a folder outside of it, "
            "since what is written there would be taken for images"
        )


def _own(content: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the keys that are no sections, by the names that Python knows them by, and which of them are unknown."""
    known = [dashed(name) for name in Pipeline.model_fields if name not in _NO_KEYS]
    problems = [
        f"unknown key '{name}'{nearest(name, [*known, 'matrix', *SECTIONS])}" for name in content if name not in known
    ]
    return {name.replace("-", "_"): value for name, value in content.items() if name in known}, problems


def _given(sections: dict[str, dict[str, Any]]) -> set[str]:
    """Return the options that sections give a value to, as `stage.option`."""
    return {f"{name}.{dashed(str(option))}" for name, options in sections.items() for option in options}


def _rooted(name: str, given: dict[str, Any], base: Path) -> dict[str, Any]:
    """Return a section whose files are found from the pipeline file."""
    options, places = SECTIONS[name].parted(given)
    weights = options.get("weights")
    if (
        isinstance(weights, str) and (base / weights).is_file()
    ):  # else a name, or a file from where the command is given
        options["weights"] = str(base / weights)
    if isinstance(options.get("root"), str):
        options["root"] = str(base / options["root"])
    return {**options, **{place: base / value for place, value in places.items() if isinstance(value, str)}}


def _axis_rooted(axis: Axis, base: Path) -> Axis:
    """Return an axis whose files are found from the pipeline file."""
    if not axis.section:
        return axis
    found = [_rooted(axis.section, {axis.option: value}, base) for value in axis.values]
    return replace(axis, meant=tuple(next(iter(one.values()), None) for one in found))


def _with_strategies(axes: tuple[Axis, ...], own: dict[str, Any]) -> tuple[Axis, ...]:
    """Return the axes with that of `strategies`, which is the short way to write it."""
    listed = own.get("strategies")
    if not isinstance(listed, list | tuple) or any(axis.name == "strategy" for axis in axes):
        return axes
    return (*axes, Axis("strategy", "", "strategy", tuple(dict.fromkeys(map(str, listed)))))


def _told(problem: Any) -> str:
    where = ".".join(dashed(str(part)) for part in problem["loc"])
    if problem["type"] in ("tuple_type", "too_short"):
        return f"{where}: must be a list, as in [{'entropy' if where == 'strategies' else 'one'}, random]"
    if problem["type"] == "literal_error":
        return f"{where.partition('.')[0]}: {not_one_of(problem['input'], problem['ctx']['expected'])}"
    return f"{where}: {problem['msg']}" if where else str(problem["msg"]).removeprefix("Value error, ")
