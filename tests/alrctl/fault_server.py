"""Runs commands under faults, in children of one process that has imported everything.

    python fault_server.py

Takes one JSON document a line: `words` of the command, the `folder` it runs in, `root` below which calls are counted,
and the fault: what to do (`kill`, `term`, `interrupt`, `full`, `read-only`) `at` which call. Answers with how it ended.
"""

from __future__ import annotations

import errno
import importlib
import io
import json
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from typing import Any

import file_calls

_SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "interrupt": signal.SIGINT}
_LONGEST = 120.0
"""Seconds after which a command is taken to hang."""


def serve() -> None:
    """Answer until the standard input ends."""
    from matplotlib.figure import Figure

    from alrctl.app import COMMANDS

    importlib.import_module("alrctl.pipeline")
    for entry in COMMANDS:
        importlib.import_module(entry.module)
    drawn = Figure()
    drawn.subplots().set_title("fonts are found at the first drawing")
    for kind in ("png", "svg"):
        drawn.savefig(io.BytesIO(), format=kind)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
    os._exit(0)  # leaving all that was imported in order takes seconds


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Run one command, and say how it ended: exit code (negative: the signal), output, and the calls it made."""
    fault, at = asked.get("fault"), asked.get("at", 0)
    root = asked["root"]
    made: list[str] = []
    beside: list[str] = []
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, ours, theirs:
        child = os.fork()
        if child == 0:
            _be(asked, theirs, out.fileno(), err.fileno())

        def decide(call: file_calls.Call) -> int | None:
            if call.name == "process" or call.path.startswith("/dev/shm/"):
                beside.append(f"{call.name} {call.path}")
                return errno.ENOSPC
            if not call.path.startswith(root + os.sep):
                return None
            made.append(f"{call.name} {os.path.relpath(call.path, root)}")
            number = len(made) - 1
            if fault in _SIGNALS and number == at:
                os.kill(child, _SIGNALS[fault])
            if fault == "full" and number >= at and call.takes_room:
                return errno.ENOSPC
            if fault == "read-only" and number >= at and call.changes:
                return errno.EROFS
            return None

        hung, began = False, time.monotonic()
        listener = file_calls.handed_over(ours)
        for _ in file_calls.calls(listener, decide):
            if not hung and time.monotonic() - began > _LONGEST:
                hung = True
                os.kill(child, signal.SIGKILL)
        os.close(listener)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        told = {"out": out.read().decode(), "err": err.read().decode()}
    return {"code": code, "calls": made, "beside": beside, "hung": hung, **told}


def _be(asked: dict[str, Any], parent: socket.socket, out: int, err: int) -> None:
    """Run the command in the child, and end."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.chdir(asked["folder"])
        sys.argv = ["alrctl", *asked["words"]]
        from alrctl.app import app, run_and_exit

        exec(asked.get("before", ""), {})
        file_calls.hand_over(parent)
        run_and_exit(app)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        exec(asked.get("after", ""), {})
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
