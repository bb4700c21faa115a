"""Reading and writing files: whole or not at all, and never anything that can run code."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from alrctl import safe_yaml
from schemas.errors import AlrctlError, DataError, UsageError, shown

_CHUNK = 1 << 20
_TO_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # a pipe is not waited for
_LARGEST_YAML = 1 << 20  # bytes: some ten seconds of parsing
_HOST = socket.gethostname()
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
Stamp = tuple[int, int]
"""Bytes of a file, and when it was last written (ns since 1970)."""


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give a place beside `path` to write to; rename it to `path` when all went well, remove it when not.

    Raises:
        UsageError: the place cannot be written to.
    """
    beside = path.with_name(f".{path.name}.{_HOST}-{os.getpid()}.partial")
    try:
        with explained_write(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _clear_abandoned(path)
            yield beside
            os.replace(beside, path)
    finally:
        with suppress(OSError):
            beside.unlink()


def _clear_abandoned(path: Path) -> None:
    """Remove what runs on this machine that were killed left beside `path`; others may be writing it just now."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{glob.escape(_HOST)}-*.partial"):
        process = left.name.removesuffix(".partial").rpartition("-")[2]
        if process.isdigit() and not _runs(int(process)):
            left.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    if os.name != "posix":
        return True  # elsewhere, asking would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's; or no number of a process
        return True
    return True


@contextmanager
def explained_write(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal to write into one clear line.

    Raises:
        UsageError: the place cannot be written to.
    """
    try:
        yield
    except AlrctlError:
        raise
    except Exception as error:
        reason = _refusal(error)
        if reason is None:
            raise
        other = _file_elsewhere(error, path)
        raise UsageError(_unwritable(path, reason) if other is None else f"{other}: {reason}") from error


def _file_elsewhere(error: Exception, path: Path) -> str | None:
    """Return the file that was refused, if it is neither `path`, nor within it, above it or in its hidden folder."""
    name = error.filename if isinstance(error, OSError) else None
    if not isinstance(name, str):
        return None
    for plain in (os.path.realpath, os.path.abspath):  # what is hidden lies beside a link, or beside what it leads to
        refused, wanted = Path(plain(name)), Path(plain(path))
        hidden = wanted.parent / f".{wanted.name}."
        if refused.is_relative_to(wanted) or wanted.is_relative_to(refused) or str(refused).startswith(str(hidden)):
            return None
    return name


def _refusal(error: Exception) -> str | None:
    """Return the operating system's reason, without the hidden place that libraries name; None for another error."""
    if told := _OS_ERROR.search(str(error)):  # polars and safetensors wrap it
        return os.strerror(int(told[1]))
    if "Invalid thrift: transport error" in str(error):  # so polars words it between a parquet's columns
        return "the disk took no more"
    return error.strerror or str(error) if isinstance(error, OSError) else None


def _unwritable(path: Path, reason: str) -> str:
    return f"{path}: cannot be written ({reason}); make room, or choose another place with -o"


class explained:  # noqa: N801 - used like the functions beside it; a class costs less for each of a million files
    """Turn any failure to read into one clear line.

    Raises:
        DataError: the file is not there, or is not a whole `kind` file.
    """

    __slots__ = ("_kind", "_path")

    def __init__(self, path: Path | str, kind: str) -> None:
        self._path, self._kind = path, kind

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, AlrctlError):
            return
        if isinstance(error, FileNotFoundError):
            raise DataError(f"{self._path}: no such file") from error
        if isinstance(error, IsADirectoryError):
            raise DataError(f"{self._path}: is a directory, and no {self._kind} file") from error
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":  # polars', which is none
            raise DataError(f"{self._path}: is no readable {self._kind} file ({_first_line(error)})") from error


@contextmanager
def explained_read(path: Path | str, kind: str) -> Iterator[None]:
    """Turn any failure to read into one clear line, and do not begin where reading would never end.

    Raises:
        DataError: the file is not there, would never end (a pipe, a device), or is not a whole `kind` file.
    """
    with explained(path, kind):
        with suppress(OSError, ValueError):  # what is not there, or no name, is told by whoever opens it
            _refuse_endless(path, os.stat(path).st_mode)
        yield


def _refuse_endless(path: Path | str, mode: int) -> None:
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(f"{path}: is a pipe or a device, and no regular file")


def first_bytes(path: Path | str, most: int) -> tuple[bytes, Stamp]:
    """Return a file's bytes, at most `most` of them, and the stamp that it had before: as few calls as can be.

    Raises:
        DataError: it would never end (a pipe, a device).
        OSError: it is not there, or cannot be read.
    """
    descriptor = os.open(path, _TO_READ)
    try:
        told = os.fstat(descriptor)
        _refuse_endless(path, told.st_mode)
        return os.read(descriptor, min(told.st_size, most)), stamp(told)
    finally:
        os.close(descriptor)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return shown(text.splitlines()[0], 200) if text else type(error).__name__


def sha256(path: Path | str) -> str:
    """Return the hex digest of a file's bytes."""
    return stamped_sha256(path)[0]


def stamped_sha256(path: Path | str) -> tuple[str, Stamp]:
    """Return the hex digest of a file's bytes, and the stamp that the file had before they were read."""
    with explained(path, "regular"):
        content, before = first_bytes(path, _CHUNK)
        digest = hashlib.sha256(content)
        if before[0] > len(content):
            with open(path, "rb") as stream:
                stream.seek(len(content))
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
    return digest.hexdigest(), before


def stamp(told: os.stat_result) -> Stamp:
    """Return what tells that a file was not written to since."""
    return told.st_size, told.st_mtime_ns


def read_yaml(path: Path) -> Any:
    """Read YAML with the safe loader, no larger than 1 MiB, and no larger once its aliases are followed."""
    with explained_read(path, "YAML"):
        if (size := path.stat().st_size) > _LARGEST_YAML:
            raise DataError(f"{path}: has {size:,} bytes; YAML of more than {_LARGEST_YAML:,} is not read")
        try:
            return safe_yaml.load(path.read_text(encoding="utf-8"))
        except yaml.MarkedYAMLError as error:
            raise DataError(f"{path}: is no readable YAML file: {_yaml_problem(error)}") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: is not in UTF-8; save it as UTF-8 text") from error


def _yaml_problem(error: yaml.MarkedYAMLError) -> str:
    """Say where YAML breaks off and why, with the mend for the usual mistake."""
    mark = error.problem_mark
    where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    mend = " (indent with blanks, not with tabs)" if error.problem and "'\\t'" in error.problem else ""
    return f"{where}{error.problem}{mend}"


def write_yaml(value: Any, path: Path) -> None:
    """Write YAML in the order given."""
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read one JSON document."""
    with explained_read(path, "JSON"):
        return json.loads(path.read_text(encoding="utf-8"))


def write_json(value: Any, path: Path) -> None:
    """Write one JSON document, indented, with no NaN in it."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
