"""What was relabelled: by round, from which class to which, and some of the images."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import polars as pl
from PIL import Image

from alrctl import ledgers, table_files
from alrctl.annotators import Picture
from alrctl.artifacts import recorded_input
from alrctl.console import cell
from alrctl.page.parts import Change, Gallery, Section, Table
from alrctl.page.project import Project
from alrctl.pictures import Pictures
from alrctl.project import Artifact
from schemas.ledger import LEDGER
from schemas.samples import SAMPLES

_SIDE = 112
_QUALITY = 80


def relabelled(projects: Sequence[Project], thumbnails: int) -> list[Section]:
    """Return the section on all rounds, with at most so many images in all."""
    rows: list[list[str]] = []
    galleries: list[Gallery] = []
    tables: list[Table] = []
    lasts = [(project, one) for project in projects for one in _last_rounds(project)]
    for project in projects:
        rows += [_round(project.place(one), one.manifest.summary) for one in project.of_stage("relabel")]
    for project, one in lasts:
        changed = _changed(one)
        name = project.place(one)
        if changed.height:
            tables.append(_moves(changed, name))
            galleries.append(_gallery(project, changed, name, thumbnails // len(lasts)))
    header = ["place", "round", "answers", "relabelled", "changed", "confirmed", "in conflict", "cost", "cost so far"]
    if not rows:
        return []
    first = Table(header, rows, "by round")
    return [
        Section("What was relabelled", tables=[first, *tables], galleries=[one for one in galleries if one.changes])
    ]


def _round(place: str, told: dict[str, Any]) -> list[str]:
    names = ("round", "answers", "relabelled", "changed", "confirmed", "in_conflict", "cost", "cost_so_far")
    return [place, *(f"{value:g}" if isinstance(value := told[name], float) else cell(value) for name in names)]


def _last_rounds(project: Project) -> list[Artifact]:
    """Return the relabellings, and what took answers back, that nothing of the kind goes on from."""
    rounds = [*project.of_stage("relabel"), *project.of_stage("undo")]
    continued = {source.resolve() for one in rounds if (source := one.input_directory("labels")) is not None}
    return [one for one in rounds if one.path.resolve() not in continued]


def _changed(one: Artifact) -> pl.DataFrame:
    """Return the samples that bear another label now than at first, those of the rarest moves first.

    Columns sample_id, before, after, annotator, round.
    """
    path = ledgers.beside(one.path)
    if path is None:
        return pl.DataFrame()
    setting = table_files.read_table(path, LEDGER).filter(pl.col("kind").is_in(["decision", "reversal"]))
    found = setting.group_by("sample_id", maintain_order=True).agg(
        pl.col("label_before").first().alias("before"),
        pl.col("label_after").last().alias("after"),
        pl.col("annotator").last(),
        pl.col("round").last(),
    )
    moved = found.filter(pl.col("before") != pl.col("after"))
    return moved.with_columns(pl.len().over("before", "after").alias("alike")).sort("alike", "before", "after")


def _moves(changed: pl.DataFrame, name: str) -> Table:
    moves = changed.group_by("before", "after").len().sort("len", "before", "after", descending=[True, False, False])
    rows = [[before, after, cell(count)] for before, after, count in moves.iter_rows()]
    return Table(["from", "to", "labels"], rows, f"{name}: labels changed, from and to", folded=True)


def _gallery(project: Project, changed: pl.DataFrame, name: str, most: int) -> Gallery:
    """Return images of changed samples, every kind of change in turn."""
    turn = changed.with_columns(pl.int_range(pl.len()).over("before", "after").alias("turn"))
    shown = turn.sort("turn", "alike", "before", "after", maintain_order=True).head(most)
    pictures = _pictures(project)
    found = [] if pictures is None else pictures.of(shown["sample_id"].to_list())
    changes = []
    for picture, row in zip(found, shown.iter_rows(named=True), strict=False):
        image = _thumbnail(picture)
        if image is not None:
            who = f"round {row['round']}" + (f", {row['annotator']}" if row["annotator"] else "")
            changes.append(Change(image, row["sample_id"], row["before"], row["after"], who))
    some = f"{len(changes):,} of {changed.height:,}" if len(changes) < changed.height else f"all {len(changes):,}"
    return Gallery(f"{name}: {some} changed labels, each kind of change in turn", changes)


def _pictures(project: Project) -> Pictures | None:
    """Return the ingested images of the project's data set, wherever it is recorded."""
    for one in project.artifacts:
        for role in ("samples", "images"):
            place = recorded_input(one.path, role)
            if place is not None:
                pack = place.parent / "images.safetensors"
                return Pictures(place.parent / SAMPLES.file_name, pack if pack.is_file() else None, ())
    return None


def _thumbnail(picture: Picture) -> str | None:
    """Return an image as a data address; None where there is none."""
    if picture.pixels is None:
        return None
    image = Image.fromarray(picture.pixels)
    if max(image.size) > _SIDE:
        image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
