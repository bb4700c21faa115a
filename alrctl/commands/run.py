"""`alrctl run`: a pipeline file carried out; what is up to date is skipped, so it goes on after any kill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import typer
from rich.markup import escape

from alrctl import pipeline as pipelines
from alrctl.console import Voice, cell
from alrctl.job import Outcome, Session
from alrctl.options import as_command
from alrctl.pipeline import Pipeline, Step
from alrctl.project import Evaluation, evaluations, rarest_class
from schemas.errors import AlrctlError

EXAMPLE = "alrctl run work/pipeline.yaml"


def run(
    session: Session,
    pipeline: Annotated[
        Path, typer.Argument(help="pipeline file: source, rounds, and a section a stage", metavar="PIPELINE")
    ],
) -> Outcome:
    """Carry out a pipeline."""
    return execute(session, pipelines.load(pipeline))


def execute(session: Session, pipeline: Pipeline) -> Outcome:
    """Carry out every step that is not up to date; stop where an expert's answers are awaited."""
    track = None if session.track is None else replace(session.track, project=pipeline.output.resolve())
    quiet = replace(session, voice=Voice(quiet=True), track=track)
    steps = pipelines.plan(pipeline)
    statuses: dict[str, str] = {}
    waiting: Path | None = None
    began = monotonic()
    for step in steps:
        if session.dry_run and any(statuses.get(name) == "would run" for name in step.after):
            statuses[step.name] = "would run"
            session.voice.say(
                f"  {step.name:<24} would run (after {', '.join(n for n in step.after if n in statuses)})"
            )
            continue
        if step.answers and (waiting := _awaited(step)):
            break
        statuses[step.name] = _carry_out(session, quiet, step)
    rows = _rounds(pipeline.output)
    if not session.dry_run:
        _tell(session, pipeline, rows, waiting)
    status = "would run" if session.dry_run else "unchanged" if set(statuses.values()) <= {"unchanged"} else "done"
    summary = {
        "steps": statuses,
        "rounds": rows,
        "waiting_for": None if waiting is None else str(waiting),
        "seconds": round(monotonic() - began, 1),
    }
    return Outcome("run", status, pipeline.output, summary)  # type: ignore[arg-type]


def _awaited(step: Step) -> Path | None:
    """Return the file that an expert must fill in first; None where the answers are there."""
    found = pipelines.answers_file(step)
    if found is None:
        return step.answers[0]
    step.arguments["answers"] = found
    return None


def _carry_out(session: Session, quiet: Session, step: Step) -> str:
    began = monotonic()
    try:
        outcome = step.function(quiet, **step.arguments)
    except AlrctlError as error:
        raise type(error)(f"{step.name}: {error}") from error
    took = f"{monotonic() - began:.1f} s" if outcome.status == "done" else ""
    session.voice.say(f"  {escape(step.name):<24} {outcome.status} {took}")
    return outcome.status


def _rounds(root: Path) -> list[dict[str, Any]]:
    """Return a row an evaluation: what was bought, and what it bought."""
    rare = rarest_class(root)
    return [_row(one, rare) for one in evaluations(root)] if root.is_dir() else []


def _row(one: Evaluation, rare: str | None) -> dict[str, Any]:
    quality = one.summary["label_quality"]
    return {
        "branch": one.branch,
        "round": one.artifact.path.parent.name.removeprefix("r"),
        "labels_bought": one.bought,
        "errors_mended": None if quality is None else quality["errors_mended"],
        "label_accuracy": one.label_accuracy(),
        "balanced_accuracy": one.metric("balanced_accuracy"),
        "macro_f1": one.metric("macro_f1"),
        "rarest_class": rare,
        "rarest_class_recall": one.of_class("recall", rare) if rare is not None else None,
    }


def _tell(session: Session, pipeline: Pipeline, rows: list[dict[str, Any]], waiting: Path | None) -> None:
    if rows:
        rare = rows[0]["rarest_class"]
        shown = [
            name for name in rows[0] if name != "rarest_class" and any(row[name] not in (None, "") for row in rows)
        ]
        header = [f"recall of '{rare}'" if name == "rarest_class_recall" else name.replace("_", " ") for name in shown]
        session.voice.table("", header, [[cell(row[name]) for name in shown] for row in rows])
    if waiting is not None:
        queue = waiting.parent / "queue" / "queue.csv"
        session.voice.say(
            f"\nNow it is the expert's turn: fill in column 'label' of {escape(str(queue))},\n"
            f"save it there or as {escape(str(waiting))}, and give the same command again.\n"
            f"Or label in a page (`alrctl review {escape(str(queue.parent))} -o review.html`) or in any tool,\n"
            f"and save what it gives as {escape(str(waiting.with_suffix('')))}.csv, .json, .xml or .zip."
        )


COMMAND = as_command(run, tracked=True)
