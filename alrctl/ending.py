"""How a command ends that met a user's mistake, or was interrupted: one clear line, and the right exit code."""

from __future__ import annotations

import errno
import os
from typing import Any

import typer

from alrctl import processes
from alrctl.console import Voice
from schemas.errors import AlrctlError, DataError, TerminatedError

_GOES_ON = "nothing half-done was left, the same command goes on"

NO_FILE = (errno.ENAMETOOLONG, errno.ELOOP)
"""What the system says of a name that no file can have, wherever such a name is first looked at."""


class reported:  # noqa: N801 (reads as a verb where it is used)
    """Ends the program with one clear line and the right exit code for a user's mistake."""

    def __init__(self, voice: Voice, debug: bool) -> None:
        self._voice, self._debug = voice, debug

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: Any) -> None:
        """Turn the error into an exit code."""
        if error is None or self._debug:
            return
        if isinstance(error, AlrctlError):
            text, code = str(error), error.exit_code
        elif isinstance(error, KeyboardInterrupt):
            text, code = f"interrupted; {_GOES_ON}", 130
        elif isinstance(error, TerminatedError):
            text, code = f"terminated; {_GOES_ON}", 143
        elif isinstance(error, OSError) and error.errno in NO_FILE:
            text, code = f"{error.filename}: can be the name of no file ({error.strerror})", DataError.exit_code
        else:
            return
        if processes.is_first():
            self._voice.error(text)
        elif processes.joined():  # before, all fail alike
            self._voice.error(f"process {os.environ['RANK']}: {text}")
        self._voice.document({"status": "failed", "error": text, "exit_code": code})
        raise typer.Exit(code) from error
