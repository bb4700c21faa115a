"""The page's first lines: what was found, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from alrctl.console import cell
from alrctl.page.project import Project
from alrctl.project import Evaluation


def summary(projects: Sequence[Project]) -> list[str]:
    """Return the main findings."""
    lines = []
    for project in projects:
        for one in project.of_stage("ingest"):
            told = one.manifest.summary
            groups = f", {told['groups']:,} groups" if told["groups"] else ""
            name = f"{project.name}: the" if project.name else "The"
            lines.append(f"{name} data set has {told['samples']:,} images of {told['classes']} classes{groups}.")
        for branch, judged in project.branches().items():
            lines += _bought(project.called(branch) if branch or project.name else "", judged)
    return lines


def _bought(name: str, judged: list[Evaluation]) -> list[str]:
    """Say what the labels of a branch went with: not that it was they that made the difference."""
    first, last = judged[0], judged[-1]
    who = f"With {name}: " if name else ""
    if last.bought == first.bought:
        return [f"{who}balanced accuracy on the {last.summary['split']} split is {with_interval(last)}."]
    bought = last.bought - first.bought
    words = f"{who}after {bought:,} labels were bought, balanced accuracy on the {last.summary['split']} split "
    words += f"went from {with_interval(first)} to {with_interval(last)}."
    quality = last.summary["label_quality"]
    if quality is not None:
        words += f" {quality['errors_mended']:,} wrong labels were mended, and {quality['errors_left']:,} are left."
    return [words[0].upper() + words[1:]]


def with_interval(one: Evaluation) -> str:
    """Return balanced accuracy as people read it."""
    metric = one.summary["metrics"]["balanced_accuracy"]
    if metric["low"] is None:
        return cell(metric["value"])
    return f"{metric['value']:.3f} (95 % interval {metric['low']:.3f} to {metric['high']:.3f})"


def warnings(projects: Sequence[Project]) -> list[str]:
    """Return whatever any stage warned of, each once."""
    return list(
        dict.fromkeys(text for project in projects for one in project.artifacts for text in one.manifest.warnings)
    )
