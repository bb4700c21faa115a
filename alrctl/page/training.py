"""How the networks learnt: loss, validation, and what phase 1 judged clean, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence

from alrctl import figures, table_files
from alrctl.page.parts import Drawing, Section, slug
from alrctl.page.project import Project
from alrctl.project import Artifact
from schemas.history import HISTORY
from schemas.judgement import JUDGEMENT


def training(projects: Sequence[Project]) -> list[Section]:
    """Return the section on all networks: phase 1, and the last of each branch."""
    drawings = []
    for project in projects:
        for one in [*project.of_stage("train-lnl"), *_last_of_branches(project)]:
            path = one.path / HISTORY.file_name
            history = table_files.read_table(path, HISTORY) if path.is_file() else None
            if history is None or not history.height:
                continue
            best = one.manifest.summary.get("best_epoch")
            name = project.place(one)
            drawn = figures.training(history, None if best is None else best - 1)
            drawings.append(Drawing(slug(f"{name} training"), drawn, f"{name}: training"))
            drawings += _kept(one, history, name)
    return [Section("Training", drawings=drawings)] if drawings else []


def _last_of_branches(project: Project) -> list[Artifact]:
    """Return the network that each branch ended with, where it was retrained."""
    by_path = {one.path.resolve(): one for one in project.of_stage("recalibrate")}
    found = []
    for judged in project.branches().values():
        source = judged[-1].artifact.input_directory("checkpoint")
        trained = None if source is None else by_path.get(source.resolve())
        if trained is not None:
            found.append(trained)
    return found


def _kept(one: Artifact, history: object, name: str) -> list[Drawing]:
    """Return the share of each class that was judged clean, of a phase 1 that picks."""
    source = one.input_directory("classes")
    record = one.manifest.inputs.get("classes")
    if one.manifest.stage != "train-lnl" or source is None or record is None:
        return []
    if one.manifest.summary.get("kept_share_by_class") is None:
        return []
    classes = tuple(one.manifest.summary["kept_share_by_class"])
    drawn = figures.kept_by_class(history, classes)  # type: ignore[arg-type]
    return [Drawing(slug(f"{name} kept"), drawn, f"{name}: share of each given class that was judged clean")]


def judgement(projects: Sequence[Project]) -> list[Section]:
    """Return how good phase 1's judgement was, epoch by epoch, where the truth was given."""
    drawings = []
    for project in projects:
        for one in project.evaluations:
            path = one.artifact.path / JUDGEMENT.file_name
            if path.is_file():
                drawn = figures.judgement(table_files.read_table(path, JUDGEMENT))
                caption = "precision and recall of 'judged clean'; the thick line is all classes together"
                drawings.append(Drawing(slug(project.called("judged clean")), drawn, caption))
                break
    text = [
        "By the truth, which no training saw: of the labels judged clean how many are right, and of the right ones how "
        "many were judged clean. A class whose recall is low was thrown out as noise."
    ]
    return [Section("What phase 1 judged clean", text, drawings)] if drawings else []
