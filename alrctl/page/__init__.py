"""The report page: one self-contained HTML file, made of sections that each look at one side of a project."""

from __future__ import annotations

from collections.abc import Sequence

import jinja2
from markupsafe import Markup

from alrctl import figures
from alrctl.page.parts import Drawing, Section


def render(title: str, summary: Sequence[str], warnings: Sequence[str], sections: Sequence[Section]) -> str:
    """Return the page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("alrctl"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["svg"] = _svg
    style = Markup(environment.loader.get_source(environment, "report.css")[0])  # type: ignore[union-attr]
    return environment.get_template("report.html.j2").render(
        title=title, summary=summary, warnings=warnings, sections=sections, style=style
    )


def _svg(drawing: Drawing) -> Markup:
    """Return a drawing's SVG: matplotlib escapes whatever texts are in it."""
    return Markup(figures.as_svg(drawing.figure, drawing.name))
