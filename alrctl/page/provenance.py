"""Where everything came from: each artifact with version, seed, options and digests, and the commands as typed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from alrctl.page.parts import Code, Section, Table
from alrctl.page.project import Project
from schemas.errors import DataError

_SHOWN = 12  # digits of a digest
_LONGEST = 100_000


def provenance(projects: Sequence[Project]) -> Section:
    """Return the section with every artifact, in the order in which it was finished."""
    rows, options = [], []
    for project in projects:
        for one in project.artifacts:
            told = one.manifest
            outputs = "\n".join(f"{name} {record.sha256[:_SHOWN]}" for name, record in told.outputs.items())
            seed = "-" if told.seed is None else str(told.seed)
            ended = told.ended[:19].replace("T", " ")
            rows.append([project.place(one), told.stage, told.version, seed, told.device, ended, outputs])
            options.append(f"{project.place(one)}: {json.dumps(told.options, ensure_ascii=False)}")
    header = ["place", "stage", "version", "seed", "device", "finished (UTC)", "outputs, SHA-256"]
    return Section(
        "Provenance",
        ["Every artifact, in the order in which it was finished. The whole digests are in each manifest.json."],
        tables=[Table(header, rows, "artifacts", folded=True)],
        code=[Code("every option's resolved value", options)],
    )


def commands(projects: Sequence[Project]) -> Section:
    """Return the section with the commands as they were typed, and the pipeline files that they name."""
    typed: dict[str, None] = {}
    pipelines: dict[Path, None] = {}
    for project in projects:
        for one in project.artifacts:
            words = one.manifest.command
            if words:
                typed[shlex.join(words)] = None
            for word in words[2:] if words[1:2] == ["run"] else []:
                place = next((at for at in (Path(word), project.root / Path(word).name) if _is_text(at)), None)
                if place is not None:
                    pipelines[place] = None
    code = [Code("as typed", list(typed))]
    code += [Code(f"{path.name}, as it is now", path.read_text(encoding="utf-8").splitlines()) for path in pipelines]
    return Section("Commands", ["These commands make everything again."], code=code)


def _is_text(path: Path) -> bool:
    try:
        return path.suffix in {".yaml", ".yml"} and path.is_file() and path.stat().st_size < _LONGEST
    except OSError as error:
        raise DataError(f"{path}: {error}") from error
