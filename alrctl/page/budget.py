"""What the labels bought: a metric against their number."""

from __future__ import annotations

from collections.abc import Sequence

from alrctl import figures, validation_labels
from alrctl.console import cell
from alrctl.page.parts import Drawing, Section, Table
from alrctl.page.project import Project

_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auroc", "mcc")


def budget(projects: Sequence[Project]) -> list[Section]:
    """Return the budget curve of each branch, and the figures behind it."""
    judged = [(project, one) for project in projects for one in project.evaluations]
    if not judged:
        return []
    lines: dict[str, list[tuple[float, float]]] = {}
    for project, one in judged:
        value = one.metric("balanced_accuracy")
        if value is not None:
            lines.setdefault(project.called(one.branch), []).append((one.bought, value))
    header = ["branch", "labels bought", "label accuracy", *(name.replace("_", " ") for name in _METRICS)]
    chosen_by = [validation_labels.in_words(one.summary["validation"]) for _, one in judged]
    same = len(set(chosen_by)) == 1
    text = [f"Epochs were chosen by validation labels: {chosen_by[0]}."] if same else []
    header += [] if same else ["validation labels"]
    rows = [
        [
            project.called(one.branch),
            cell(one.bought),
            cell(one.label_accuracy()),
            *(cell(one.metric(name)) for name in _METRICS),
            *([] if same else [words]),
        ]
        for (project, one), words in zip(judged, chosen_by, strict=True)
    ]
    split = judged[-1][1].summary["split"]
    drawing = Drawing("budget", figures.curves(lines, "labels bought", "balanced accuracy"), f"on the {split} split")
    return [Section("What the labels bought", text, drawings=[drawing] if lines else [], tables=[Table(header, rows)])]
