"""Finding the file that is meant when a user names a stage's directory, or any file of the same schema."""

from __future__ import annotations

from pathlib import Path

from alrctl import manifest
from alrctl.workplace import beside, recover
from schemas.errors import DataError, nearest
from schemas.labels import LABELS
from schemas.truth import TRUTH

_RIVALS = {LABELS.file_name, TRUTH.file_name}
"""Each holds a label a sample, so that one in the place of the other would go unseen."""


def find(place: Path, name: str) -> Path:
    """Return the file meant by `place`: a file itself, or the file `name` in a directory.

    Raises:
        DataError: it is not there.
    """
    recover(place)
    recover(place.parent)
    if place.is_file():
        return _sibling(place, name)
    if place.is_dir():
        if (place / name).is_file():
            return place / name
        found = manifest.read(place)
        hint = f" (it is the result of '{found.stage}')" if found else " and no manifest.json: no stage finished here"
        raise DataError(f"{place}: holds no {name}{hint}")
    if beside(place).is_dir():
        raise DataError(f"{place}: is not finished; run the stage that makes it again, and it goes on")
    parent = place.parent
    guess = nearest(place.name, [path.name for path in parent.iterdir()]) if parent.is_dir() else ""
    raise DataError(f"{place}: no such file or directory{guess}")


def find_optional(place: Path, name: str, may_be_lost: bool = False) -> Path | None:
    """Return the file meant by `place`, or None where it has none.

    Args:
        place: a directory, or a file in it.
        name: of the file.
        may_be_lost: whether None will do too where a stage wrote it, and it is gone.

    Raises:
        DataError: a stage wrote it there, and it is gone.
    """
    recover(place)
    directory = place if place.is_dir() else place.parent
    if (directory / name).is_file():
        return directory / name
    found = manifest.read(directory)
    if found is not None and name in found.outputs and not may_be_lost:
        raise DataError(f"{directory}: {name} is missing; put it back, or run '{found.stage}' again")
    return None


def _sibling(place: Path, name: str) -> Path:
    """Return the file itself, or, where a stage's other file was named, the one that is wanted beside it."""
    found = manifest.read(place.parent)
    is_other_output = found is not None and place.name in found.outputs and place.name != name
    if not is_other_output or {place.name, name} == _RIVALS or not (place.parent / name).is_file():
        return place
    return place.parent / name


def recorded_input(place: Path, role: str) -> Path | None:
    """Return the file that the artifact at `place` says it was made from, in that role, if it is still there."""
    directory = place if place.is_dir() else place.parent
    found = manifest.read(directory)
    if found is None or role not in found.inputs:
        return None
    path = (directory / found.inputs[role].path).resolve()
    return path if path.is_file() else None
