"""The manifest: what a stage's directory holds, what it was made from, and whether that is still so."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alrctl import files
from schemas.errors import DataError

MANIFEST = "manifest.json"


class InputRecord(BaseModel):
    """A file (or a whole folder) that a stage read."""

    model_config = ConfigDict(frozen=True)

    path: str = Field(description="relative to the stage's directory")
    sha256: str
    size: int = Field(description="bytes of a file, files of a folder")
    kind: Literal["file", "folder"] = "file"


class OutputRecord(BaseModel):
    """A file that a stage wrote."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    bytes: int
    rows: int | None = None


class Manifest(BaseModel):
    """The content of `manifest.json`, written last: where it stands, the stage is finished."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    stage: str
    version: str
    options: dict[str, Any]
    seed: int | None
    inputs: dict[str, InputRecord]
    outputs: dict[str, OutputRecord]
    device: str
    command: list[str]
    started: str
    ended: str
    summary: dict[str, Any]
    warnings: list[str]


def read(directory: Path) -> Manifest | None:
    """Return the manifest of a finished stage's directory; None where there is none.

    Raises:
        DataError: the manifest is not readable.
    """
    path = directory / MANIFEST
    if not path.is_file():
        return None
    content = files.read_json(path)
    if not isinstance(content, dict) or not {"format", "stage"} <= content.keys():
        return None  # another program's
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path}: is no manifest of this program ({error.error_count()} fields amiss)") from error


def write(manifest: Manifest, directory: Path) -> None:
    """Write `manifest.json`."""
    files.write_json(manifest.model_dump(mode="json"), directory / MANIFEST)


def digest(path: Path) -> str:
    """Return the sha256 of a file, computed once as long as it is not touched."""
    with files.explained_read(path, "regular"):
        stat = path.stat()
    return _digest(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=4096)
def _digest(path: Path, _modified: int, _size: int, _inode: int) -> str:
    return files.sha256(path)


def relative(path: Path, directory: Path) -> str:
    """Return `path` as seen from `directory`, so that a project can be moved as a whole."""
    return os.path.relpath(path.resolve(), directory.resolve())


def changed_inputs(directory: Path, manifest: Manifest, deep: bool = False) -> list[str]:
    """Return what no longer is as it was when the stage ran, in words; empty if nothing changed.

    An input that is gone counts as unchanged: the record of it remains. Folders of photographs are not read again.
    With `deep`, the artifacts the inputs belong to are asked in turn, each once: rounds lead back to the same ones by
    many ways.
    """
    return list(dict.fromkeys(_changed(directory, manifest, deep, set())))


def _digest_of_answers(folder: Path) -> str:
    from alrctl.answers.bundle import open_bundle  # few artifacts have any

    return open_bundle(folder).sha256


def _changed(directory: Path, manifest: Manifest, deep: bool, asked: set[Path]) -> list[str]:
    changed = []
    for role, record in manifest.inputs.items():
        path = Path(os.path.normpath((directory.resolve() if directory.is_symlink() else directory) / record.path))
        if (
            role == "answers"
            and record.kind == "folder"
            and path.is_dir()
            and _digest_of_answers(path) != record.sha256
        ):
            changed.append(str(path))
        if record.kind == "folder" or not path.is_file():
            continue
        if path.stat().st_size != record.size or digest(path) != record.sha256:
            changed.append(str(path))
        elif deep and path.parent not in asked:
            asked.add(path.parent)
            upstream = read(path.parent)
            changed += [] if upstream is None else _changed(path.parent, upstream, deep, asked)
    return changed


def edited_outputs(directory: Path, manifest: Manifest) -> list[str]:
    """Return the names of outputs that are missing or were changed after the stage wrote them."""
    edited = []
    for name, record in manifest.outputs.items():
        path = directory / name
        if not path.is_file() or path.stat().st_size != record.bytes or digest(path) != record.sha256:
            edited.append(name)
    return edited
