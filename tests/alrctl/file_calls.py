"""Stops a process before each of its system calls that change a file, and decides what becomes of the call.

Linux's seccomp hands the calls of a child, of all its threads and whatever library makes them, to its parent (user
notification, seccomp_unotify(2); no privilege is needed). So a fault can be put at every moment between two calls, also
within the libraries that write without Python.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

AVAILABLE = platform.system() == "Linux" and platform.machine() == "x86_64"
_FD, _PATH, _AT, _TO, _TO_AT = "fd", "path", "at", "to", "to at"  # where a call names its file
_CALLS = {
    1: ("write", _FD),
    18: ("pwrite64", _FD),
    20: ("writev", _FD),
    296: ("pwritev", _FD),
    40: ("sendfile", _FD),
    2: ("open", _PATH),
    257: ("openat", _AT),
    82: ("rename", _TO),
    264: ("renameat", _TO_AT),
    316: ("renameat2", _TO_AT),
    83: ("mkdir", _PATH),
    258: ("mkdirat", _AT),
    84: ("rmdir", _PATH),
    87: ("unlink", _PATH),
    263: ("unlinkat", _AT),
    86: ("link", _TO),
    88: ("symlink", _TO),
    266: ("symlinkat", _TO),
    77: ("ftruncate", _FD),
    285: ("fallocate", _FD),
    326: ("copy_file_range", _FD),
    74: ("fsync", _FD),
    75: ("fdatasync", _FD),
    90: ("chmod", _PATH),
    91: ("fchmod", _FD),
    268: ("fchmodat", _AT),
}
_PROCESSES = {56: "clone", 57: "fork", 58: "vfork", 435: "clone3"}
_CLONE_THREAD = 0x10000
_TAKES_ROOM = {"write", "pwrite64", "writev", "pwritev", "sendfile", "fallocate", "copy_file_range"}
_MAKES = {"mkdir", "mkdirat", "symlink", "symlinkat", "link"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_RECEIVE, _SEND, _GO_ON = 0xC0502100, 0xC0182101, 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Call:
    """A system call that is about to be made.

    Attributes:
        name: of the call.
        path: the file that it would change.
        creates: whether it would make a file or directory that is not there.
    """

    name: str
    path: str
    creates: bool

    @property
    def takes_room(self) -> bool:
        """Whether a full disk would refuse it."""
        return self.name in _TAKES_ROOM or self.creates

    @property
    def changes(self) -> bool:
        """Whether a read-only file system would refuse it."""
        is_there = self.name in _MAKES and not self.creates
        return not is_there and self.name not in ("fsync", "fdatasync")


def hand_over(parent: socket.socket) -> None:
    """Let `parent` decide on this process's calls from now on."""
    numbers = sorted({*_CALLS, *_PROCESSES})
    lines = [struct.pack("HBBI", 0x20, 0, 0, 0)]  # load the call's number
    lines += [struct.pack("HBBI", 0x15, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    lines += [struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000), struct.pack("HBBI", 0x06, 0, 0, 0x7FC00000)]
    code = ctypes.create_string_buffer(b"".join(lines))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(lines), ctypes.addressof(code)))
    _libc.prctl(38, 1, 0, 0, 0)  # no new privileges
    listener = _libc.syscall(317, 1, 1 << 3, program)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    socket.send_fds(parent, [b"!"], [listener])
    os.close(listener)


def handed_over(child: socket.socket) -> int:
    """Return what `calls` takes, in the parent."""
    return socket.recv_fds(child, 1, 1)[1][0]


def calls(listener: int, decide: Callable[[Call], int | None]) -> Iterator[None]:
    """Ask `decide` about each call: the number of an error, or None to let it be made.

    The start of another process is told as a call too, of the name `process`.

    Yields once in a while, and ends with the process.
    """
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    while True:
        ready = waiting.poll(100)
        yield
        if not ready:
            continue
        if not ready[0][1] & select.POLLIN:
            return
        told = bytearray(80)
        try:
            fcntl.ioctl(listener, _RECEIVE, told)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                continue
            raise
        number, thread, _, call, _, _, *given = struct.unpack("QIIiIQ6Q", told)
        found = _call(call, thread, given)
        refused = None if found is None else decide(found)
        answer = struct.pack("QqiI", number, 0, -refused if refused else 0, 0 if refused else _GO_ON)
        try:
            fcntl.ioctl(listener, _SEND, bytearray(answer))
        except OSError as error:
            if error.errno != errno.ENOENT:  # the process is gone, or a signal broke the call off
                raise


def _call(number: int, thread: int, given: list[int]) -> Call | None:
    """Return the call in words; None if it changes nothing or the process is gone."""
    if number in _PROCESSES:
        flags = _word(thread, given[0]) if number == 435 else given[0] if number == 56 else 0
        return None if flags & _CLONE_THREAD else Call("process", "", creates=False)
    name, kind = _CALLS[number]
    if name in ("open", "openat") and not given[1 if name == "open" else 2] & _WRITES:
        return None
    try:
        if kind == _FD:
            place = 1 if name == "sendfile" else 2 if name == "copy_file_range" else 0
            place = 0 if name == "sendfile" else place
            path = os.readlink(f"/proc/{thread}/fd/{given[place]}")
        elif kind in (_AT, _TO_AT):
            first = 2 if kind == _TO_AT else 0
            path = os.path.join(_folder(thread, given[first]), _text(thread, given[first + 1]))
        else:
            address = given[2] if name == "symlinkat" else given[1] if kind == _TO else given[0]
            path = os.path.join(_folder(thread, -100), _text(thread, address))
    except OSError:
        return None
    path = os.path.normpath(path)
    creates = name in _MAKES or (name == "open" and given[1] & os.O_CREAT != 0)
    creates = creates or (name == "openat" and given[2] & os.O_CREAT != 0)
    return Call(name, path, creates and not os.path.lexists(path))


def _folder(thread: int, descriptor: int) -> str:
    number = ctypes.c_int(descriptor & 0xFFFFFFFF).value
    return os.readlink(f"/proc/{thread}/cwd" if number == -100 else f"/proc/{thread}/fd/{number}")


def _word(thread: int, address: int) -> int:
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        found: int = struct.unpack("Q", memory.read(8))[0]
    return found


def _text(thread: int, address: int) -> str:
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        read = memory.read(4096 - address % 4096)
        if b"\0" not in read:
            read += memory.read(4096)
    return os.fsdecode(read.split(b"\0", 1)[0])
