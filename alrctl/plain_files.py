"""Text files that a person may have written too, and that are not written over without asking."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from alrctl import files
from alrctl.session import Session
from schemas.errors import UsageError

_PAGE = b"<!doctype html>"


def write(path: Path, text: str, session: Session, mark: str = "") -> Literal["done", "unchanged", "would run"]:
    """Write a text, and say whether that was needed.

    Args:
        path: the file.
        text: its content.
        session: says whether to write at all, and over what.
        mark: how a file begins that this program wrote, and may write anew; empty if none may be replaced.

    Raises:
        UsageError: another file is there, or the place cannot be written to.
    """
    there = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
    if there == text and not session.force:
        return "unchanged"
    if there is not None and not session.force and not (mark and there.startswith(mark)):
        raise UsageError(f"{path}: is there already; name another file with -o, or use --force to write over it")
    if session.dry_run:
        return "would run"
    with files.writing(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return "done"


def check_page(path: Path) -> None:
    """Refuse to write a page over a file that is none.

    Raises:
        UsageError: naming the file.
    """
    if not path.is_file() or not path.stat().st_size:
        return
    with path.open("rb") as stream:
        start = stream.read(len(_PAGE)).lower()
    if start != _PAGE:
        raise UsageError(f"{path}: is there already, and is no HTML page; name another file with -o")
