"""Where a project stands: its branches with what was bought and what it gave, and what comes next."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alrctl import manifest, next_step
from alrctl.console import Voice
from alrctl.lineage import maker
from alrctl.project import Artifact, Evaluation, branches, evaluations
from alrctl.session import Session
from schemas.errors import AlrctlError

if TYPE_CHECKING:
    from alrctl.pipeline import Pipeline

COLUMNS = (
    *("branch", "round", "labels_bought", "cost", "labels_changed", "in_conflict", "label_accuracy"),
    *("split", "balanced_accuracy", "macro_f1"),
)


def branches_of(root: Path) -> list[dict[str, Any]]:
    """Return a row a branch that was evaluated, as its last evaluation stands."""
    judged = branches(evaluations(root))
    return [_row(name, found) for name, found in judged.items()]


def _row(name: str, judged: Sequence[Evaluation]) -> dict[str, Any]:
    last = judged[-1]
    source = last.artifact.input_directory("checkpoint")
    told = _labels_of(source)
    return {
        "branch": name,
        "round": last.artifact.path.parent.name.removeprefix("r"),
        "labels_bought": last.bought,
        "cost": _cost(told),
        "labels_changed": _changed(last),
        "in_conflict": told.get("in_conflict"),
        "label_accuracy": last.label_accuracy(),
        "split": last.summary["split"],
        "balanced_accuracy": last.metric("balanced_accuracy"),
        "macro_f1": last.metric("macro_f1"),
    }


def _changed(last: Evaluation) -> int:
    """Return how many labels changed in all the relabelling before an evaluation's network."""
    one = maker(maker(last.artifact, "checkpoint"), "labels")
    count = 0
    while one is not None and one.manifest.stage in ("relabel", "undo"):
        count += one.manifest.summary.get("changed", 0)
        one = maker(one, "labels")
    return count


def _labels_of(network: Path | None) -> dict[str, Any]:
    """Return the summary of the relabelling that a network was trained after; empty where there was none."""
    made = None if network is None else manifest.read(network)
    if network is None or made is None:
        return {}
    labels = Artifact(network, made).input_directory("labels")
    found = None if labels is None else manifest.read(labels)
    return found.summary if found is not None and found.stage in ("relabel", "undo") else {}


def _cost(told: dict[str, Any]) -> str | None:
    """Return what was spent, where it was counted in anything but labels."""
    unit = told.get("cost_in")
    return None if unit in (None, "labels") else f"{told['cost_so_far']:,.1f} {unit}"


def next_steps(root: Path, artifacts: Sequence[Artifact], amiss: Sequence[dict[str, str]]) -> list[str]:
    """Return what to type next.

    Args:
        root: the project's directory.
        artifacts: in it, in the order in which they were finished.
        amiss: those that are not as they should be: place and state.
    """
    found = pipeline_of(root)
    if found is not None:
        return _of_pipeline(*found, root)
    stale = [one for one in amiss if one["state"] in ("stale", "unfinished")]
    if stale:
        again = {one.path.relative_to(root).as_posix(): one for one in artifacts}
        first = again.get(stale[0]["place"])
        typed = "" if first is None or not _leads_here(first) else ": " + shlex.join(first.manifest.command)
        return [f"{stale[0]['place']} is {stale[0]['state']}; run it again{typed}"]
    return next_step.by_hand(artifacts, root)


def _leads_here(one: Artifact) -> bool:
    """Say whether the command that made an artifact, typed here, would write it again: it may have been moved since."""
    words = one.manifest.command
    places = [after for word, after in itertools.pairwise(words) if word in ("-o", "--out")]
    return not places or Path(places[-1]).resolve() == one.path.resolve()


def pipeline_of(root: Path) -> tuple[Path, Pipeline] | None:
    """Return the pipeline file that writes into a directory: in it, or beside it; None where there is no such."""
    folders = (root, root.absolute().parent)
    found = [path for folder in folders for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])]
    if not found:
        return None
    from alrctl import pipeline  # it knows the options of every stage, and so torch: a project by hand need not wait

    for path in found:
        try:
            read = pipeline.load(path)
        except AlrctlError:  # another program's file, or one that does not hold
            continue
        if read.output.resolve() == root.resolve():
            return path, read
    return None


def _of_pipeline(path: Path, read: Pipeline, root: Path) -> list[str]:
    from alrctl import pipeline
    from alrctl.pipeline import tree

    command = f"alrctl run {next_step.shown(path)}"
    try:
        states = tree.states(Session(Voice(quiet=True)), pipeline.plan(read))
    except AlrctlError as error:
        return [f"{command}    # after this is mended: {error}"]
    words = [state.word for state in states.values()]
    so_far = f"    # {words.count('done')} of {len(words)} steps are done"
    waiting = [state for state in states.values() if state.word == "waiting"]
    if waiting:
        first = Path(waiting[0].why.removeprefix("for "))
        queue = first.parent / "queue"
        more = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
        return [
            f"fill in column 'label' of {next_step.shown(queue / 'queue.csv')}{more}, or label in a page: "
            f"alrctl review {next_step.shown(queue)} -o review.html",
            command + so_far,
        ]
    if words.count("done") < len(words):
        return [command + so_far]
    page, place = next_step.shown(root / "report.html"), next_step.shown(root)
    if len(branches(evaluations(root))) > 1:
        return [f"alrctl compare {place}{so_far}; {page} tells them on one page"]
    return [f"alrctl report {place} -o {page}{so_far}"]
