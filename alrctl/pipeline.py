"""A pipeline file: the chain for R rounds, for one strategy or several that share phase 1.

Every step is a stage with its own directory, so that a run can be stopped and taken up at will: what is up to date is
skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alrctl import files
from alrctl.commands.corrupt import corrupt
from alrctl.commands.evaluate import evaluate
from alrctl.commands.ingest import ingest
from alrctl.commands.recalibrate import recalibrate
from alrctl.commands.relabel import relabel
from alrctl.commands.score import score
from alrctl.commands.select import select
from alrctl.commands.train_lnl import train_lnl
from alrctl.job import Outcome
from schemas.errors import DataError, UsageError, listing, nearest
from stages.corrupt import CorruptConfig
from stages.evaluate import EvaluateConfig
from stages.ingest import IngestConfig
from stages.methods.acquisition import Strategy
from stages.recalibrate import RecalibrateConfig
from stages.relabel import RelabelConfig
from stages.score import ScoreConfig
from stages.select import SelectConfig
from stages.train_lnl import TrainLnlConfig

_SECTIONS: dict[str, type[BaseModel]] = {
    "ingest": IngestConfig,
    "corrupt": CorruptConfig,
    "train-lnl": TrainLnlConfig,
    "score": ScoreConfig,
    "select": SelectConfig,
    "relabel": RelabelConfig,
    "recalibrate": RecalibrateConfig,
    "evaluate": EvaluateConfig,
}


class Pipeline(BaseModel):
    """The content of `pipeline.yaml`. Paths are relative to the file; a stage's section holds its options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Path = Field(description="images to ingest, or a directory that `ingest` wrote")
    output: Path = Field(Path("."), description="where all artifacts go")
    rounds: int = Field(2, ge=0, le=1000, description="of score, select, relabel, recalibrate, evaluate")
    strategies: tuple[Strategy, ...] = Field(
        ("expected-correction",), min_length=1, description="each gets a branch of its own"
    )
    expert: Literal["oracle", "file"] = Field(
        "file", description="oracle: the truth answers, for experiments; file: stop each round for answers.csv"
    )
    start_from: Literal["previous", "lnl"] = Field("previous", description="network that a round fine-tunes")
    bound: bool = Field(False, description="with an oracle: also train on labels all of which are right")
    seed: int = Field(0, ge=0, description="of every stage that has none of its own")
    sections: dict[str, dict[str, Any]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One stage of the plan.

    Attributes:
        name: its directory below the output.
        function: the command.
        arguments: what it is called with, config and places.
        after: names of the steps whose outputs it reads.
    """

    name: str
    function: Callable[..., Outcome]
    arguments: dict[str, Any]
    after: tuple[str, ...] = ()
    answers: tuple[Path, ...] = field(default=())


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
    content = {str(name).replace("_", "-"): value for name, value in content.items()}
    own = {name.replace("-", "_"): value for name, value in content.items() if name not in _SECTIONS}
    sections = {name: content[name] or {} for name in _SECTIONS if name in content}
    known = [*(name.replace("_", "-") for name in Pipeline.model_fields if name != "sections"), *_SECTIONS]
    problems = [
        f"unknown key '{name.replace('_', '-')}'{nearest(name.replace('_', '-'), known)}"
        for name in own
        if name not in Pipeline.model_fields or name == "sections"
    ]
    for name, options in sections.items():
        problems += _section_problems(name, options)
    if isinstance(sections.get("select"), dict) and "strategy" in sections["select"]:
        problems.append("select.strategy: name the strategies under `strategies`, each gets a branch")
    sound = {name: options for name, options in sections.items() if isinstance(options, dict)}
    try:
        kept = {name: value for name, value in own.items() if name in Pipeline.model_fields and name != "sections"}
        pipeline = Pipeline.model_validate({**kept, "sections": sound})
        if pipeline.bound and pipeline.expert != "oracle":
            problems.append("bound: only an experiment knows all labels; it goes with `expert: oracle`")
    except ValidationError as error:
        problems += [f"{_path(problem)}: {problem['msg']}" for problem in error.errors()]
    if problems:
        raise UsageError(f"{source}: {'; '.join(problems)}")
    return pipeline.model_copy(update={"source": base / pipeline.source, "output": base / pipeline.output})


def _path(problem: Any) -> str:
    return ".".join(str(part).replace("_", "-") for part in problem["loc"])


def _section_problems(name: str, options: Any) -> list[str]:
    if not isinstance(options, dict):
        return [f"{name}: must hold `option: value` lines"]
    model = _SECTIONS[name]
    try:
        model.model_validate(_options_alone(name, options))
    except ValidationError as error:
        dashed = [field.replace("_", "-") for field in model.model_fields]
        return [
            f"{name}.{_path(p)}: unknown option{nearest(_path(p), dashed)}"
            if p["type"] == "extra_forbidden"
            else f"{name}.{_path(p)}: '{p['input']}': {p['msg']}"
            for p in error.errors()
        ]
    return []


def _options_alone(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return a section's options as they can be checked by themselves: a mix goes with the strategy of that name."""
    found = _underscored(options)
    return {**found, "strategy": "mix"} if name == "select" and found.get("mix") else found


def _underscored(options: dict[str, Any]) -> dict[str, Any]:
    return {str(name).replace("-", "_"): value for name, value in options.items()}


def plan(pipeline: Pipeline) -> list[Step]:
    """Return the steps in the order in which they can be carried out."""
    out = pipeline.output
    steps = []
    data = pipeline.source
    if not (pipeline.source / "samples.parquet").is_file():
        data = out / "data"
        steps.append(
            Step("data", ingest, {"config": _config(pipeline, "ingest"), "source": pipeline.source, "out": data})
        )
    labels, truth = data, data
    if "corrupt" in pipeline.sections:
        labels = truth = out / "noisy"
        config = _config(pipeline, "corrupt")
        steps.append(Step("noisy", corrupt, {"config": config, "data": data, "out": labels}, ("data",)))
    config = _config(pipeline, "train-lnl")
    lnl = {"config": config, "data": data, "labels": labels, "out": out / "lnl"}
    steps.append(Step("lnl", train_lnl, lnl, ("data", "noisy")))
    for strategy in pipeline.strategies:
        branch = strategy if len(pipeline.strategies) > 1 else ""
        steps += _branch(pipeline, strategy, branch, data, labels, truth)
    return steps + (_bound(pipeline, data, truth) if pipeline.bound else [])


def _bound(pipeline: Pipeline, data: Path, truth: Path) -> list[Step]:
    """Return what tells how much all labels corrected would give: phase 2 on the labels that the data set came with."""
    lnl, model, judged = (pipeline.output / place for place in ("lnl", "bound/model", "bound/eval"))
    shared = {"data": data, "labels": data, "clean": lnl}
    trained = {"config": _config(pipeline, "recalibrate", trust="all"), **shared, "checkpoint": lnl, "out": model}
    told = {"config": _config(pipeline, "evaluate"), **shared, "checkpoint": model, "truth": truth, "out": judged}
    return [
        Step("bound/model", recalibrate, trained, ("lnl",)),
        Step("bound/eval", evaluate, told, ("bound/model",)),
    ]


@dataclass(frozen=True)
class _Standing:
    """Where a branch stands before a round: its labels, its network, and the step that made it."""

    labels: Path
    checkpoint: Path
    after: str


def _branch(pipeline: Pipeline, strategy: str, branch: str, data: Path, labels: Path, truth: Path) -> list[Step]:
    """Return the rounds of one strategy; round 0 evaluates phase 1."""
    standing = _Standing(labels, pipeline.output / "lnl", "lnl")
    steps = [_judgement(pipeline, branch, 0, data, truth, standing)]
    for number in range(1, pipeline.rounds + 1):
        more, standing = _round(pipeline, strategy, branch, number, data, truth, standing)
        steps += more
        steps.append(_judgement(pipeline, branch, number, data, truth, standing))
    return steps


def _judgement(pipeline: Pipeline, branch: str, number: int, data: Path, truth: Path, standing: _Standing) -> Step:
    """Return the evaluation that ends a round."""
    name = _name(branch, number, "eval")
    places = {"data": data, "checkpoint": standing.checkpoint, "out": pipeline.output / name}
    if pipeline.expert == "oracle":
        places |= {"truth": truth, "labels": standing.labels, "clean": pipeline.output / "lnl"}
    return Step(name, evaluate, {"config": _config(pipeline, "evaluate"), **places}, (standing.after,))


def _round(
    pipeline: Pipeline, strategy: str, branch: str, number: int, data: Path, truth: Path, standing: _Standing
) -> tuple[list[Step], _Standing]:
    """Return score, select, relabel and recalibrate of one round, and where the branch stands after it."""
    out, lnl = pipeline.output, pipeline.output / "lnl"
    names = [_name(branch, number, part) for part in ("scores", "queue", "labels", "model")]
    scores, queue, labels, model = (out / name for name in names)
    answers = out / _name(branch, number, "answers.csv")
    asked_of_file = pipeline.expert == "file"
    start = standing.checkpoint if pipeline.start_from == "previous" else lnl
    shared = {"data": data, "clean": lnl}
    scored = {**shared, "labels": standing.labels, "checkpoint": standing.checkpoint, "out": scores}
    answered = {"labels": standing.labels, "queue": queue, "data": data, "out": labels}
    answered |= {"answers": answers} if asked_of_file else {"oracle": truth}
    trained = {**shared, "labels": labels, "checkpoint": start, "out": model}
    first_seed = pipeline.sections.get("select", {}).get("seed", pipeline.seed)
    own = {} if strategy == "mix" else {"mix": ()}
    picked = _config(pipeline, "select", strategy=strategy, seed=int(first_seed) + number, **own)
    steps = [
        Step(names[0], score, {"config": _config(pipeline, "score"), **scored}, (standing.after,)),
        Step(names[1], select, {"config": picked, "scores": scores, "out": queue}, (names[0],)),
        Step(
            names[2],
            relabel,
            {"config": _config(pipeline, "relabel"), **answered},
            (names[1],),
            answers=(answers, queue / "queue.csv") if asked_of_file else (),
        ),
        Step(names[3], recalibrate, {"config": _config(pipeline, "recalibrate"), **trained}, (names[2],)),
    ]
    return steps, _Standing(labels, model, names[3])


def _name(branch: str, number: int, part: str) -> str:
    return "/".join(piece for piece in (branch, f"r{number}", part) if piece)


def _config(pipeline: Pipeline, section: str, **given: Any) -> Any:
    model = _SECTIONS[section]
    options = _underscored(pipeline.sections.get(section, {}))
    if "seed" in model.model_fields:
        options = {"seed": pipeline.seed, **options}
    return model.model_validate({**options, **given})


def answers_file(step: Step) -> Path | None:
    """Return a round's answers: `answers` of any suffix, a folder too, or the queue's CSV once it is filled in.

    Raises:
        DataError: several may be meant, or the queue's CSV has lost its column.
    """
    given, queue = step.answers
    found = sorted(given.parent.glob(f"{given.stem}*")) if given.parent.is_dir() else []
    found = [path for path in found if path.stem == given.stem and not path.name.endswith((".tmp", ".part", "~"))]
    if len(found) > 1:
        raise DataError(f"{given.parent}: holds {listing([path.name for path in found])}; leave the answers that count")
    if found:
        return found[0]
    if not queue.is_file():
        return None
    table = files.read_csv(queue)
    if "label" not in table.columns:
        raise DataError(f"{queue}: column 'label' is missing; it is where the answers go")
    return queue if table["label"].is_not_null().any() else None
