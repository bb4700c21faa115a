"""One stage's run: its inputs recorded, skipped if unchanged, written whole, with a manifest at the end."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.markup import escape

from alrctl import __version__, artifacts, files, manifest, processes, tracking
from alrctl.console import LiveReport
from alrctl.naming import option_names
from alrctl.session import Outcome, Session, Summary
from alrctl.target import Target
from alrctl.workplace import Workplace, check_edits, check_free, recover
from schemas.errors import MismatchError, UsageError, listing
from stages.report import NEUTRAL

Preview = Callable[[LiveReport], Summary]


FILLED_IN = ("queue.csv",)
"""Outputs that people are asked to write into."""


class Job:
    """Collects a stage's inputs, then runs it or says why it need not run."""

    def __init__(self, session: Session, stage: str, out: Path, config: BaseModel) -> None:
        self.session = session
        self.stage = stage
        self.out = out
        self.options = json.loads(config.model_dump_json())
        self._defaults = _defaults(type(config))
        fields, names = type(config).model_fields, option_names(type(config))
        self._neutral = {names[field] for field, info in fields.items() if info.json_schema_extra == NEUTRAL}
        self._inputs: dict[str, manifest.InputRecord] = {}
        self._early: list[str] = []
        recover(out)
        check_free(out, stage)

    def need(self, role: str, place: Path, name: str) -> Path:
        """Record an input: the file itself, or the file `name` in a stage's directory.

        Raises:
            DataError: it is not there.
            MismatchError: it is stale.
        """
        path = artifacts.find(place, name)
        self._early += check_stale(path, self.session.allow_stale)
        self._record(role, path, files_digest=manifest.digest(path))
        return path

    def need_raw(self, role: str, path: Path) -> Path:
        """Record an input file that people or other programs wrote."""
        self._record(role, path, files_digest=manifest.digest(path))
        return path

    def need_folder(self, role: str, path: Path, digest: str, size: int) -> None:
        """Record a folder of files by the digest of all of them."""
        self._inputs[role] = manifest.InputRecord(
            path=manifest.relative(path, self.out), sha256=digest, size=size, kind="folder"
        )

    def want(self, role: str, place: Path, name: str, may_be_lost: bool = False) -> Path | None:
        """Record an input that may be absent; see `artifacts.find_optional`."""
        path = artifacts.find_optional(place, name, may_be_lost)
        return None if path is None else self.need(role, path, name)

    def _record(self, role: str, path: Path, files_digest: str) -> None:
        if path.parent.resolve() == self.out.resolve():
            raise UsageError(f"-o {self.out}: holds {path.name}, which is an input; name another place")
        self._inputs[role] = manifest.InputRecord(
            path=manifest.relative(path, self.out), sha256=files_digest, size=path.stat().st_size
        )

    def run(self, work: Callable[[Target], Summary], preview: Preview | None = None, tracked: bool = False) -> Outcome:
        """Do the work and put the outputs in place, or say that nothing has to be done.

        Args:
            work: computes and writes.
            preview: computes without writing, for a dry run that shows what would come of it.
            tracked: whether what is measured may be followed, where `--track` asks for it.

        Raises:
            UsageError: the tracker cannot be begun.
            MismatchError: a file in the output directory was edited, and `--force` was not given.
        """
        found = manifest.read(self.out)
        if found is not None and not self.session.force and self._is_same(found):
            if not self.session.dry_run:
                Workplace(self.out, self.identity()).tidy()
            return self._unchanged(found)
        if found is not None:
            check_edits(self.out, found, self.session.force)
        if self.session.dry_run:
            return self._foreseen(found, preview)
        processes.join(self.options.get("device", "cpu"))
        if not processes.is_first():
            return self._help(work)
        started = datetime.now(UTC)
        report = LiveReport(self.session.voice, self.stage)
        for text in self._early:
            report.warn(text)
        place = Workplace(self.out, self.identity())
        with place.opened() as workplace, self._followed(workplace, report, tracked), report.shown():
            processes.wait()  # the others, for what another run left to be cleared
            target = Target(workplace, report)
            with files.explained_write(self.out):
                summary = work(target)
                self._write_manifest(target, summary, started)
            workplace.commit()
        return Outcome(self.stage, "done", self.out, summary, tuple(report.warnings))

    def _help(self, work: Callable[[Target], Summary]) -> Outcome:
        """Compute with the process that writes."""
        processes.wait()
        report = LiveReport(self.session.voice, self.stage)
        with suppress(processes.NotFirstError):
            work(Target(Workplace(self.out, self.identity()), report))
        return Outcome(self.stage, "helped", self.out)

    @contextmanager
    def _followed(self, workplace: Workplace, report: LiveReport, tracked: bool) -> Iterator[None]:
        """Let a tracker follow what is measured, where one is asked for, and say where to look."""
        asked = self.session.track
        if asked is None or not tracked:
            yield
            return
        project, out = asked.project or self._project(), self.out.resolve()
        name = out.relative_to(project).as_posix() if out.is_relative_to(project) else out.name
        command = shlex.join(self.session.command)
        notes = {"version": __version__, "command": command, "out": str(out), "identity": self.identity()}
        run = tracking.Run(workplace.token(), self.stage, name, project, self.options, notes)
        with tracking.following(asked, run, self.session.voice.warn) as report.tracker:
            self.session.voice.say(f"  followed by: {escape(report.tracker.look)}")
            yield

    def _project(self) -> Path:
        """Return the directory that holds the data set, if the output lies below it too; else that of the output."""
        out = self.out.resolve()
        holds_data = Path(os.path.normpath(out / self._inputs["samples"].path)).parent.parent
        is_project = out.is_relative_to(holds_data) and holds_data != holds_data.parent
        return holds_data if is_project else out.parent

    def _foreseen(self, found: manifest.Manifest | None, preview: Preview | None) -> Outcome:
        """Say why the stage would run and, where it can be known beforehand, what would come of it."""
        report = LiveReport(self.session.voice, self.stage)
        foreseen = {} if preview is None else preview(report)
        summary = {"reason": self._reason(found), **foreseen}
        return Outcome(self.stage, "would run", self.out, summary, tuple(report.warnings))

    def identity(self) -> str:
        """Return a digest of everything that decides the outputs."""
        inputs = {role: record.sha256 for role, record in self._inputs.items()}
        text = json.dumps(
            {"stage": self.stage, "options": self._deciding(self.options), "inputs": inputs}, sort_keys=True
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def _is_same(self, found: manifest.Manifest) -> bool:
        before = {role: record.sha256 for role, record in found.inputs.items()}
        now = {role: record.sha256 for role, record in self._inputs.items()}
        missing = [name for name in found.outputs if not (self.out / name).exists()]
        return self._deciding(found.options) == self._deciding(self.options) and before == now and not missing

    def _deciding(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Leave out the options that change how long a run takes and not what it gives.

        An option that an older version did not have is as its default: a newer version alone reruns nothing.
        """
        full = {**self._defaults, **options}
        return {name: value for name, value in full.items() if name not in self._neutral}

    def _reason(self, found: manifest.Manifest | None) -> str:
        if found is None:
            return "not done yet"
        if self.session.force:
            return "forced"
        changed = _differences(self._deciding(found.options), self._deciding(self.options))
        if changed:
            return f"other options: {listing(changed)}"
        before = {role: record.sha256 for role, record in found.inputs.items()}
        now = {role: record.sha256 for role, record in self._inputs.items()}
        changed = _differences(before, now)
        return f"changed inputs: {listing(changed)}" if changed else "an output is missing"

    def _unchanged(self, found: manifest.Manifest) -> Outcome:
        warnings = list(found.warnings)
        edited = [name for name in manifest.edited_outputs(self.out, found) if name not in FILLED_IN]
        if edited:
            warnings.append(f"{self.out}: {listing(edited)} changed after alrctl wrote it; left as it is")
        if found.version != __version__:
            warnings.append(
                f"{self.out}: was made by version {found.version}; this is {__version__} (--force runs anew)"
            )
        for text in warnings:
            self.session.voice.warn(text)
        return Outcome(self.stage, "unchanged", self.out, found.summary, tuple(warnings))

    def _write_manifest(self, target: Target, summary: Mapping[str, Any], started: datetime) -> None:
        seed = self.options.get("seed")
        manifest.write(
            manifest.Manifest(
                stage=self.stage,
                version=__version__,
                options=self.options,
                seed=seed,
                inputs=self._inputs,
                outputs=target.records(),
                device=target.device,
                command=list(self.session.command),
                started=_stamp(started),
                ended=_stamp(datetime.now(UTC)),
                summary=dict(summary),
                warnings=target.report.warnings,
            ),
            target.directory,
        )


def _defaults(config: type[BaseModel]) -> dict[str, Any]:
    """Return the options that have a default, as a manifest holds them."""
    has_default = {name for name, info in config.model_fields.items() if not info.is_required()}
    found: dict[str, Any] = json.loads(config.model_construct().model_dump_json(include=has_default))
    return found


def check_stale(path: Path, allow: bool) -> list[str]:
    """Refuse an output of a stage whose own inputs changed since; return what else is worth a warning.

    Raises:
        MismatchError: it is stale, and that is not allowed.
    """
    found = manifest.read(path.parent)
    if found is None or path.name not in found.outputs:
        return []
    changed = manifest.changed_inputs(path.parent, found, deep=True)
    if changed and not allow:
        raise MismatchError(
            f"{path.parent}: is stale: {listing(changed)} changed since; "
            f"run '{found.stage}' again, or use --allow-stale"
        )
    edited = found.outputs[path.name].sha256 != manifest.digest(path)
    return [f"{path} was changed after alrctl wrote it; it is used as it is now"] if edited else []


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
