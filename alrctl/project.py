"""A directory of artifacts as a whole: what lies in it, and what its evaluations say in order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alrctl import manifest
from alrctl.manifest import Manifest

BOUND = "bound"
"""The directory of a network trained on labels all of which are right, and of its evaluation."""


@dataclass(frozen=True)
class Artifact:
    """A finished stage's directory and its manifest."""

    path: Path
    manifest: Manifest

    def input_directory(self, role: str) -> Path | None:
        """Return the directory that an input came from, if it is recorded."""
        record = self.manifest.inputs.get(role)
        return None if record is None else Path(os.path.normpath(self.path / record.path)).parent


@dataclass(frozen=True)
class Evaluation:
    """One evaluation, with what was bought before it.

    Attributes:
        artifact: of `evaluate`.
        branch: the part of its path above the round, empty if there is one branch only.
        bought: labels bought so far.
        summary: of `evaluate`.
    """

    artifact: Artifact
    branch: str
    bought: int
    summary: dict[str, Any]

    def metric(self, name: str) -> float | None:
        """Return an overall metric; None where undefined."""
        value: float | None = self.summary["metrics"][name]["value"]
        return value

    def of_class(self, name: str, label: str) -> Any:
        """Return a figure of one class; None where the class is not there."""
        table = self.summary["by_class"]
        return table[name][table["label"].index(label)] if label in table["label"] else None

    def label_accuracy(self) -> float | None:
        """Return the share of right labels in the training split, where truth was given."""
        quality = self.summary["label_quality"]
        return None if quality is None else quality["label_accuracy"]


def scan(root: Path) -> list[Artifact]:
    """Return every finished artifact below `root`, in the order in which they were finished."""
    found = [Artifact(path, read) for path in _directories(root) if (read := manifest.read(path)) is not None]
    return _after_their_inputs(sorted(found, key=lambda artifact: (artifact.manifest.ended, str(artifact.path))))


def _after_their_inputs(artifacts: Sequence[Artifact]) -> list[Artifact]:
    """Put each after those it was made from, and else leave them as they are: a clock may have been put back."""
    by_path = {str(one.path.resolve()): one for one in artifacts}
    taken: set[str] = set()
    ordered: list[Artifact] = []

    def take(path: str) -> None:
        if path in taken or path not in by_path:
            return
        taken.add(path)
        for record in by_path[path].manifest.inputs.values():
            take(os.path.dirname(os.path.normpath(os.path.join(path, record.path))))
        ordered.append(by_path[path])

    for path in by_path:
        take(path)
    return ordered


def unfinished(root: Path) -> list[Path]:
    """Return the output directories whose run was interrupted."""
    hidden = [path for path in _directories(root, hidden=True) if path.name.endswith(".alrctl")]
    return [path.with_name(path.name.removeprefix(".").removesuffix(".alrctl")) for path in hidden]


def _directories(root: Path, hidden: bool = False) -> Iterator[Path]:
    for place, names, _ in os.walk(root):
        names.sort()
        if hidden:
            yield from (Path(place) / name for name in names if name.startswith("."))
        names[:] = [name for name in names if not name.startswith(".")]
        if not hidden:
            yield Path(place)


def evaluations(root: Path) -> list[Evaluation]:
    """Return the evaluations below `root`, by branch and by labels bought."""
    artifacts = scan(root)
    by_path = {artifact.path.resolve(): artifact for artifact in artifacts}
    found = []
    for artifact in artifacts:
        if artifact.manifest.stage == "evaluate":
            source = artifact.input_directory("checkpoint")
            trained = by_path.get(source.resolve()) if source else None
            bought = _bought(trained, by_path) if trained else 0
            place = artifact.path.relative_to(root).parent
            branch = (place if place.name == BOUND else place.parent).as_posix()
            found.append(Evaluation(artifact, "" if branch == "." else branch, bought, artifact.manifest.summary))
    return sorted(found, key=lambda one: (one.branch, one.bought, str(one.artifact.path)))


def branches(judged: Sequence[Evaluation]) -> dict[str, list[Evaluation]]:
    """Return the evaluations of each branch, fewest labels bought first; those of all labels corrected come last.

    What lies in a directory above others, and was judged with fewer labels, is where each of these began.
    """
    found: dict[str, list[Evaluation]] = {}
    for one in judged:
        found.setdefault(one.branch, []).append(one)
    shared = {name: found[name] for name in found if _is_shared(name, found)}
    own = {name: _above(name, shared) + found[name] for name in found if name not in shared}
    return dict(sorted(own.items(), key=lambda pair: is_bound(pair[0])))  # stable: else as they were


def is_bound(branch: str) -> bool:
    """Say whether a branch is the training on labels all of which are right."""
    return branch.rpartition("/")[2] == BOUND


def _is_shared(name: str, found: Mapping[str, Sequence[Evaluation]]) -> bool:
    below = [found[other] for other in found if other != name and _lies_below(other, name) and not is_bound(other)]
    most = max(one.bought for one in found[name])
    return bool(below) and all(most < one.bought for judged in below for one in judged if one not in found[name])


def _above(name: str, shared: Mapping[str, list[Evaluation]]) -> list[Evaluation]:
    return [] if is_bound(name) else [one for above in shared if _lies_below(name, above) for one in shared[above]]


def _lies_below(name: str, above: str) -> bool:
    return not above or name.startswith(f"{above}/")


def _bought(trained: Artifact, by_path: dict[Path, Artifact]) -> int:
    """Return the labels bought for what a network was trained on; of foreign labels, how many are an expert's."""
    source = trained.input_directory("labels")
    labels = by_path.get(source.resolve()) if source else None
    told = {} if labels is None else labels.manifest.summary
    return int(told.get("labels_bought") or trained.manifest.summary.get("relabelled") or 0)


def bought_for(directory: Path) -> int:
    """Return the labels bought for the network in a directory; 0 where none are recorded."""
    trained = _artifact(directory)
    source = None if trained is None else trained.input_directory("labels")
    labels = None if source is None else _artifact(source)
    known = {} if labels is None else {labels.path.resolve(): labels}
    return 0 if trained is None else _bought(trained, known)


def _artifact(directory: Path) -> Artifact | None:
    found = manifest.read(directory)
    return None if found is None else Artifact(directory, found)


def rarest_class(root: Path) -> str | None:
    """Return the class with fewest training samples, as `ingest` counted them."""
    for artifact in scan(root):
        if artifact.manifest.stage == "ingest":
            counts: dict[str, int] = artifact.manifest.summary["by_split"]["train"]
            return min(counts, key=lambda name: counts[name])
    return None
