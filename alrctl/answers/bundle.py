"""Answers as they lie on the disk: one file, a folder, or a zip; nothing is ever unpacked to the disk."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from alrctl import files, limits
from alrctl.naming import IMAGE_SUFFIXES
from schemas.errors import DataError, shown

_LARGEST = 1 << 30  # bytes: of one file that is read
_FREE = 1 << 26  # bytes: of one file in a zip, however small the zip; a text takes ten times as many once it is read


@dataclass(frozen=True)
class Bundle:
    """The files that hold answers.

    Attributes:
        path: what the user named.
        names: of all files, paths from there, in order; the file's own name where there is one only.
        reader: returns a file's bytes.
        is_folder: whether names are paths within a folder or a zip.
    """

    path: Path
    names: tuple[str, ...]
    reader: Callable[[str], bytes]
    is_folder: bool

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            DataError: it cannot be read.
        """
        with files.explained_read(self.path, "regular"):
            return self.reader(name)

    def ending_in(self, *suffixes: str) -> list[str]:
        """Return the files with one of these suffixes, in lower case."""
        return [name for name in self.names if name.lower().endswith(suffixes)]

    @property
    def images(self) -> list[str]:
        """The image files; names that begin with a dot are the system's own."""
        return [name for name in self.ending_in(*IMAGE_SUFFIXES) if not name.rpartition("/")[2].startswith(".")]

    @cached_property
    def sha256(self) -> str:
        """The digest of a file; of a folder, of the names of its files and the contents of those that are no image."""
        if not self.path.is_dir():
            return files.sha256(self.path)
        digest, images = hashlib.sha256(), set(self.images)
        for name in self.names:
            content = b"" if name in images else hashlib.sha256(self.read(name)).digest()
            digest.update(name.encode(errors="surrogateescape") + b"\0" + content)
        return digest.hexdigest()

    def text(self, name: str) -> tuple[str, str]:
        """Return a file as text, and the encoding it was read by.

        UTF-8 or UTF-16 with a byte order mark, UTF-8 without one, else Windows-1252, which spreadsheets still write.

        Raises:
            DataError: it is none of these.
        """
        content = self.read(name)
        try:
            return decoded(content)
        except UnicodeDecodeError as error:
            raise DataError(f"{self.where(name)}: is no text ({error.reason}); save it as CSV in UTF-8") from error

    def where(self, name: str) -> str:
        """Return how a file is called in messages."""
        return f"{self.path}/{name}" if self.is_folder else str(self.path)


def said(encoding: str, where: str) -> tuple[str, ...]:
    """Return a warning about an encoding that may have been read wrongly."""
    if encoding != "Windows-1252":
        return ()
    return (f"{where}: is not UTF-8; read as Windows-1252, so look at letters with accents (save as 'CSV UTF-8')",)


def beginning(content: bytes) -> str:
    """Return what a file begins with, as text, letters that make no sense replaced."""
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return content.decode(encoding, errors="replace")


def decoded(content: bytes) -> tuple[str, str]:
    """Return text and the encoding it was read by.

    Raises:
        UnicodeDecodeError: it is no text.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16"), "UTF-16"
    try:
        text, encoding = content.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        text, encoding = content.decode("cp1252"), "Windows-1252"
    if "\0" in text:
        raise UnicodeDecodeError("utf-8", content[:1], 0, 1, "it holds null characters")
    return text, encoding


def open_bundle(path: Path) -> Bundle:
    """Look at what lies at `path`.

    Raises:
        DataError: nothing does, or a zip is broken.
    """
    if path.is_dir():
        found = sorted(one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file())
        return Bundle(path, tuple(found), lambda name: (path / name).read_bytes(), is_folder=True)
    with files.explained_read(path, "regular"), path.open("rb") as stream:
        is_zip = stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")  # the second of an empty one
    if not is_zip:
        return Bundle(path, (path.name,), lambda name: path.read_bytes(), is_folder=False)
    with files.explained_read(path, "zip"), zipfile.ZipFile(path) as packed:
        stored = path.stat().st_size
        entries = {entry.filename: entry for entry in packed.infolist() if not entry.is_dir()}
    if "xl/workbook.xml" in entries or {"content.xml", "mimetype"} <= set(entries):
        raise DataError(f"{path}: is a spreadsheet; save it as CSV (UTF-8) and give that")
    for name, entry in entries.items():
        if entry.file_size > _LARGEST or (entry.file_size > _FREE and entry.file_size > limits.TIMES * stored):
            raise DataError(f"{path}: '{shown(name)}' is too large to read ({entry.file_size:,} bytes)")
    return Bundle(path, tuple(sorted(entries)), lambda name: _unpacked(path, name), is_folder=True)


def _unpacked(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as packed:
        return packed.read(name)
