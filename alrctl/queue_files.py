"""The files of a queue: where it was drawn, and those for people: the CSV to fill in, and what other tools take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from alrctl import annotators, artifacts, manifest
from alrctl.pictures import Pictures
from alrctl.target import Target
from stages.methods.showing import Showing

TO_FILL_IN = "column 'label' of queue.csv, then `alrctl relabel ... --answers`"
_TOLD = ("given_label", "suggested_label", "reason")


def as_drawn(queue: Path) -> Path:
    """Return the queue that was shared out among annotators, where this one is their copy of it; else this one."""
    made = manifest.read(queue.parent)
    shared = artifacts.recorded_input(queue, "queue") if made is not None and made.stage == "packets" else None
    return shared or queue


def write(
    target: Target,
    queue: pl.DataFrame,
    pictures: Pictures,
    classes: Sequence[str],
    showing: Showing,
    suggest: bool = False,
    blind: bool = False,
) -> None:
    """Write them.

    Args:
        target: of the stage.
        queue: in rank order.
        pictures: where the images are.
        classes: names in order.
        showing: how the images are shown.
        suggest: whether Label Studio shows the suggested label as chosen.
        blind: whether the annotator is told neither label nor reason; there is no contact sheet then.
    """
    found = pictures.of(queue["sample_id"].to_list())
    empty = {name: pl.lit(None, pl.String) for name in ("label", "annotator", "comment")}
    image = pl.Series("image", [picture.name for picture in found], dtype=pl.String)
    order = ["rank", "sample_id", "image", "given_label", "suggested_label", *empty, "reason"]
    kept = [name for name in order if not (blind and name in _TOLD)]
    target.csv(queue.with_columns(image, **empty).select(kept), "queue.csv")
    annotators.write(target.directory, queue, found, classes, showing.image_prefix, suggest, blind)
