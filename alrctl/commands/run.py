"""`alrctl run`: a pipeline file carried out; what is up to date is skipped, so it goes on after any kill."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Annotated, Literal

import typer
from rich.markup import escape

from alrctl import pipeline as pipelines
from alrctl.commands.report import report
from alrctl.console import Voice
from alrctl.options import as_command
from alrctl.pipeline import Pipeline, Step, story, tree
from alrctl.session import Outcome, Session
from schemas.errors import AlrctlError, NothingToDoError, plural

EXAMPLE = "alrctl run work/pipeline.yaml"
REPORT = "report.html"


def run(
    session: Session,
    pipeline: Annotated[
        Path, typer.Argument(help="pipeline file: source, rounds, and a section a stage", metavar="PIPELINE")
    ],
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="where a step fails, carry out all that does not need it")
    ] = False,
) -> Outcome:
    """Carry out a pipeline."""
    return execute(session, pipelines.load(pipeline), keep_going)


def execute(session: Session, pipeline: Pipeline, keep_going: bool = False) -> Outcome:
    """Carry out every step that is not up to date; stop where an expert's answers are awaited.

    Raises:
        AlrctlError: a step failed; with `keep_going` the first of those that did, after all others.
    """
    if session.dry_run:
        return _foreseen(session, pipeline)
    began = monotonic()
    done = _Run(session, keep_going, pipeline)
    for step in pipelines.plan(pipeline):
        done.take(step)
    rows = story.rounds(pipeline.output)
    if pipeline.report and rows:
        done.report(pipeline.output / REPORT)
    story.table(session.voice, rows, pipelines.seed_directories(pipeline))
    story.references(session.voice, pipeline.output)
    story.awaited(session.voice, done.awaited)
    summary = {
        "steps": done.statuses,
        "rounds": rows,
        "waiting_for": [str(answers) for answers, _ in done.awaited],
        "failed": {name: str(error) for name, error in done.failed.items()},
        "seconds": round(monotonic() - began, 1),
    }
    done.raise_first()
    changed = "done" in done.statuses.values()
    return Outcome("run", "done" if changed else "unchanged", pipeline.output, summary)


def _foreseen(session: Session, pipeline: Pipeline) -> Outcome:
    """Show the plan as a tree: what is done, what is stale and why, what is missing."""
    states = tree.states(session, pipelines.plan(pipeline))
    tree.show(session.voice, pipeline.output, states)
    to_do = [name for name, state in states.items() if state.word != "done"]
    summary = {
        "steps": {name: state.word for name, state in states.items()},
        "reasons": {name: state.why for name, state in states.items() if state.why},
    }
    return Outcome("run", "would run" if to_do else "unchanged", pipeline.output, summary)


Status = Literal["done", "unchanged", "waiting", "failed", "not run"]


@dataclass
class _Run:
    """What became of each step so far."""

    session: Session
    keep_going: bool
    pipeline: Pipeline
    statuses: dict[str, Status] = field(default_factory=dict)
    awaited: list[tuple[Path, Path]] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)

    def __post_init__(self) -> None:
        track = self.session.track
        track = None if track is None else replace(track, project=self.pipeline.output.resolve())
        self._quiet = replace(self.session, voice=Voice(quiet=True), track=track)

    def take(self, step: Step) -> None:
        """Carry a step out, if all that it needs is there."""
        needed = {self.statuses[name] for name in step.after if name in self.statuses}
        if needed & {"failed", "not run"}:
            self.statuses[step.name] = "not run"
        elif "waiting" in needed or not self._answered(step):
            self.statuses[step.name] = "waiting"
        else:
            self._carry_out(step)

    def _answered(self, step: Step) -> bool:
        """Say whether an expert's answers are there, where they are needed, and take note of the file."""
        if step.awaited is None:
            return True
        found = pipelines.answers_file(*step.awaited)
        if found is None:
            self.awaited.append(step.awaited)
            return False
        step.arguments["answers"] = found
        return True

    def _carry_out(self, step: Step) -> None:
        began = monotonic()
        try:
            outcome = step.function(self._quiet, **step.arguments)
        except AlrctlError as error:
            if not self.keep_going and not isinstance(error, NothingToDoError):
                raise StepError(f"{step.name}: {_with_place(step, error)}", error) from error
            return self._failed(step, error)
        except Exception as error:  # whatever it is, other branches do not depend on it
            if not self.keep_going:
                raise
            return self._failed(step, error)
        self.statuses[step.name] = "unchanged" if outcome.status == "unchanged" else "done"
        self._note_left(step, outcome)
        took = f"{monotonic() - began:.1f} s" if outcome.status == "done" else ""
        self.session.voice.say(f"  {escape(step.name):<24} {outcome.status} {took}")

    def _failed(self, step: Step, error: Exception) -> None:
        self.statuses[step.name] = "failed"
        self.failed[step.name] = error
        kind = "" if isinstance(error, AlrctlError) else f"{type(error).__name__}: "
        self.session.voice.say(f"  {escape(step.name):<24} [red]failed[/]")
        self.session.voice.warn(f"{step.name}: {kind}{_with_place(step, error)}")

    def _note_left(self, step: Step, outcome: Outcome) -> None:
        """Say which answers wait for a decision: later rounds go on without them."""
        if step.awaited is None:
            return
        open_ones = outcome.summary.get("in_conflict") or 0
        if open_ones:
            listed = step.arguments["out"] / "queue.csv"
            self.session.voice.warn(
                f"{step.name}: {plural(open_ones, 'sample')} with answers that contradict each other keep their label; "
                f"{listed} lists them. Leave one answer for each in {step.arguments['answers']}, and give the same "
                "command again"
            )

    def report(self, place: Path) -> None:
        """Write the page, if anything is new or it is not there."""
        if "done" in self.statuses.values() or not place.is_file():
            report(self._quiet, [self.pipeline.output], place)
            self.session.voice.say(f"  {REPORT:<24} written")

    def raise_first(self) -> None:
        """Raise the first failure, saying how many there were.

        Raises:
            AlrctlError: a step failed.
        """
        if not self.failed:
            return
        name, first = next(iter(self.failed.items()))
        left = sum(status == "not run" for status in self.statuses.values())
        words = f"{plural(len(self.failed), 'step')} of {len(self.statuses)} failed"
        words += f", and {plural(left, 'step')} that need them did not run" if left else ""
        raise StepError(f"{words}; the first: {name}: {first}", first) from first


class StepError(AlrctlError):
    """A step failed; the exit code is that of its error."""

    def __init__(self, text: str, error: Exception) -> None:
        super().__init__(text)
        self.exit_code = error.exit_code if isinstance(error, AlrctlError) else AlrctlError.exit_code


def _with_place(step: Step, error: Exception) -> str:
    """Return an error's text; a file of answers that it begins with, with the directory it lies in."""
    text, answers = str(error), step.arguments.get("answers")
    if step.awaited is not None and answers is not None and text.startswith(f"{answers.name}:"):
        return f"{answers.parent}/{text}"
    return text


COMMAND = as_command(run, tracked=True)
