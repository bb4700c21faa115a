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
_LARGEST_YAML = 1 << 20  # bytes: some ten seconds of parsing
_HOST = socket.gethostname()
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


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
        raise UsageError(_unwritable(path, reason)) from error


def _refusal(error: Exception) -> str | None:
    """Return the operating system's reason, without the hidden place that libraries name; None for another error."""
    if told := _OS_ERROR.search(str(error)):  # polars and safetensors wrap it
        return os.strerror(int(told[1]))
    if "Invalid thrift: transport error" in str(error):  # so polars words it between a parquet's columns
        return "the disk took no more"
    return error.strerror or str(error) if isinstance(error, OSError) else None


def _unwritable(path: Path, reason: str) -> str:
    return f"{path}: cannot be written ({reason}); make room, or choose another place with -o"


@contextmanager
def explained_read(path: Path, kind: str) -> Iterator[None]:
    """Turn any failure to read into one clear line.

    Raises:
        DataError: the file is not there, would never end (a pipe, a device), or is not a whole `kind` file.
    """
    try:
        if _never_ends(path):
            raise DataError(f"{path}: is a pipe or a device, and no regular file")
        yield
    except AlrctlError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise DataError(f"{path}: is a directory, and no {kind} file") from error
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # polars', which is none
            raise
        raise DataError(f"{path}: is no readable {kind} file ({_first_line(error)})") from error


def _never_ends(path: Path) -> bool:
    with suppress(OSError, ValueError):  # what is not there, or no name, is told by whoever opens it
        mode = os.stat(path).st_mode
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return False


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return shown(text.splitlines()[0], 200) if text else type(error).__name__


def sha256(path: Path) -> str:
    """Return the hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with explained_read(path, "regular"), path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


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
