"""A stage's output directory: written beside its target, renamed when whole, safe against a kill at any moment.

Beside `DIR` lies, while a stage works, the hidden folder `.DIR.alrctl`:

    lock        held by the running process
    holder      which process that is, for the word that another gets
    identity    of the run whose unfinished state is kept (its options and inputs, hashed)
    token       of the run that trackers follow, so that a killed one goes on there as one
    state/      what a killed run needs to go on: a training's last epoch, or the images decoded so far
    new/        the outputs being written; `manifest.json` comes last
    old/        the former directory, for the moment between two renames

`recover` puts right whatever a kill between two renames left; it is called before any artifact is looked at.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import BaseFileLock, FileLock, Timeout

from alrctl import files, manifest
from schemas.errors import MismatchError, UsageError, listing

_PARTS = ("lock", "holder", "identity", "token", "state", "new", "old")


def beside(directory: Path) -> Path:
    """Return the hidden folder in which work on `directory` goes on."""
    absolute = Path(os.path.abspath(behind_link(directory)))
    return absolute.with_name(f".{absolute.name}.alrctl")


def behind_link(directory: Path) -> Path:
    """Return a directory, or what a link of that name leads to: a rename would replace the link itself."""
    return Path(os.path.realpath(directory)) if directory.is_symlink() else directory


def _check_own(work: Path) -> None:
    """Refuse a hidden folder that is a link, or holds one: no run makes any, and it would lead out of it.

    Raises:
        UsageError: naming the link.
    """
    linked = [path for path in (work, *(work / name for name in _PARTS)) if path.is_symlink()]
    if linked:
        raise UsageError(f"{linked[0]}: is a link, which alrctl never makes there; remove it")


def recover(directory: Path) -> None:
    """Finish or undo a replacement of `directory` that a kill interrupted."""
    if not Path(os.path.abspath(directory)).name:  # the root of the file system is no stage's output
        return
    directory, work = behind_link(directory), beside(directory)
    if directory.exists() or not (work / "old").is_dir():
        return
    _check_own(work)
    with FileLock(work / "lock", timeout=10):  # a run that is just now between its two renames ends them itself
        _put_right(directory, work)


def _put_right(directory: Path, work: Path) -> None:
    """Put the new directory in place if it is finished, else the old one back, where neither stands."""
    if not directory.exists() and (work / "old").is_dir():
        finished = (work / "new" / manifest.MANIFEST).is_file()
        os.rename(work / ("new" if finished else "old"), directory)


def check_free(directory: Path, stage: str) -> None:
    """Refuse an output place that holds something this stage did not write.

    Raises:
        UsageError: a file stands there, or a directory with other content.
    """
    if not directory.exists():
        return
    if not directory.is_dir():
        raise UsageError(f"-o {directory}: is a file; a stage writes a directory")
    found = manifest.read(directory)
    if found is None:
        names = sorted(path.name for path in directory.iterdir())
        if names:
            raise UsageError(
                f"-o {directory}: holds files that alrctl did not write ({listing(names, 3)}); choose another"
            )
    elif found.stage != stage:
        raise UsageError(f"-o {directory}: holds the result of '{found.stage}'; choose another place for '{stage}'")


def check_edits(directory: Path, found: manifest.Manifest, force: bool) -> None:
    """Refuse to write over files that somebody changed, unless forced.

    Raises:
        MismatchError: an output was edited since it was written.
    """
    edited = [name for name in manifest.edited_outputs(directory, found) if (directory / name).exists()]
    if edited and not force:
        names = listing(edited)
        raise MismatchError(
            f"{directory}: {names} changed after alrctl wrote it, and a new run would replace it; "
            "move it away, or use --force (a copy NAME.edited is then kept)"
        )


class Workplace:
    """The hidden folder of one running stage."""

    def __init__(self, directory: Path, identity: str) -> None:
        self.directory = behind_link(directory)
        self.root = beside(directory)
        self.new = self.root / "new"
        self.state = self.root / "state"
        self._token = self.root / "token"
        self._identity = identity

    @contextmanager
    def opened(self) -> Iterator[Workplace]:
        """Hold the lock; clear what another run left; remove the folder at the end, unless there is state to keep.

        Raises:
            UsageError: another process works here, or the place is not writable.
        """
        made = [parent for parent in self.root.parents if not parent.exists()]  # the deepest first
        _check_own(self.root)
        lock = FileLock(self.root / "lock")
        try:
            with files.explained_write(self.directory):
                self.root.mkdir(parents=True, exist_ok=True)
            self._take(lock)
            self._prepare()
            yield self
        finally:
            with suppress(Timeout, OSError):  # another's; or an interruption struck before it was ours
                lock.acquire(timeout=0)
                try:
                    self._leave()
                except BaseException:  # an interruption struck meanwhile
                    self._leave()
                    raise
                finally:
                    lock.release(force=True)
            for folder in (self.root, *made):
                with suppress(OSError):  # it holds something now
                    folder.rmdir()

    def _take(self, lock: BaseFileLock) -> None:
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise UsageError(
                f"-o {self.directory}: another alrctl is writing there{self._holder()}; wait for it to end"
            ) from error
        except OSError as error:
            raise UsageError(f"-o {self.directory}: cannot be locked ({error.strerror})") from error

    def _holder(self) -> str:
        with suppress(OSError):
            return f" ({(self.root / 'holder').read_text()})"
        return ""

    def _prepare(self) -> None:
        note = self.root / "identity"
        with files.explained_write(self.directory):
            (self.root / "holder").write_text(f"process {os.getpid()} on {socket.gethostname()}")
            _put_right(self.directory, self.root)  # of a run that was killed while this one made ready
            shutil.rmtree(self.new, ignore_errors=True)
            shutil.rmtree(self.root / "old", ignore_errors=True)
            if not note.is_file() or note.read_text() != self._identity:
                shutil.rmtree(self.state, ignore_errors=True)
                self._token.unlink(missing_ok=True)
                note.write_text(self._identity)
            self.new.mkdir()

    def token(self) -> str:
        """Return what names this run: the same where a killed run goes on, another for every other run."""
        with files.explained_write(self.directory):
            if not self._token.is_file() or not self._token.read_text():
                self._token.write_text(uuid4().hex)
            return self._token.read_text()

    def _leave(self) -> None:
        _put_right(self.directory, self.root)  # an interruption between the two renames
        shutil.rmtree(self.new, ignore_errors=True)
        if not self.state.is_dir() or not any(self.state.iterdir()):
            shutil.rmtree(self.root, ignore_errors=True)

    def tidy(self) -> None:
        """Remove what a run left that was killed when its outputs were in place already; the state of others stays."""
        note = self.root / "identity"
        with suppress(Timeout, OSError):  # another works here, or this place cannot be written to
            if self.root.is_dir():
                with FileLock(self.root / "lock", timeout=0):
                    if not self.state.is_dir() or (note.is_file() and note.read_text() == self._identity):
                        shutil.rmtree(self.root)

    def commit(self) -> None:
        """Put `new` in the place of the target; keep what people put or changed there."""
        with files.explained_write(self.directory):
            self._share()
            self._keep_foreign_files()
            self._flush()
            if self.directory.exists():
                os.rename(self.directory, self.root / "old")
            os.rename(self.new, self.directory)
            self._token.unlink(missing_ok=True)
            shutil.rmtree(self.root / "old", ignore_errors=True)
            shutil.rmtree(self.state, ignore_errors=True)

    def _share(self) -> None:
        """Let whoever may read the manifest read all outputs: safetensors writes files that only their owner may."""
        written = self.new / manifest.MANIFEST
        mode = written.stat().st_mode if written.is_file() else 0o644
        for path in self.new.iterdir():
            if path.is_file() and not path.is_symlink():
                path.chmod(mode)

    def _keep_foreign_files(self) -> None:
        if not self.directory.is_dir():
            return
        found = manifest.read(self.directory)
        if found is None:
            return
        edited = set(manifest.edited_outputs(self.directory, found))
        for path in self.directory.iterdir():
            if path.name == manifest.MANIFEST or (path.name in found.outputs and path.name not in edited):
                continue
            taken = path.name in edited or os.path.lexists(self.new / path.name)
            name = self._edited_name(path.name) if taken else path.name
            if path.is_dir() and not path.is_symlink():
                shutil.copytree(path, self.new / name, symlinks=True)
            else:
                shutil.copy2(path, self.new / name, follow_symlinks=False)

    def _edited_name(self, name: str) -> str:
        """Return a name under which nobody's edit lies yet, and no output."""
        taken = {path.name for folder in (self.directory, self.new) for path in folder.iterdir()}
        return next(free for n in itertools.count(1) if (free := f"{name}.edited{n if n > 1 else ''}") not in taken)

    def _flush(self) -> None:
        for path in self.new.iterdir():
            if path.is_file():
                with path.open("rb") as stream:
                    os.fsync(stream.fileno())
