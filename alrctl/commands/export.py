"""`alrctl export`: a pipeline for another engine, each of its jobs a plain `alrctl` command."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from alrctl import pipeline as pipelines
from alrctl import plain_files
from alrctl.options import as_command
from alrctl.pipeline import jobs, make, snakemake
from alrctl.pipeline.command_line import relative
from alrctl.pipeline.jobs import check_text
from alrctl.session import Outcome, Session, require
from alrctl.surface import one_of
from schemas.errors import nearest, plural

EXAMPLE = "alrctl export snakemake work/pipeline.yaml"


_RENDER = {"snakemake": snakemake.render, "make": make.render}
_NAMES = {"snakemake": "Snakefile", "make": "Makefile"}


def export(
    session: Session,
    engine: Annotated[str, typer.Argument(help="snakemake or make", metavar="ENGINE", autocompletion=one_of(_RENDER))],
    pipeline: Annotated[Path, typer.Argument(help="pipeline file", metavar="PIPELINE")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="file to write (default: Snakefile or Makefile beside PIPELINE)")
    ] = None,
) -> Outcome:
    """Write the file."""
    require(engine in _RENDER, f"ENGINE: '{engine}' is not one of {', '.join(_RENDER)}{nearest(engine, _RENDER)}")
    place = pipeline.parent / _NAMES[engine] if out is None else out
    require(not place.is_dir(), f"-o {place}: is a directory; name the file to write")
    read = pipelines.load(pipeline)
    found = jobs.jobs(read, pipelines.plan(read), place.parent)
    written = relative(place, place.parent)
    command = shlex.join(["alrctl", "export", engine, relative(pipeline, place.parent), "-o", written])
    require(not {"\n", "\r"} & set(command), f"{command!r}: a comment takes no line break; choose other names")
    text = _RENDER[engine](found, place.name, command)
    check_text(text)
    status = plain_files.write(place, text, session, "# Written by: alrctl export")
    session.voice.say(f"[bold]export[/] {status}: {escape(str(place))} ({plural(len(found), 'job')})")
    return Outcome("export", status, place, {"jobs": len(found), "engine": engine})


COMMAND = as_command(export)
