"""`alrctl report`: one self-contained HTML page about everything in a directory."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import jinja2
import typer
from rich.markup import escape

from alrctl import figures, files
from alrctl.console import cell
from alrctl.job import Outcome, Session
from alrctl.options import as_command
from alrctl.project import Artifact, Evaluation, evaluations, scan
from schemas.errors import DataError, plural
from schemas.judgement import JUDGEMENT

EXAMPLE = "alrctl report work -o work/report.html"


@dataclass(frozen=True)
class Table:
    """A table of the page."""

    header: list[str]
    rows: list[list[str]]
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A section of the page: words, a figure, tables."""

    title: str
    text: str = ""
    svg: str = ""
    caption: str = ""
    tables: list[Table] = field(default_factory=list)


def report(
    session: Session,
    directory: Annotated[Path, typer.Argument(help="where artifacts lie", metavar="DIR")],
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write")] = Path("report.html"),
) -> Outcome:
    """Write the page."""
    artifacts = scan(directory) if directory.is_dir() else []
    if not artifacts:
        raise DataError(f"{directory}: holds no finished artifact to report on")
    judged = evaluations(directory)
    sections = [*_data(artifacts), *_noise(artifacts), *_budget(judged), *_classes(judged)]
    sections += [*_judgement(judged), *_labels(artifacts)]
    environment = jinja2.Environment(loader=jinja2.PackageLoader("alrctl"), autoescape=True, trim_blocks=True)
    page = environment.get_template("report.html.j2").render(
        title=f"alrctl report: {directory.resolve().name}",
        summary=_in_words(artifacts, judged),
        warnings=list(dict.fromkeys(text for one in artifacts for text in one.manifest.warnings)),
        sections=sections,
        provenance=[_provenance(one, directory) for one in artifacts],
        commands=list(dict.fromkeys(shlex.join(one.manifest.command) for one in artifacts if one.manifest.command)),
    )
    with files.writing(out) as beside:
        beside.write_text(page, encoding="utf-8")
    session.voice.say(f"[bold]report[/] done: {escape(str(out))} ({plural(len(artifacts), 'artifact')})")
    return Outcome("report", "done", out, {"artifacts": len(artifacts), "evaluations": len(judged)})


def _of_stage(artifacts: list[Artifact], stage: str) -> list[Artifact]:
    return [one for one in artifacts if one.manifest.stage == stage]


def _in_words(artifacts: list[Artifact], judged: list[Evaluation]) -> list[str]:
    """Return the main findings, in plain words."""
    lines = []
    for one in _of_stage(artifacts, "ingest"):
        told = one.manifest.summary
        groups = f", {told['groups']:,} groups" if told["groups"] else ""
        lines.append(f"The data set has {told['samples']:,} images of {told['classes']} classes{groups}.")
    for branch in dict.fromkeys(one.branch for one in judged):
        rounds = [one for one in judged if one.branch == branch]
        first, last = rounds[0], rounds[-1]
        if last.bought > first.bought:
            name = f"With {branch}: after" if branch else "After"
            lines.append(
                f"{name} {last.bought - first.bought} labels were bought, balanced accuracy on the "
                f"{last.summary['split']} split went from {_with_interval(first)} to {_with_interval(last)}."
            )
    return lines


def _with_interval(one: Evaluation) -> str:
    metric = one.summary["metrics"]["balanced_accuracy"]
    if metric["low"] is None:
        return cell(metric["value"])
    return f"{metric['value']:.3f} (95 % interval {metric['low']:.3f} to {metric['high']:.3f})"


def _data(artifacts: list[Artifact]) -> list[Section]:
    sections = []
    for one in _of_stage(artifacts, "ingest"):
        splits = one.manifest.summary["by_split"]
        rows = [[name, *(cell(counts[name]) for counts in splits.values())] for name in next(iter(splits.values()))]
        sections.append(Section("Data set", tables=[Table(["class", *splits], rows, "images by class and split")]))
    return sections


def _noise(artifacts: list[Artifact]) -> list[Section]:
    sections = []
    for one in _of_stage(artifacts, "corrupt"):
        told = one.manifest.summary
        rows = [[name, cell(rate)] for name, rate in told["realised_rate_by_class"].items()]
        text = f"Labels were made wrong on purpose: {told['realised_rate']:.1%} of those touched."
        sections.append(Section("Noise", text, tables=[Table(["class", "share made wrong"], rows)]))
    return sections


def _budget(judged: list[Evaluation]) -> list[Section]:
    """Return the budget curve, and the figures behind it."""
    if not judged:
        return []
    lines: dict[str, list[tuple[float, float]]] = {}
    for one in judged:
        value = one.metric("balanced_accuracy")
        if value is not None:
            lines.setdefault(one.branch, []).append((one.bought, value))
    names = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auroc", "mcc")
    header = ["branch", "labels bought", "label accuracy", *(name.replace("_", " ") for name in names)]
    rows = [
        [one.branch or "-", cell(one.bought), cell(one.label_accuracy()), *(cell(one.metric(name)) for name in names)]
        for one in judged
    ]
    svg = figures.as_svg(figures.curves(lines, "labels bought", "balanced accuracy")) if lines else ""
    split = judged[-1].summary["split"]
    return [
        Section("What the labels bought", "", svg, f"balanced accuracy on the {split} split", [Table(header, rows)])
    ]


def _classes(judged: list[Evaluation]) -> list[Section]:
    """Return the classes of the last evaluation of each branch."""
    tables = []
    for branch in dict.fromkeys(one.branch for one in judged):
        last = [one for one in judged if one.branch == branch][-1]
        table = last.summary["by_class"]
        shown = [name for name in table if any(value is not None for value in table[name])]
        rows = [[cell(table[name][row]) for name in shown] for row in range(len(table["label"]))]
        caption = f"{branch or 'last evaluation'}, {last.bought} labels bought"
        tables.append(Table([name.replace("_", " ") for name in shown], rows, caption))
    return [Section("Class by class", tables=tables)] if tables else []


def _judgement(judged: list[Evaluation]) -> list[Section]:
    """Return how good phase 1's judgement was, epoch by epoch, where the truth was given."""
    for one in judged:
        path = one.artifact.path / JUDGEMENT.file_name
        if path.is_file():
            svg = figures.as_svg(figures.judgement(files.read_table(path, JUDGEMENT)))
            text = (
                "By the truth, which no training saw: of the labels judged clean how many are right, "
                "and of the right ones how many were judged clean."
            )
            return [Section("What phase 1 judged clean", text, svg, "by epoch; black is all classes together")]
    return []


def _labels(artifacts: list[Artifact]) -> list[Section]:
    """Return what was relabelled, by round."""
    rows: list[list[str]] = []
    for one in _of_stage(artifacts, "relabel"):
        told: dict[str, Any] = one.manifest.summary
        names = ("round", "answers", "relabelled", "changed", "confirmed", "in_conflict", "cost", "cost_so_far")
        rows.append([one.path.parent.as_posix(), *(cell(told[name]) for name in names)])
    header = ["place", "round", "answers", "relabelled", "changed", "confirmed", "in conflict", "cost", "cost so far"]
    return [Section("Relabelling", tables=[Table(header, rows)])] if rows else []


def _provenance(one: Artifact, root: Path) -> list[Any]:
    told = one.manifest
    outputs = [(name, record.sha256) for name, record in told.outputs.items()]
    seed = "-" if told.seed is None else str(told.seed)
    place = one.path.relative_to(root).as_posix()
    return [place, told.stage, told.version, seed, told.device, told.ended[:19].replace("T", " "), outputs]


COMMAND = as_command(report, plain=True)
