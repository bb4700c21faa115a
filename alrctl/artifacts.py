"""Finding the file that is meant when a user names a stage's directory, or any file of the same schema."""

from __future__ import annotations

from pathlib import Path

from alrctl import manifest
from alrctl.workplace import beside, recover
from schemas.errors import DataError, nearest


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


def find_optional(place: Path, name: str) -> Path | None:
    """Return the file meant by `place`, or None where it has none."""
    recover(place)
    directory = place if place.is_dir() else place.parent
    return directory / name if (directory / name).is_file() else None


def _sibling(place: Path, name: str) -> Path:
    """Return the file itself, or, where a stage's other file was named, the one that is wanted beside it."""
    found = manifest.read(place.parent)
    is_other_output = found is not None and place.name in found.outputs and place.name != name
    return place.parent / name if is_other_output and (place.parent / name).is_file() else place


def recorded_input(place: Path, role: str) -> Path | None:
    """Return the file that the artifact at `place` says it was made from, in that role, if it is still there."""
    directory = place if place.is_dir() else place.parent
    found = manifest.read(directory)
    if found is None or role not in found.inputs:
        return None
    path = (directory / found.inputs[role].path).resolve()
    return path if path.is_file() else None
