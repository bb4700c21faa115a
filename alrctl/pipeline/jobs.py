"""The plan as jobs for an engine that carries out commands by the files they read and write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from alrctl.manifest import MANIFEST
from alrctl.pipeline import command_line
from alrctl.pipeline.command_line import relative
from alrctl.pipeline.file import Pipeline
from alrctl.pipeline.plan import Step
from alrctl.pipeline.sections import SECTIONS
from schemas.errors import UsageError

_HEAVY = ("train-lnl", "score", "recalibrate", "evaluate")


@dataclass(frozen=True)
class Job:
    """One command.

    Attributes:
        name: of the step.
        words: the command, `alrctl` first.
        after: names of the jobs whose outputs it reads.
        reads: files from outside of the chain that must be there, from the folder of the exported file.
        writes: the file that is there when it is done.
        heavy: whether it computes with a network.
        waits_for: files of an expert without which it cannot be reached.
    """

    name: str
    words: tuple[str, ...]
    after: tuple[str, ...]
    reads: tuple[str, ...]
    writes: str
    heavy: bool = False
    waits_for: tuple[str, ...] = ()


def jobs(pipeline: Pipeline, steps: Sequence[Step], base: Path) -> list[Job]:
    """Return a job a step, and the report that comes last.

    Args:
        pipeline: what is exported.
        steps: its plan.
        base: the folder of the exported file; paths are those from there.

    Raises:
        UsageError: a step has an option that no command line can say.
    """
    found: dict[str, Job] = {}
    made = {step.arguments["out"] for step in steps}
    for step in steps:
        answers = () if step.awaited is None else (relative(step.awaited[0], base),)
        before = [name for name in step.after if name in found]
        own = (relative(place, base) for place in _given(step, made))
        found[step.name] = Job(
            name=step.name,
            words=tuple(command_line.words(step, base)),
            after=tuple(before),
            reads=tuple(dict.fromkeys([*own, *answers])),
            writes=relative(step.arguments["out"] / MANIFEST, base),
            heavy=step.section in _HEAVY,
            waits_for=tuple(dict.fromkeys([*(text for name in before for text in found[name].waits_for), *answers])),
        )
    everything = list(found.values())
    return [*everything, _report(pipeline, everything, base)] if pipeline.report else everything


def _given(step: Step, made: Set[Path]) -> Iterator[Path]:
    """Return the files that a step reads and that come from outside of the chain.

    A folder of images is none that an engine could watch.
    """
    for role, place in step.arguments.items():
        if role in ("config", "out", "answers") or place in made or place is None:
            continue
        if (place / "samples.parquet").is_file():
            yield place / (MANIFEST if (place / MANIFEST).is_file() else "samples.parquet")
        elif place.is_file() or (role in SECTIONS[step.section].places and not place.is_dir()):
            yield place


def _report(pipeline: Pipeline, everything: Sequence[Job], base: Path) -> Job:
    """Return the job that writes the page; it does not wait for an expert, and tells what there is."""
    root, page = (relative(place, base) for place in (pipeline.output, pipeline.output / "report.html"))
    after = tuple(job.name for job in everything if job.name.endswith("eval"))
    return Job("report", ("alrctl", "report", root, "-o", page), after, (), page)


def needed(job: Job, by_name: Mapping[str, Job]) -> list[tuple[Job, tuple[str, ...]]]:
    """Return the jobs that must be done before one, each with the answers that it waits for and the one does not.

    Where such answers are lacking, the one does without.
    """
    before, own = [by_name[name] for name in job.after], frozenset(job.waits_for)
    return [(one, tuple(text for text in one.waits_for if text not in own)) for one in before]


def awaited(everything: Sequence[Job]) -> list[str]:
    """Return the files of answers that the jobs wait for, each once."""
    return list(dict.fromkeys(name for job in everything for name in job.waits_for))


def check_names(everything: Sequence[Job], engine: str, letters: str) -> None:
    """Refuse names of files that an engine cannot take.

    Raises:
        UsageError: a name holds one of the letters, or a letter that no text file can hold.
    """
    names = dict.fromkeys(name for job in everything for name in (*job.reads, job.writes))
    for name in names:
        found = [letter for letter in name if letter in letters]
        if found:
            raise UsageError(f"{name!r}: {engine} takes no {found[0]!r} in the name of a file; choose other names")
    check_text("".join([*names, *(word for job in everything for word in job.words)]))


def check_text(text: str) -> None:
    """Refuse what a text file cannot hold.

    Raises:
        UsageError: there is a letter of no alphabet, as in a file name of another encoding.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        broken = text[max(error.start - 20, 0) : error.end]
        raise UsageError(f"{broken!r}: is no valid text (a name in another encoding?); choose another name") from error
