"""`alrctl compare`: what a budget bought, by one strategy and by another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from alrctl import arms, comparison, comparison_files
from alrctl.arms import Arms, Place
from alrctl.console import LiveReport
from alrctl.job import Job, check_stale
from alrctl.options import as_command
from alrctl.session import Outcome, Session, Summary
from alrctl.summary import tell
from alrctl.target import Target
from stages import compare as stage
from stages.methods.findings import Findings

EXAMPLE = "alrctl compare work -o work/comparison"


def compare(
    session: Session,
    config: stage.CompareConfig,
    evaluations: Annotated[
        list[Path],
        typer.Argument(help="evaluations, or directories with evaluations below them", metavar="EVAL..."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="directory to write (default: print only)")] | None = None,
    bound: Annotated[
        list[Path], typer.Option("--bound", help="evaluation where all labels are right (default: told by the truth)")
    ]
    | None = None,
) -> Outcome | None:
    """Compare runs."""
    found, all_corrected = comparison.with_bound(arms.find(evaluations), arms.read(bound or ()))
    if out is None:
        _printed(session, config, found, all_corrected)
        return None
    job = Job(session, "compare", out, config)
    for role, path in comparison.input_files((*found.places, *all_corrected)).items():
        job.need(role, path, path.name)

    def work(target: Target) -> Summary:
        findings = computed(config, found, all_corrected, target.report)
        told = comparison_files.document(findings, found.told(config.control), chosen_by(found.places))
        comparison_files.write(target, findings, told)
        return told

    outcome = job.run(work)
    if outcome.status != "done":
        return tell(session, outcome)
    session.voice.say(f"[bold]compare[/] done: {escape(str(out))}")
    comparison_files.story(session, outcome.summary)
    return outcome


def computed(config: stage.CompareConfig, found: Arms, bound: Sequence[Place], report: LiveReport) -> Findings:
    """Read the evaluations and compare them."""
    return stage.run(config, comparison.read(config, found, bound), report)


def chosen_by(places: Iterable[Place]) -> list[str]:
    """Say how epochs were chosen, each way once."""
    told = (place.evaluation.artifact.manifest.summary["validation"] for place in places)
    return sorted({str(one["chosen_by"]) for one in told})


def _printed(session: Session, config: stage.CompareConfig, found: Arms, bound: Sequence[Place]) -> None:
    """Compare, and write nothing."""
    for place in (*found.places, *bound):
        for text in check_stale(place.evaluation.artifact.path / comparison.METRICS, session.allow_stale):
            session.voice.warn(text)
    report = LiveReport(session.voice, "compare")
    with report.shown():
        findings = computed(config, found, bound, report)
    told = comparison_files.document(findings, found.told(config.control), chosen_by(found.places))
    comparison_files.story(session, told)
    session.voice.document({"stage": "compare", "status": "done", "out": None, "summary": told, "warnings": []})


COMMAND = as_command(compare, stage.CompareConfig)
