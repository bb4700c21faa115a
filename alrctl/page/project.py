"""What the page is about: the artifacts of one project or several, and their evaluations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alrctl import manifest
from alrctl.project import BOUND, Artifact, Evaluation, branches, evaluations, is_bound, scan


@dataclass(frozen=True)
class Project:
    """A directory of artifacts.

    Attributes:
        root: the directory.
        name: what it is called on the page; empty where it is the only one.
        artifacts: in the order in which they were finished.
        evaluations: by branch and labels bought.
    """

    root: Path
    name: str
    artifacts: list[Artifact]
    evaluations: list[Evaluation]

    def of_stage(self, stage: str) -> list[Artifact]:
        """Return the artifacts of one stage."""
        return [one for one in self.artifacts if one.manifest.stage == stage]

    def place(self, one: Artifact) -> str:
        """Return an artifact's directory as people read it."""
        return self.called(Path(os.path.relpath(one.path, self.root)).as_posix())

    def called(self, name: str) -> str:
        """Return a name within the project, with the project's where there are several."""
        return "/".join(part for part in (self.name, name) if part and part != ".") or self.root.resolve().name

    def branches(self, bound: bool = True) -> dict[str, list[Evaluation]]:
        """Return the evaluations of each branch, those with fewest labels bought first, with or without the bound."""
        found = branches(self.evaluations)
        return {name: judged for name, judged in found.items() if bound or not is_bound(name)}

    def branch_called(self, branch: str) -> str:
        """Return a branch's name as people read it."""
        return self.called(branch[: -len(BOUND)] + "all labels corrected" if is_bound(branch) else branch)


def projects(roots: Sequence[Path]) -> list[Project]:
    """Return the projects at these places that hold any artifact."""
    found = []
    for root in dict.fromkeys(root.resolve() for root in roots):
        artifacts = scan(root) if root.is_dir() else []
        if artifacts:
            everything = [*_data_outside(artifacts), *artifacts]
            found.append(Project(root, root.name if len(roots) > 1 else "", everything, evaluations(root)))
    return found


def data_sets(projects: Sequence[Project]) -> list[tuple[str, Artifact]]:
    """Return each data set once, with the name of the first project that was made from it."""
    found: dict[Path, tuple[str, Artifact]] = {}
    for project in projects:
        for one in project.of_stage("ingest"):
            found.setdefault(one.path.resolve(), (project.name, one))
    return list(found.values())


def _data_outside(artifacts: Sequence[Artifact]) -> list[Artifact]:
    """Return the data sets that the artifacts were made from and that lie elsewhere."""
    here = {one.path.resolve() for one in artifacts}
    places = dict.fromkeys(
        place.resolve() for one in artifacts if (place := one.input_directory("samples")) is not None
    )
    found = [Artifact(place, made) for place in places if place not in here and (made := manifest.read(place))]
    return [one for one in found if one.manifest.stage == "ingest"]
