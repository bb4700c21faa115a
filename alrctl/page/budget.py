"""What the labels bought: a metric against their number, with bands, against the control and the bound."""

from __future__ import annotations

from collections.abc import Sequence

from alrctl import arms, comparison, figures, validation_labels
from alrctl.console import cell
from alrctl.page.parts import Drawing, Section, Table
from alrctl.page.project import Project
from schemas.errors import AlrctlError
from stages import compare
from stages.methods import verdicts
from stages.methods.findings import Against, Arm, Findings
from stages.report import SilentReport

_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auroc", "mcc")


def budget(projects: Sequence[Project]) -> list[Section]:
    """Return the budget curves, what they say, and the figures behind them."""
    if not any(project.evaluations for project in projects):
        return []
    found, notes = _compared(projects)
    text, drawings, tables = [], [], []
    if found is not None:
        text += [verdicts.verdict(found, held) for held in found.against]
        text += [verdicts.advice(found, arm) for arm in found.arms if arm.gain is not None]
        notes += verdicts.notes(found)
        drawings = [Drawing("budget", figures.budget_curves(found), "what was bought, with 95 % intervals")]
        tables = [_arms(found), *([_differences(found)] if found.against else [])]
    text += [f"{note[0].upper()}{note[1:]}." for note in (_as_people_read(note, projects) for note in notes)]
    tables.append(_evaluations(projects))
    return [Section("What the labels bought", text, drawings, tables)]


def _as_people_read(note: str, projects: Sequence[Project]) -> str:
    """Return a note that calls what lies in a project by its place there, as the rest of the page does."""
    for project in projects:
        note = note.replace(f"{project.root}/", f"{project.name}/" if project.name else "")
    return note


def _compared(projects: Sequence[Project]) -> tuple[Findings | None, list[str]]:
    """Compare all evaluations of the projects, and say what must be known of it; where it cannot be done, why."""
    try:
        sorted_, bound = comparison.with_bound(arms.find([project.root for project in projects]), [])
        config = compare.CompareConfig.model_validate({})
        return compare.run(config, comparison.read(config, sorted_, bound), SilentReport()), sorted_.told(None)
    except AlrctlError as error:
        return None, [f"the evaluations were not compared: {error}"]


def _arms(found: Findings) -> Table:
    rows = [row for arm in found.arms for row in _of_arm(arm)]
    header = ["arm", f"{found.unit} bought", "mean", "95 % interval", "deviation over seeds", "validation labels"]
    return Table(header, rows, f"{found.metric.replace('_', ' ')} by {found.unit} bought", folded=True)


def _of_arm(arm: Arm) -> list[list[str]]:
    return [
        [
            arm.name,
            f"{point.budget:,.0f}",
            cell(point.value.value),
            f"{point.value.low:.3f} to {point.value.high:.3f}",
            cell(point.deviation),
            point.validation,
        ]
        for point in arm.points
    ]


def _differences(found: Findings) -> Table:
    rows = [row for held in found.against for row in _of_pair(held)]
    header = ["arm - control", f"{found.unit} bought", "difference", "95 % interval"]
    return Table(header, rows, "paired differences from the control", folded=True)


def _of_pair(held: Against) -> list[list[str]]:
    return [
        [
            f"{held.arm} - {held.control}",
            f"{point.budget:,.0f}",
            f"{point.value.value:+.3f}",
            f"{point.value.low:+.3f} to {point.value.high:+.3f}",
        ]
        for point in held.points
        if point.budget > 0
    ]


def _evaluations(projects: Sequence[Project]) -> Table:
    """Return every evaluation, with how clean the labels were that chose its epoch."""
    header = ["evaluation", "labels bought", "label accuracy", *(name.replace("_", " ") for name in _METRICS)]
    rows = [
        [
            project.place(one.artifact),
            cell(one.bought),
            cell(one.label_accuracy()),
            *(cell(one.metric(name)) for name in _METRICS),
            validation_labels.in_words(one.summary["validation"]),
        ]
        for project in projects
        for one in project.evaluations
    ]
    return Table([*header, "validation split"], rows, "every evaluation", folded=True)
