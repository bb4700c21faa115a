"""The steps of one setting, in order, each with its options and with what it reads from the steps before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from alrctl.pipeline.file import Pipeline
from alrctl.pipeline.sections import SECTIONS
from stages.recalibrate import RecalibrateConfig
from stages.train_lnl import TrainLnlConfig


@dataclass(frozen=True)
class Beside:
    """A file, or an output's directory where `name` is empty, of an earlier step; `name` lies beside the directory."""

    step: str
    name: str = ""


@dataclass(frozen=True)
class Link:
    """One step of a chain.

    Attributes:
        name: its directory within what is made with its setting.
        section: the stage.
        config: its options.
        places: its other parameters: what it reads.
        awaited: answers of an expert, and the queue's CSV that may hold them, where it waits for them.
    """

    name: str
    section: str
    config: BaseModel
    places: dict[str, Beside | Path]
    awaited: tuple[Beside, Beside] | None = None


@dataclass(frozen=True)
class _Before:
    """Where the chain stands before a round: its labels and its network."""

    labels: Beside | Path
    checkpoint: Beside


def chain(pipeline: Pipeline) -> list[Link]:
    """Return the steps of a pipeline that has one setting, in the order in which they can be carried out."""
    steps = []
    data: Beside | Path = pipeline.source
    if not (pipeline.source / "samples.parquet").is_file():
        steps.append(_link(pipeline, "data", "ingest", {"source": pipeline.source}))
        data = Beside("data")
    labels = data
    if "corrupt" in pipeline.sections:
        steps.append(_link(pipeline, "noisy", "corrupt", {"data": data}))
        labels = Beside("noisy")
    steps.append(_link(pipeline, "lnl", "train-lnl", {"data": data, "labels": labels}))
    before = _Before(labels, Beside("lnl"))
    steps.append(_judged(pipeline, 0, data, labels, before))
    for number in range(1, pipeline.rounds + 1):
        more, before = _round(pipeline, number, data, labels, before)
        steps += [*more, _judged(pipeline, number, data, labels, before)]
    return steps + (_bound(pipeline, data, labels) if pipeline.bound else [])


def _judged(pipeline: Pipeline, number: int, data: Beside | Path, truth: Beside | Path, now: _Before) -> Link:
    """Return the evaluation that ends a round; round 0 is that of phase 1."""
    places = {"data": data, "checkpoint": now.checkpoint}
    if pipeline.expert == "oracle":
        places |= {"truth": truth, "labels": now.labels, **_judgement(pipeline)}
    return _link(pipeline, f"r{number}/eval", "evaluate", places)


def _round(
    pipeline: Pipeline, number: int, data: Beside | Path, truth: Beside | Path, before: _Before
) -> tuple[list[Link], _Before]:
    """Return score, select, relabel and recalibrate of one round, and where the chain stands after it."""
    scores, queue, labels, model = (f"r{number}/{part}" for part in ("scores", "queue", "labels", "model"))
    lnl = Beside("lnl")
    answers = Beside(queue, "answers.csv"), Beside(queue, "queue/queue.csv")
    asked = {"answers": answers[0]} if pipeline.expert == "file" else {"oracle": truth}
    start = before.checkpoint if pipeline.start_from == "previous" else lnl
    network = {"data": data, **_judgement(pipeline)}
    scored = {**network, "labels": before.labels, "checkpoint": before.checkpoint}
    answered = {"labels": before.labels, "queue": Beside(queue), "data": data, **asked}
    trained = {**network, "labels": Beside(labels), "checkpoint": start}
    steps = [
        _link(pipeline, scores, "score", scored),
        _link(pipeline, queue, "select", {"scores": Beside(scores)}, **_choice(pipeline, number)),
        _link(pipeline, labels, "relabel", answered, answers if pipeline.expert == "file" else None),
        _link(pipeline, model, "recalibrate", trained),
    ]
    return steps, _Before(Beside(labels), Beside(model))


def _method(pipeline: Pipeline) -> str:
    config = _link(pipeline, "lnl", "train-lnl", {}).config
    assert isinstance(config, TrainLnlConfig)
    return config.method


def _judgement(pipeline: Pipeline) -> dict[str, Beside | Path]:
    """Return where it stands which labels are clean: with phase 1, or with each network that judges them anew."""
    config = _link(pipeline, "model", "recalibrate", {}).config
    assert isinstance(config, RecalibrateConfig)
    anew = config.settled(_method(pipeline)).trust == "weighted"
    return {} if anew else {"clean": Beside("lnl")}


def _choice(pipeline: Pipeline, number: int) -> dict[str, Any]:
    """Return how a round chooses: its strategy, and a seed of its own."""
    strategy = (pipeline.first_strategy if number == 1 else None) or pipeline.strategies[0]
    seed = pipeline.sections.get("select", {}).get("seed", pipeline.seed)
    own = {} if strategy == "mix" else {"mix": ()}
    return {"strategy": strategy, "seed": int(seed) + number, **own}


def _bound(pipeline: Pipeline, data: Beside | Path, truth: Beside | Path) -> list[Link]:
    """Return what tells how much all labels corrected would give: phase 2 on the labels that the data set came with."""
    shared = {"data": data, "labels": data, **_judgement(pipeline)}
    trained = {**shared, "checkpoint": Beside("lnl")}
    judged = {**shared, "checkpoint": Beside("bound/model"), "truth": truth}
    everything = "weighted" if _method(pipeline) == "class-aware" else "all"
    return [
        _link(pipeline, "bound/model", "recalibrate", trained, trust=everything),
        _link(pipeline, "bound/eval", "evaluate", judged),
    ]


def _link(
    pipeline: Pipeline,
    name: str,
    section: str,
    places: dict[str, Beside | Path],
    awaited: tuple[Beside, Beside] | None = None,
    **given: Any,
) -> Link:
    """Return a step with the options of its section, of which `given` are not the user's to say."""
    options, own = SECTIONS[section].parted(pipeline.sections.get(section, {}))
    model = SECTIONS[section].config
    if "seed" in model.model_fields:
        options = {"seed": pipeline.seed, **options}
    return Link(name, section, model.model_validate({**options, **given}), {**places, **own}, awaited)
