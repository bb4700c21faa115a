"""The plan as jobs for an engine that carries out commands by the files they read and write."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alrctl.pipeline import command_line
from alrctl.pipeline.file import Pipeline
from alrctl.pipeline.plan import Step
from schemas.errors import UsageError

MANIFEST = "manifest.json"
_HEAVY = ("train-lnl", "score", "recalibrate", "evaluate")


@dataclass(frozen=True)
class Job:
    """One command.

    Attributes:
        name: of the step.
        words: the command, `alrctl` first.
        reads: files that must be there, from the folder of the exported file.
        writes: the file that is there when it is done.
        heavy: whether it computes with a network.
        waits_for: files of an expert without which it cannot be reached.
    """

    name: str
    words: tuple[str, ...]
    reads: tuple[str, ...]
    writes: str
    heavy: bool
    waits_for: tuple[str, ...]


def jobs(pipeline: Pipeline, steps: Sequence[Step], base: Path) -> list[Job]:
    """Return a job a step, and the report that comes last; paths are those from `base`."""
    found: dict[str, Job] = {}
    for step in steps:
        answers = () if step.awaited is None else (os.path.relpath(step.awaited[0], base),)
        before = [found[name] for name in step.after if name in found]
        own = [
            os.path.relpath(place, base)
            for role, place in step.arguments.items()
            if isinstance(place, Path)
            and role not in ("out", "answers")
            and _is_given(place, steps)
            and place.is_file()
        ]
        found[step.name] = Job(
            name=step.name,
            words=tuple(command_line.words(step, base)),
            reads=tuple(dict.fromkeys([*(job.writes for job in before), *own, *answers])),
            writes=os.path.relpath(step.arguments["out"] / MANIFEST, base),
            heavy=step.section in _HEAVY,
            waits_for=tuple(dict.fromkeys([*(name for job in before for name in job.waits_for), *answers])),
        )
    everything = list(found.values())
    return [*everything, _report(pipeline, everything, base)] if pipeline.report else everything


def _is_given(place: Path, steps: Sequence[Step]) -> bool:
    """Say whether a file comes from outside of the chain."""
    made = {step.arguments["out"] for step in steps}
    return place not in made and place.parent not in made


def _report(pipeline: Pipeline, everything: Sequence[Job], base: Path) -> Job:
    """Return the job that writes the page; it does not wait for an expert, and tells what there is."""
    root, page = (os.path.relpath(place, base) for place in (pipeline.output, pipeline.output / "report.html"))
    reads = tuple(job.writes for job in everything if job.name.endswith("eval") and not job.waits_for)
    return Job("report", ("alrctl", "report", root, "-o", page), reads, page, False, ())


def check_names(everything: Sequence[Job], engine: str, letters: str) -> None:
    """Refuse file names that an engine cannot take.

    Raises:
        UsageError: a name holds one of the letters.
    """
    for job in everything:
        for name in (*job.reads, job.writes):
            found = [letter for letter in letters if letter in name]
            if found:
                raise UsageError(f"{name}: {engine} takes no {found[0]!r} in the name of a file; choose other names")
