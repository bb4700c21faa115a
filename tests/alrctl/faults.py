"""Every stage under every fault: what to run, and what must hold afterwards. Nothing here is a test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml

from alrctl import csv_files, manifest, project, workplace

TINY = ("--backbone", "test_resnet", "--batch-size", "32", "--device", "cpu")
PIPELINE = {
    "source": "../data",
    "output": "../out/run",
    "rounds": 1,
    "report": False,
    "train-lnl": {"backbone": "test_resnet", "epochs": 1, "num-gradual": 1, "batch-size": 32},
    "select": {"budget": 4, "pool": "all"},
    "recalibrate": {"epochs": 1, "batch-size": 32},
    "evaluate": {"bootstrap": 0, "figures": False},
    "expert": "oracle",
}


@dataclass(frozen=True)
class Stage:
    """A command that writes.

    Attributes:
        command: its words, run in a finished project's directory.
        out: what it writes, below that directory.
        other: words that make it write something else to the same place.
    """

    command: tuple[str, ...]
    out: str
    other: tuple[str, ...]


def _stage(words: str, out: str, other: str) -> Stage:
    return Stage((*words.split(), "-o", f"out/{out}"), f"out/{out}", tuple(other.split()))


STAGES = {
    "ingest": _stage("ingest photos --image-size 8", "data", "--image-size 12"),
    "corrupt": _stage("corrupt data --seed 1", "noisy", "--seed 2"),
    "audit": _stage("audit data --labels noisy --budget 6", "audit", "--budget 4"),
    "train-lnl": _stage(
        f"train-lnl data --labels noisy --epochs 2 --num-gradual 1 {' '.join(TINY)}", "lnl", "--seed 2"
    ),
    "score": _stage("score data --labels noisy --checkpoint lnl", "scores", "--split val"),
    "select": _stage("select r1/scores --budget 6", "queue", "--budget 4"),
    "review": _stage("review r1/queue", "review.html", "--blind"),
    "packets": _stage("packets r1/queue --annotators ann --annotators bob", "packets", "--seed 2"),
    "noisy-ids": _stage("noisy-ids r1/scores --bootstrap 20", "noisy-ids", "--least 0.6"),
    "relabel": _stage("relabel noisy --queue r1/queue --answers answers.csv", "labels", "--annotator me"),
    "undo": _stage("undo r1/labels --round 1", "undone", "--force"),
    "recalibrate": _stage(
        "recalibrate data --labels r1/labels --checkpoint lnl --epochs 2 --device cpu", "model", "--seed 2"
    ),
    "evaluate": _stage("evaluate data --checkpoint r1/model --bootstrap 0 --no-figures", "eval", "--split val"),
    "compare": _stage("compare r1/eval b1/eval --bootstrap 20", "comparison", "--seed 2"),
    "init": _stage("init photos", "init.yaml", "--image-size 12 --force"),
    "run": Stage(("run", "chain/pipeline.yaml"), "out/run", ()),
    "export": _stage("export make chain/pipeline.yaml", "chain.mk", "--force"),
    "report": _stage("report noisy --thumbnails 4", "report.html", "--thumbnails 0"),
}


def prepare(finished: Path, photos: Path, root: Path) -> Path:
    """Make a project of a finished one, with all that the stages take besides."""
    shutil.copytree(finished, root)
    shutil.copytree(photos, root / "photos")
    shutil.copytree(root / "r1", root / "b1")
    (root / "out").mkdir()
    (root / "chain").mkdir()
    (root / "chain/pipeline.yaml").write_text(yaml.safe_dump(PIPELINE))
    queue = csv_files.read_csv(root / "r1/queue/queue.csv")
    csv_files.write_csv(queue.with_columns(label=pl.lit("blue"), annotator=pl.lit("me")), root / "answers.csv")
    return root


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: exit code; below 0, the signal that ended it.
        out: its standard output.
        err: its standard error.
        calls: that it made to change files of the project, as `name path`.
        beside: processes that it wanted to start, and files in shared memory: all are refused.
        hung: whether it had to be ended.
    """

    code: int
    out: str
    err: str
    calls: list[str]
    beside: list[str]
    hung: bool


class Server:
    """The process that runs the commands."""

    def __init__(self) -> None:
        script, environment = Path(__file__).with_name("fault_server.py"), {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(script)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, root: Path, words: Sequence[str], fault: str = "", at: int = 0, **around: str) -> Ended:
        """Run a command in a project, with a fault at one of its calls; `before` and `after` it, Python's words."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"words": words, "folder": str(root), "root": str(root), "fault": fault, "at": at, **around}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def contents(root: Path) -> dict[str, bytes]:
    """Return every file at or below a place; of manifests, all but the times and the command."""
    found = {}
    for path in [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.name == "manifest.json":
            told = json.loads(content)
            del told["started"], told["ended"], told["command"]
            content = json.dumps(told, sort_keys=True).encode()
        found[path.relative_to(root).as_posix()] = content
    return found


def remove(path: Path) -> None:
    """Remove a file or a directory, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


EXPECTED = {"kill": {-9}, "term": {143}, "interrupt": {130}, "full": {2}, "read-only": {2}}
"""Exit codes after a fault, where it did not come too late."""


