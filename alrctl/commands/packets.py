"""`alrctl packets`: a queue shared out among several annotators, blind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from alrctl import annotators, files, table_files
from alrctl import review as page
from alrctl.annotators import Picture
from alrctl.console import cell
from alrctl.dataset import CLASSES, place_of_classes, read_classes
from alrctl.job import Job
from alrctl.naming import file_stem
from alrctl.options import as_command
from alrctl.parameters import Out
from alrctl.pictures import need_pictures
from alrctl.review import ReviewConfig
from alrctl.session import Outcome, Session, Summary
from alrctl.summary import tell
from alrctl.target import Target
from schemas.packets import PACKETS
from schemas.queue import QUEUE
from stages import packets as stage

EXAMPLE = "alrctl packets work/r1/queue --annotators ann --annotators bob -o work/r1/packets"


def packets(
    session: Session,
    config: stage.PacketsConfig,
    queue: Annotated[Path, typer.Argument(help="queue: the directory of `select`, or a file", metavar="QUEUE")],
    out: Out,
    data: Annotated[Path, typer.Option("--data", help="the data set, where it is not recorded with the queue")]
    | None = None,
) -> Outcome:
    """Share a queue out."""
    job = Job(session, "packets", out, config)
    place = job.need("queue", queue, QUEUE.file_name)
    classes_path = job.need("classes", place_of_classes(place, data), CLASSES)
    pictures = need_pictures(job, place, data, "original")

    def work(target: Target) -> Summary:
        asked = table_files.read_table(place, QUEUE).sort("rank")
        classes = read_classes(classes_path).names
        outputs = stage.run(config, asked)
        target.table(asked, QUEUE)
        target.table(outputs.packets, PACKETS)
        found = dict(zip(asked["sample_id"], pictures.of(asked["sample_id"].to_list()), strict=True))
        (target.directory / "labelling_config.xml").write_bytes(annotators.labelling_config(classes).encode())
        for number, name in enumerate(config.annotators, 1):
            own = outputs.packets.filter(annotator=name).sort("position")
            seen = [_blind(code, found[sample]) for code, sample in own.select("code", "sample_id").iter_rows()]
            _write(target, f"{number}-{file_stem(name)}", name, own, seen, classes)
            target.report.progress(number, len(config.annotators), unit="packets")
        return outputs.facts

    return tell(session, job.run(work), _story)


def _story(session: Session, summary: Summary) -> None:
    rows = [[name, cell(count)] for name, count in summary["by_annotator"].items()]
    session.voice.table("", ["annotator", "samples to label"], rows)


def _blind(code: str, picture: Picture) -> Picture:
    """Return a picture that goes by a code: what it was called may tell its label."""
    return Picture(code, picture.pixels, picture.file)


def _write(
    target: Target, stem: str, name: str, own: pl.DataFrame, pictures: Sequence[Picture], classes: Sequence[str]
) -> None:
    """Write one annotator's packet: a page, a CSV to fill in, and what Label Studio and CVAT take."""
    codes = own.select(position="position", sample_id="code")
    empty = {"label": pl.lit(None, pl.String), "annotator": pl.lit(name), "comment": pl.lit(None, pl.String)}
    target.csv(codes.with_columns(**empty), f"{stem}.csv")
    if not any(picture.seen for picture in pictures):
        return
    config = ReviewConfig.model_validate({"blind": True, "annotator": name})
    told: dict[str, Any] = page.document(codes, [picture.seen for picture in pictures], classes, config)
    page.write(target.path(f"{stem}.html"), told, (page.encoded(picture, config.image_size) for picture in pictures))
    files.write_json(annotators.tasks(codes, pictures, shown=("sample_id",)), target.path(f"{stem}.tasks.json"))
    names = [f"{picture.name}{annotators.suffix(picture)}" if picture.seen else None for picture in pictures]
    annotators.archive(target.path(f"{stem}.images.zip"), pictures, names)


COMMAND = as_command(packets, stage.PacketsConfig)
