"""`alrctl status`: where a project stands: what was bought, what it gave, what is stale, and what to type next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from alrctl import manifest, standing
from alrctl.console import cell
from alrctl.job import FILLED_IN
from alrctl.options import as_command
from alrctl.project import Artifact, scan, unfinished
from alrctl.session import Session
from schemas.errors import DataError, UsageError, listing

EXAMPLE = "alrctl status work"
_FEW = 30
"""Artifacts that are all shown; of more, those that are as they should be are counted."""


def status(
    session: Session,
    directory: Annotated[Path, typer.Argument(help="where artifacts lie", metavar="DIR")],
    everything: Annotated[bool, typer.Option("--all", help="list every artifact, however many there are")] = False,
) -> None:
    """Show where a project stands."""
    if directory.is_file():
        raise UsageError(f"{directory}: is a file; name the directory in which the artifacts lie")
    if not directory.is_dir():
        raise DataError(f"{directory}: no such directory")
    artifacts = scan(directory)
    states = _states(artifacts, directory)
    _show_artifacts(session, states, everything)
    branches = standing.branches_of(directory)
    _show_branches(session, branches)
    coming = standing.next_steps(directory, artifacts, [row for row in states if row["state"] != "done"])
    for text in coming:
        session.voice.say(f"next: {escape(text)}")
    session.voice.document(
        {"directory": str(directory), "artifacts": states, "branches": branches, "next": coming},
    )


def _states(artifacts: Sequence[Artifact], root: Path) -> list[dict[str, str]]:
    found = [{"place": _place(one.path, root), "stage": one.manifest.stage, **_state(one)} for one in artifacts]
    return found + [
        {"place": _place(path, root), "stage": "", "state": "unfinished", "why": "interrupted; run it again"}
        for path in unfinished(root)
    ]


def _show_artifacts(session: Session, states: Sequence[dict[str, str]], everything: bool) -> None:
    shown = states if everything or len(states) <= _FEW else [row for row in states if row["state"] != "done"]
    if not states:
        session.voice.say("no artifact lies here; `alrctl init` or `alrctl ingest` begins")
    elif shown:
        rows = [[row["place"], row["stage"], row["state"], row["why"]] for row in shown]
        session.voice.table("", ["place", "stage", "state", "why"], rows)
    if len(shown) < len(states):
        counts = Counter(row["state"] for row in states)
        told = ", ".join(f"{count} {state}" for state, count in counts.items())
        session.voice.say(f"{len(states)} artifacts: {told} (--all lists them)")


def _show_branches(session: Session, branches: Sequence[dict[str, Any]]) -> None:
    """Show a row a branch: its last round, what it cost, what changed, and what the network gives now."""
    names = [name for name in standing.COLUMNS if any(row[name] not in (None, "") for row in branches)]
    if branches:
        rows = [[cell(row[name]) for name in names] for row in branches]
        session.voice.table("", [name.replace("_", " ") for name in names], rows)


def _place(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _state(artifact: Artifact) -> dict[str, str]:
    """Say whether an artifact is done, edited, or stale, and why."""
    changed = manifest.changed_inputs(artifact.path, artifact.manifest, deep=True)
    if changed:
        return {"state": "stale", "why": f"changed since: {listing(changed, 2)}"}
    edited = manifest.edited_outputs(artifact.path, artifact.manifest)
    if edited and set(edited) <= set(FILLED_IN):
        return {"state": "done", "why": f"{listing(edited)} was written into"}
    if edited:
        return {"state": "edited", "why": f"changed after it was written: {listing(edited, 2)}"}
    return {"state": "done", "why": artifact.manifest.ended}


COMMAND = as_command(status, plain=True)