class Trial:
    """One stage in one project, to be disturbed again and again.

    Attributes:
        calls: how many calls the undisturbed command makes.
        replacing: whether it replaces what another made.
    """

    def __init__(self, server: Server, root: Path, name: str, replacing: bool = False) -> None:
        """Run the command undisturbed, where nothing stands, or where another's result does."""
        self._server, self._root, self._stage, self.replacing = server, root, STAGES[name], replacing
        self._place = root / self._stage.out
        self._saved = root.with_name(f"{root.name}-old")
        self._old: dict[str, bytes] = {}
        if replacing:
            self._well(self._run(*self._stage.other))
            self._old = contents(self._place)
            remove(self._saved)
            os.rename(self._place, self._saved)
            self.reset()
        undisturbed = self._well(self._run())
        assert undisturbed.beside == [], "a stage that uses shared memory or processes needs faults of these"
        self.calls = len(undisturbed.calls)
        self._new = contents(self._place)
        self._others = self._around()
        self.reset()

    def reset(self) -> None:
        """Put the place into the state before the run."""
        for path in self._place.parent.iterdir():
            remove(path)
        if self.replacing:
            (shutil.copytree if self._saved.is_dir() else shutil.copy)(self._saved, self._place)

    def disturb(self, fault: str, at: int) -> list[str]:
        """Run the command with a fault at one of its calls, and return what is wrong then."""
        ended = self._run(fault=fault, at=at)
        wrong = self._told_wrong(fault, ended)
        wrong += [] if self._around() == self._others else ["something else was changed"]
        wrong += self._found_wrong(whole=ended.code == 0)
        wrong += [] if fault in ("kill", "read-only") else self._left(fault)  # neither lets anything be removed
        return [f"{fault} at {at} of {self.calls} ({ended.calls[at : at + 1]}): {text}" for text in wrong]

    def repeat(self) -> list[str]:
        """Run the command undisturbed again, and return what is wrong then."""
        again = self._run()
        if again.code != 0:
            return [f"the second run ended with {again.code}: {again.err}"]
        same = contents(self._place) == self._new
        return [*self._left("finished"), *([] if same else ["the second run gave other bytes"])]

    def _run(self, *more: str, fault: str = "", at: int = 0) -> Ended:
        can_force = self._stage.command[0] not in ("review", "report") and "--force" not in more
        forced = ["--force"] if self.replacing and can_force else []
        return self._server.run(self._root, [*self._stage.command, *forced, *more], fault, at)

    def _well(self, ended: Ended) -> Ended:
        assert ended.code == 0, ended
        return ended

    def _around(self) -> dict[str, tuple[int, int, int]]:
        """Return what tells whether any other file was touched."""
        paths = (path for path in self._root.rglob("*") if path.is_file() and self._place.parent not in path.parents)
        return {str(path): ((at := path.stat()).st_ino, at.st_mtime_ns, at.st_size) for path in paths}

    def _told_wrong(self, fault: str, ended: Ended) -> list[str]:
        if ended.hung:
            return ["it hung"]
        if ended.code not in (0, *EXPECTED[fault]):
            return [f"ended with {ended.code}: {ended.err[-2000:]}"]
        told = [line for line in ended.err.splitlines() if not line.startswith("warning: ")]
        if fault == "kill" or ended.code == 0:
            return [f"said: {told}"] if told else []
        if len(told) != 1 or not told[0].startswith("error: ") or ".alrctl" in told[0] or ".partial" in told[0]:
            return [f"said: {told}"]
        return []

    def _found_wrong(self, whole: bool) -> list[str]:
        """Say what is neither absent, nor the old, nor the new, once what looks at artifacts has looked."""
        workplace.recover(self._place)
        if self._stage.command[0] == "run":
            made = project.scan(self._place)
            return [f"{one.path} is not whole" for one in made if manifest.edited_outputs(one.path, one.manifest)]
        if not self._place.exists():
            return ["the old is lost"] if self.replacing else ["it is not there"] if whole else []
        found = contents(self._place)
        wanted = [self._new] if whole else [self._new, self._old]
        if found not in wanted:
            names = [name for name in {*found, *self._new} if found.get(name) != self._new.get(name)]
            return [f"it is not whole: {names}"]
        return []

    def _left(self, after: str) -> list[str]:
        """Say what lies beside the place, but for a training's state where it goes on."""
        paths = [path for path in self._place.parent.rglob(".*")]
        hidden = [path for path in paths if path.name.endswith(".alrctl")]
        spoilt = [path for path in paths if path not in hidden and path.parent not in hidden]
        spoilt += [
            path for path in hidden if after == "finished" or not (path / "state").is_dir() or (path / "new").exists()
        ]
        spoilt += [path for folder in hidden for path in folder.rglob("*.new") if after == "full"]
        return [f"left: {[str(path) for path in spoilt]}"] if spoilt else []


_MOUNTED = """
import ctypes, os, sys

libc = ctypes.CDLL(None, use_errno=True)
user, group = os.getuid(), os.getgid()

def well(done):
    if done != 0:
        sys.stderr.write("no mount: " + os.strerror(ctypes.get_errno()))
        raise SystemExit(99)

well(libc.unshare(0x10020000))  # a user namespace and one of mounts: no privilege is needed, and they end with us
open("/proc/self/setgroups", "w").write("deny")
open("/proc/self/uid_map", "w").write(f"0 {user} 1")
open("/proc/self/gid_map", "w").write(f"0 {group} 1")
"""


def mounted(kind: str, place: Path, options: str = "") -> str:
    """Return what a child does to have a mount of its own: a `tmpfs`, or the place itself, `read-only`."""
    folder = repr(os.fsencode(place))
    if kind == "tmpfs":
        return f"{_MOUNTED}well(libc.mount(b'tmpfs', {folder}, b'tmpfs', 0, {options.encode()!r}))\n"
    bind, again = 0x1000, 0x1000 | 0x20 | 0x1
    return f"{_MOUNTED}" + "".join(
        f"well(libc.mount({folder}, {folder}, None, {flags}, None))\n" for flags in (bind, again)
    )
