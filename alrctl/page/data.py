"""The data set, and how wrong its labels are."""

from __future__ import annotations

from collections.abc import Sequence

from alrctl import figures
from alrctl.console import cell
from alrctl.evaluation_files import estimate_in_words
from alrctl.page.noise import read_counts
from alrctl.page.parts import Drawing, Section, Table, slug
from alrctl.page.project import Project, data_sets
from alrctl.project import Artifact


def data_set(projects: Sequence[Project]) -> list[Section]:
    """Return a section for each data set: images by class and split."""
    sections = []
    found = data_sets(projects)
    for name, one in found:
        told = one.manifest.summary
        splits = told["by_split"]
        rows = [[label, *(cell(counts[label]) for counts in splits.values())] for label in next(iter(splits.values()))]
        most, least = max(splits["train"].values()), min(splits["train"].values())
        groups = f" and {told['groups']:,} groups (patients or lesions)" if told["groups"] else ""
        text = f"{told['samples']:,} images of {told['classes']} classes{groups}"
        text += (
            f"; the largest class has {most / least:.0f} times the training images of the smallest." if least else "."
        )
        title = f"Data set: {name}" if name and len(found) > 1 else "Data set"
        drawing = Drawing(slug(f"{title} classes"), figures.class_counts(splits), "images by class and split")
        table = Table(["class", *splits], rows, "images by class and split", folded=True)
        sections.append(Section(title, [text], [drawing], [table]))
    return sections


def noise(projects: Sequence[Project]) -> list[Section]:
    """Return a section a project on the labels: by the truth, by what was made wrong on purpose, or estimated."""
    sections = []
    for project in projects:
        text, drawings, tables = [], [], []
        for one in project.of_stage("corrupt"):
            told = one.manifest.summary
            rate = told["realised_rate"]
            text.append(f"Labels were made wrong on purpose, for an experiment: {rate:.1%} of those touched.")
            asked = told.get("nominal_rate_by_class", {})  # what was made before it was told has none
            rows = [
                [name, cell(asked.get(name)), cell(value)] for name, value in told["realised_rate_by_class"].items()
            ]
            header = ["class", "share asked for", "share made wrong"]
            tables.append(Table(header, rows, "made wrong on purpose", folded=True))
        for number, (branch, judged) in enumerate(project.branches(bound=False).items()):
            last, name = judged[-1], project.branch_called(branch)
            if last.summary["estimated_noise"]:
                text.append(f"{name}: {estimate_in_words(last.summary['estimated_noise'])}")
            if number == 0:  # before anybody looked all branches had the same labels
                drawings += _transition(last.artifact, "before", project.called("labels before anybody looked"))
            drawings += _transition(last.artifact, "after", f"{name}: labels now")
        if text or drawings:
            sections.append(Section(_title("Label noise", project), text, drawings, tables))
    return sections


def _transition(one: Artifact, when: str, caption: str) -> list[Drawing]:
    """Return which labels the true classes bear, where the truth was given."""
    path = one.path / f"transition_{when}.csv"
    if not path.is_file():
        return []
    classes, matrix = read_counts(path)
    return [Drawing(slug(caption), figures.transition(matrix, classes, ""), caption)]


def _title(words: str, project: Project) -> str:
    return f"{words}: {project.name}" if project.name else words
