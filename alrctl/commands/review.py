"""`alrctl review`: one self-contained HTML page in which an expert labels the queue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.markup import escape

from alrctl import artifacts, files, manifest, plain_files, table_files
from alrctl import review as page
from alrctl.annotators import Picture
from alrctl.console import LiveReport
from alrctl.dataset import CLASSES, place_of_classes, read_classes
from alrctl.job import check_stale
from alrctl.options import as_command
from alrctl.pictures import find_pictures
from alrctl.review import ReviewConfig
from alrctl.session import Outcome, Session
from schemas.classes import Classes
from schemas.errors import DataError, NothingToDoError, listing, plural
from schemas.queue import QUEUE

EXAMPLE = "alrctl review work/r1/queue --annotator anna -o work/r1/review.html"


def review(
    session: Session,
    config: ReviewConfig,
    queue: Annotated[Path, typer.Argument(help="queue: the directory of `select`, or a file", metavar="QUEUE")],
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write")] = Path("review.html"),
    data: Annotated[Path, typer.Option("--data", help="the data set, where it is not recorded with the queue")]
    | None = None,
) -> Outcome:
    """Write the page."""
    plain_files.check_page(out)
    place = artifacts.find(queue, QUEUE.file_name)
    table = _read_queue(place)
    classes = read_classes(artifacts.find(place_of_classes(place, data), CLASSES))
    pictures = find_pictures(place, data)
    found = pictures.of(table["sample_id"].to_list())
    report = LiveReport(session.voice, "review")
    for text in check_stale(place, allow=True):
        report.warn(text)
    _check_seen(place, table, found, report)
    if config.blind:
        _warn_of_names(table, classes, report)
    data_set = "" if pictures.samples is None else manifest.digest(pictures.samples)
    told = page.document(table, [picture.seen for picture in found], classes.names, config, data_set)
    with files.writing(out) as beside, report.shown():
        page.write(beside, told, _encoded(found, config.image_size, report))
    size = out.stat().st_size
    images = plural(sum(picture.seen for picture in found), "image")
    session.voice.say(f"[bold]review[/] done: {escape(str(out))} ({images}, {size / 1e6:.1f} MB)")
    session.voice.say("open it in a browser; `alrctl relabel ... --answers` takes the CSV that it gives")
    summary = {"samples": table.height, "images": sum(picture.seen for picture in found), "bytes": size}
    return Outcome("review", "done", out, summary, tuple(report.warnings))


def _read_queue(path: Path) -> pl.DataFrame:
    """Return the queue, best first.

    Raises:
        NothingToDoError: it is empty.
    """
    queue = table_files.read_table(path, QUEUE).sort("rank")
    if queue.is_empty():
        raise NothingToDoError(f"{path}: is empty; there is nothing to label")
    return queue


def _check_seen(path: Path, queue: pl.DataFrame, pictures: list[Picture], report: LiveReport) -> None:
    """Say which samples have no image.

    Raises:
        DataError: none has one.
    """
    rows = zip(queue["sample_id"], pictures, strict=True)
    without = [sample_id for sample_id, picture in rows if not picture.seen]
    if len(without) == queue.height:
        count = plural(queue.height, "sample")
        raise DataError(f"{path}: no image found of any of its {count}; name their data set with --data DIR")
    if without:
        report.warn(f"{plural(len(without), 'sample')} without an image: the page says so ({listing(without, 3)})")


def _warn_of_names(queue: pl.DataFrame, classes: Classes, report: LiveReport) -> None:
    """Say so where the ids, which the answers need, tell a class: the page does not show them, but holds them."""
    names = "|".join(re.escape(name) for name in classes.names if not name.isdigit())
    word = re.compile(rf"(?<![^\W\d_])(?:{names})(?![^\W\d_])", re.IGNORECASE)
    telling = [one for one in queue["sample_id"] if names and word.search(one)]
    if telling:
        report.warn(
            f"{plural(len(telling), 'sample id')} with the name of a class in it (first: '{telling[0]}'); "
            "the page does not show ids, but they are in its text, and in the answers"
        )


def _encoded(pictures: list[Picture], longest: int, report: LiveReport) -> Iterator[str | None]:
    for number, picture in enumerate(pictures, 1):
        yield page.encoded(picture, longest)
        report.progress(number, len(pictures), unit="images")


COMMAND = as_command(review, ReviewConfig, plain=True)
