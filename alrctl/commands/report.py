"""`alrctl report`: one self-contained HTML page about everything in a directory, or several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from alrctl import figures, files, page, plain_files
from alrctl.options import as_command
from alrctl.page import budget, classes, data, noise, provenance, relabelled, training, words
from alrctl.page.parts import Section
from alrctl.page.project import Project, projects
from alrctl.session import Outcome, Session
from schemas.errors import DataError, UsageError, plural

EXAMPLE = "alrctl report work -o work/report.html"


def report(
    session: Session,
    directory: Annotated[
        list[Path], typer.Argument(help="where artifacts lie; several are told together", metavar="DIR...")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write")] = Path("report.html"),
    figures_in: Annotated[
        Path | None, typer.Option("--figures", help="folder to write each figure to as well, as PNG and SVG")
    ] = None,
    thumbnails: Annotated[
        int, typer.Option("--thumbnails", help="images of changed labels, at most (default: 60)")
    ] = 60,
) -> Outcome:
    """Write the page."""
    if thumbnails < 0:
        raise UsageError(f"--thumbnails {thumbnails}: must not be below 0")
    plain_files.check_page(out)
    found = projects(directory)
    if not found:
        names = ", ".join(str(place) for place in directory)
        raise DataError(f"{names}: holds no finished artifact to report on")
    sections = _sections(found, thumbnails)
    title = f"alrctl report: {', '.join(one.root.name for one in found)}"
    text = page.render(title, words.summary(found), words.warnings(found), sections)
    with files.writing(out) as beside:
        beside.write_text(text, encoding="utf-8")
    drawn = 0 if figures_in is None else _write_figures(sections, figures_in)
    artifacts = sum(len(one.artifacts) for one in found)
    also = "" if figures_in is None else f"; {plural(drawn, 'figure')} in {escape(str(figures_in))}"
    session.voice.say(f"[bold]report[/] done: {escape(str(out))} ({plural(artifacts, 'artifact')}){also}")
    judged = sum(len(one.evaluations) for one in found)
    return Outcome("report", "done", out, {"artifacts": artifacts, "evaluations": judged, "figures": drawn})


def _sections(found: list[Project], thumbnails: int) -> list[Section]:
    """Return the sections in the order in which a reader asks."""
    return [
        *budget.budget(found),
        *data.data_set(found),
        *data.noise(found),
        *noise.estimates(found),
        *classes.classes(found),
        *classes.calibration(found),
        *classes.sub_groups(found),
        *classes.label_quality(found),
        *training.judgement(found),
        *relabelled.relabelled(found, thumbnails),
        *training.training(found),
        provenance.provenance(found),
        provenance.commands(found),
    ]


def _write_figures(sections: list[Section], folder: Path) -> int:
    """Write every figure of the page as PNG and SVG, and return how many."""
    drawings = [drawing for section in sections for drawing in section.drawings]
    with files.explained_write(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for drawing in drawings:
            figures.save(drawing.figure, folder / drawing.name)
    return len(drawings)


COMMAND = as_command(report, plain=True)
