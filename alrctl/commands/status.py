"""`alrctl status`: what is done, stale or unfinished below a directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alrctl import manifest
from alrctl.job import Session
from alrctl.options import as_command
from alrctl.project import Artifact, scan, unfinished
from schemas.errors import DataError, listing

EXAMPLE = "alrctl status work"


def status(
    session: Session, directory: Annotated[Path, typer.Argument(help="where artifacts lie", metavar="DIR")]
) -> None:
    """Show the state of every artifact."""
    if not directory.is_dir():
        raise DataError(f"{directory}: no such directory")
    found = [
        {"place": _place(one.path, directory), "stage": one.manifest.stage, **_state(one)} for one in scan(directory)
    ]
    found += [
        {"place": _place(path, directory), "stage": "", "state": "unfinished", "why": "interrupted; run it again"}
        for path in unfinished(directory)
    ]
    rows = [[row["place"], row["stage"], row["state"], row["why"]] for row in found]
    session.voice.table("", ["place", "stage", "state", "why"], rows)
    session.voice.document({"directory": str(directory), "artifacts": found})


def _place(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _state(artifact: Artifact) -> dict[str, str]:
    """Say whether an artifact is done, edited, or stale, and why."""
    changed = manifest.changed_inputs(artifact.path, artifact.manifest, deep=True)
    if changed:
        return {"state": "stale", "why": f"changed since: {listing(changed, 2)}"}
    edited = manifest.edited_outputs(artifact.path, artifact.manifest)
    if edited:
        return {"state": "edited", "why": f"changed after it was written: {listing(edited, 2)}"}
    return {"state": "done", "why": artifact.manifest.ended}


COMMAND = as_command(status, plain=True)
