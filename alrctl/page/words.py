"""The page's first lines: what was found, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from alrctl.console import cell
from alrctl.page.project import Project, data_sets
from alrctl.project import Evaluation

_MOST_BRANCHES = 6


def summary(projects: Sequence[Project]) -> list[str]:
    """Return the main findings."""
    data = data_sets(projects)
    lines = []
    for name, one in data:
        told = one.manifest.summary
        groups = f", {told['groups']:,} groups" if told["groups"] else ""
        who = f"{name}: the" if len(data) > 1 else "The"
        lines.append(f"{who} data set has {told['samples']:,} images of {told['classes']} classes{groups}.")
    branches = [(project, branch, judged) for project in projects for branch, judged in project.branches().items()]
    if len(branches) > _MOST_BRANCHES:  # the first section compares them, which says more
        return [*lines, f"{len(branches)} runs were judged; what they bought is told first."]
    for project, branch, judged in branches:
        lines += _bought(project.branch_called(branch) if branch or project.name else "", judged)
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
