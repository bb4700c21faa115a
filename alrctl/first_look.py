"""A first look at a data set: classes, groups, splits and the size of images, without decoding all of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from alrctl import sources, table_files
from alrctl.dataset import read_data
from alrctl.images import KINDS
from alrctl.sources.collection import Collection
from schemas.labels import LABELS
from schemas.samples import SAMPLES
from stages.ingest import IngestConfig

_LOOKED_AT = 64


@dataclass(frozen=True)
class FirstLook:
    """What a data set looks like.

    Attributes:
        layout: in which its files lie; `ingested` where `ingest` wrote it.
        counts: images of each class, in the order of the classes.
        train_counts: those of them that are for training, or that will be in the mean.
        groups: patients or lesions; None where nobody says.
        splits: images of each split that the data come with; empty where they come with none.
        side: median of the shorter sides of some images, pixels.
        notes: what was guessed in reading it.
    """

    layout: str
    counts: dict[str, int]
    train_counts: dict[str, int]
    groups: int | None
    splits: dict[str, int]
    side: int
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """How many images there are."""
        return sum(self.counts.values())

    @property
    def imbalance(self) -> float:
        """Images of the largest class for each one of the smallest."""
        return max(self.counts.values()) / max(1, min(self.counts.values()))


def look(source: Path, config: IngestConfig) -> FirstLook:
    """Look at a source of `ingest`, or at what it wrote.

    Raises:
        DataError: it is not there, of no known layout, or without records.
    """
    if (source / SAMPLES.file_name).is_file():
        return _at_ingested(source)
    layout, found = sources.read(source, config)
    return _told(layout, found.classes, found.records, _median_side(found), config, found.notes)


def _at_ingested(source: Path) -> FirstLook:
    data = read_data(source / SAMPLES.file_name, source / "classes.yaml")
    labels = table_files.read_columns(source / LABELS.file_name, LABELS, ["sample_id", "label"])
    records = data.samples.join(labels, on="sample_id", how="left", maintain_order="left")
    sides = records.select(side=pl.min_horizontal("width", "height"))["side"].to_list()
    return _told("ingested", data.classes.names, records, median_low(sides), IngestConfig.model_validate({}), ())


def _told(
    layout: str,
    classes: tuple[str, ...],
    records: pl.DataFrame,
    side: int,
    config: IngestConfig,
    notes: tuple[str, ...],
) -> FirstLook:
    counted = Counter(records["label"].to_list())
    splits = Counter(name for name in records["split"].to_list() if name is not None)
    mine = Counter(records.filter(split="train")["label"].to_list())
    share = 1 - config.test_share - config.val_share
    train = mine if splits else {name: round(counted[name] * share) for name in classes}
    groups = records["group_id"].drop_nulls().n_unique()
    return FirstLook(
        layout=layout,
        counts={name: counted[name] for name in classes},
        train_counts={name: train.get(name, 0) for name in classes},
        groups=groups or None,
        splits={name: splits[name] for name in ("train", "val", "test") if splits[name]},
        side=side,
        notes=notes,
    )


def _median_side(found: Collection) -> int:
    """Return the median shorter side of some images, evenly chosen; broken ones are left for `ingest` to tell of."""
    places = np.unique(np.linspace(0, found.records.height - 1, _LOOKED_AT).astype(int))
    sides = [side for place in places if (side := _side(found.image(int(place)))) is not None]
    return median_low(sides) if sides else 224


def _side(image: Any) -> int | None:
    if isinstance(image, np.ndarray):
        return int(min(image.shape[:2]))
    try:
        with Image.open(image, formats=KINDS) as opened:  # reads the header alone
            return int(min(opened.size))
    except OSError:
        return None
