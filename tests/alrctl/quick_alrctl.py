"""`alrctl` without its imports: a server that has them forks a child a command, and a client that an engine may start.

    python quick_alrctl.py serve SOCKET        python quick_alrctl.py SOCKET ingest photos -o data

The child has the client's folder, streams and environment. A client that is killed takes its child with it, as if they
were one process.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import select
import signal
import socket
import sys


def serve(place: str) -> None:
    """Answer clients until the standard input ends."""
    from matplotlib.figure import Figure

    importlib.import_module("alrctl.pipeline")
    drawn = Figure()
    drawn.subplots().set_title("fonts are found at the first drawing")
    for kind in ("png", "svg"):
        drawn.savefig(io.BytesIO(), format=kind)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        children: dict[int, socket.socket] = {}
        while True:
            ready = select.select([sys.stdin, listening, *children.values()], [], [], 0.02)[0]
            if sys.stdin in ready:
                return
            for child, client in list(children.items()):
                if client in ready:  # it says nothing after its request: it has gone
                    os.kill(child, signal.SIGKILL)
                ended, status = os.waitpid(child, 0 if client in ready else os.WNOHANG)
                if ended:
                    children.pop(child).close() if client in ready else _tell(children.pop(child), status)
            if listening in ready:
                client, _ = listening.accept()
                children[_begin(client, listening)] = client


def _tell(client: socket.socket, status: int) -> None:
    with client:
        client.sendall(bytes([os.waitstatus_to_exitcode(status) & 255]))


def _begin(client: socket.socket, listening: socket.socket) -> int:
    """Fork a child for a request."""
    asked, streams, _, _ = socket.recv_fds(client, 1 << 20, 3)
    while not asked.endswith(b"\n"):
        asked += client.recv(1 << 20)
    child = os.fork()
    if child:
        for stream in streams:
            os.close(stream)
        return child
    listening.close()
    code = 1
    try:
        told = json.loads(asked)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.chdir(told["folder"])
        os.environ.clear()
        os.environ.update(told["environment"])
        sys.argv = ["alrctl", *told["words"]]
        from alrctl.app import app

        app()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ask(place: str, words: list[str]) -> int:
    """Have a command carried out, and return its exit code."""
    told = {"folder": os.getcwd(), "environment": dict(os.environ), "words": words}
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(place)
        text = json.dumps(told).encode() + b"\n"
        sent = socket.send_fds(server, [text], [0, 1, 2])
        server.sendall(text[sent:])
        return server.recv(1)[0]


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        raise SystemExit(ask(sys.argv[1], sys.argv[2:]))
