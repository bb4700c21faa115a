"""Ingest: which samples are in, under which label, in which split.

Groups stay together and classes in proportion; what crosses a split that the data came with is found and told.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.classes import check_enough
from schemas.errors import DataError, plural
from schemas.samples import SPLITS
from stages.methods.randomness import numpy_generator
from stages.methods.splitting import hold_out, long_tail, units
from stages.report import NEUTRAL

Fit = Literal["stretch", "crop", "pad"]


class IngestConfig(BaseModel):
    """Options of `ingest`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[
        "auto",
        "folder",
        "csv",
        "npz",
        "hdf5",
        "ham10000",
        "isic",
        "drd",
        "kvasir",
        "imbalanced_histopathology",
        "medmnist",
    ] = Field("auto", description="layout of the source")
    image_size: int = Field(224, ge=8, le=4096, description="pixels a side of the decoded images")
    fit: Fit = Field("stretch", description="how an image that is not square is made so")
    val_share: float = Field(
        0.1,
        gt=0,
        lt=0.5,
        description="of the samples outside a given test split, where the data has no val split",
    )
    test_share: float = Field(0.2, gt=0, lt=0.5, description="of the samples, where the data has no test split")
    imbalance_ratio: float | None = Field(
        None, ge=1, description="make the train split long-tailed: largest to smallest class"
    )
    merge_class: tuple[str, ...] = Field(
        (),
        description="THEIRS=OURS: take a class under another name, or several under one (may be repeated)",
    )
    keep_class: tuple[str, ...] = Field((), description="take this class and no other (may be repeated; after merging)")
    exclude_class: tuple[str, ...] = Field((), description="leave out a class (may be repeated; after merging)")
    skip_broken: bool = Field(False, description="leave out images that cannot be read or are listed and not there")
    allow_leaks: bool = Field(False, description="go on though a group or a duplicate crosses the given splits")
    ordered: bool | None = Field(
        None, description="the classes are grades of one scale; unless given, as the layout has it"
    )
    path_column: str | None = Field(None, description="of a CSV: path of the image")
    label_column: str | None = Field(None, description="of a CSV: label")
    split_column: str | None = Field(None, description="of a CSV: split")
    group_column: str | None = Field(None, description="of a CSV: patient or lesion")
    id_column: str | None = Field(None, description="of a CSV: name of the sample")
    root: str | None = Field(None, description="of a CSV: folder its paths are relative to (default: its own)")
    workers: int = Field(0, ge=0, description="processes that decode; 0 for one a core", json_schema_extra=NEUTRAL)
    seed: int = Field(0, ge=0, description="of the split")

    @field_validator("merge_class")
    @classmethod
    def _two_names_each(cls, pairs: tuple[str, ...]) -> tuple[str, ...]:
        parts = [[part.strip() for part in pair.split("=", 1)] for pair in pairs]
        if any(len(names) < 2 or not all(names) for names in parts):
            raise ValueError("is not THEIRS=OURS, a class of the source and its new name")
        twice = [name for name, count in Counter(names[0] for names in parts).items() if count > 1]
        if twice:
            raise ValueError(f"gives the class '{twice[0]}' two names")
        return tuple("=".join(names) for names in parts)

    @model_validator(mode="after")
    def _one_way_to_choose(self) -> IngestConfig:
        if self.keep_class and self.exclude_class:
            raise ValueError(
                "keep-class and exclude-class contradict each other; say which classes to keep, or which not"
            )
        return self

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> IngestConfig:
        if self.val_share + self.test_share > 0.8:
            raise ValueError("val-share and test-share together leave less than a fifth to train on")
        return self

    @property
    def new_names(self) -> dict[str, str]:
        """The new name of each class that gets one."""
        return dict(pair.split("=", 1) for pair in self.merge_class)


@dataclass(frozen=True)
class IngestInputs:
    """The records of a source.

    Attributes:
        records: sample_id, label, split (null if not given), group_id (null if unknown), source; a row a sample.
        digests: (N,) hash of each sample's content, in the order of `records`.
        classes: names in order.
    """

    records: pl.DataFrame
    digests: list[str]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class IngestOutputs:
    """The samples that are in.

    Attributes:
        records: as given, each with a split, in the order given.
        rows: (M,) their rows in the input.
        facts: what a person should know.
        warnings: what a person must know.
    """

    records: pl.DataFrame
    rows: list[int]
    facts: dict[str, Any]
    warnings: list[str]


def run(config: IngestConfig, inputs: IngestInputs) -> IngestOutputs:
    """Assign splits and find leaks.

    Raises:
        DataError: a class too small to be split, or a leak across given splits.
    """
    records = inputs.records.with_row_index("row")
    labels = np.array([inputs.classes.index(label) for label in records["label"]], dtype=np.int64)
    unit = units(records["group_id"].to_list(), inputs.digests)
    records = records.with_columns(split=pl.Series(_splits(config, inputs.classes, records, labels, unit)))
    facts, warnings = _leaks(config, records, inputs.digests)
    if config.imbalance_ratio is not None:
        records = _make_long_tailed(config, records, labels)
        warnings += _short_of(config.imbalance_ratio, _counts(records.filter(split="train"), inputs.classes))
    check_enough(_counts(records.filter(split="train"), inputs.classes), 1, "the train split")
    facts = {"samples": records.height, "classes": len(inputs.classes)} | facts
    facts["by_split"] = {split: _counts(records.filter(split=split), inputs.classes) for split in SPLITS}
    warnings += absent(facts["by_split"])
    return IngestOutputs(records.drop("row"), records["row"].to_list(), facts, warnings)


def absent(by_split: dict[str, dict[str, int]]) -> list[str]:
    """Return a warning for each split, beside train, in which a class has no sample.

    Args:
        by_split: samples of each class, by split.
    """
    found = {split: [name for name, count in by_split[split].items() if count == 0] for split in SPLITS[1:]}
    return [
        f"the {split} split has no sample of {', '.join(names)}: no figure for it there"
        for split, names in found.items()
        if names
    ]


def _counts(records: pl.DataFrame, classes: tuple[str, ...]) -> dict[str, int]:
    found = dict(records["label"].value_counts().iter_rows())
    return {name: int(found.get(name, 0)) for name in classes}


def _splits(
    config: IngestConfig,
    classes: tuple[str, ...],
    records: pl.DataFrame,
    labels: np.ndarray[Any, np.dtype[np.int64]],
    unit: np.ndarray[Any, np.dtype[np.int64]],
) -> list[str]:
    """Return the split of each sample: as given, and made from train where val or test is not given."""
    split = np.array([value or "train" for value in records["split"].to_list()], dtype=object)
    missing = [name for name in ("test", "val") if not (split == name).any()]
    if missing:
        train = split == "train"
        singles = {name: len(np.unique(unit[train & (labels == index)])) for index, name in enumerate(classes)}
        check_enough(singles, len(missing) + 1, "a split that keeps groups and duplicates together")
    for number, name in enumerate(missing):
        rows = np.flatnonzero(split == "train")
        share = config.test_share if name == "test" else config.val_share
        share = share / (1 - config.test_share) if name == "val" and "test" in missing else share
        split[rows[hold_out(labels[rows], unit[rows], share, config.seed + number)]] = name
    return [str(name) for name in split]


def _leaks(config: IngestConfig, records: pl.DataFrame, digests: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Count groups and duplicates, and refuse what crosses a split unless told to go on."""
    told = records.with_columns(digest=pl.Series(digests))
    duplicates = told.group_by("digest", maintain_order=True).agg(
        pl.len().alias("copies"), pl.col("split").n_unique(), pl.col("label").n_unique(), pl.col("sample_id").first()
    )
    duplicates = duplicates.filter(pl.col("copies") > 1)
    groups = told.drop_nulls("group_id").group_by("group_id", maintain_order=True).agg(pl.col("split").n_unique())
    facts = {
        "groups": groups.height or None,
        "exact_duplicates": int((duplicates["copies"] - 1).sum()),
        "duplicates_across_splits": duplicates.filter(pl.col("split") > 1).height,
        "duplicates_with_two_labels": duplicates.filter(pl.col("label") > 1).height,
        "groups_across_splits": groups.filter(pl.col("split") > 1).height,
    }
    problems = []
    if facts["duplicates_across_splits"]:
        example = duplicates.filter(pl.col("split") > 1)["sample_id"][0]
        count = plural(int(facts["duplicates_across_splits"]), "image")
        problems.append(f"{count} stand in two of the given splits, pixel for pixel (first: '{example}')")
    if facts["groups_across_splits"]:
        example = groups.filter(pl.col("split") > 1)["group_id"][0]
        count = plural(int(facts["groups_across_splits"]), "group")
        problems.append(f"{count} (patients or lesions) have images in two of the given splits (first: '{example}')")
    if problems and not config.allow_leaks:
        raise DataError(f"{'; '.join(problems)}: figures on test would flatter; mend the splits, or use --allow-leaks")
    return facts, problems


def _short_of(ratio: float, counts: dict[str, int]) -> list[str]:
    """Say where the ratio asked for was not to be had: a class has less than its share, or that is less than one."""
    name, least = min(counts.items(), key=lambda item: item[1])
    most = max(counts.values())
    wanted = most / ratio
    if least == 0 or 0.5 < wanted < least + 1:
        return []
    why = f"class '{name}' has no more than {plural(least, 'image')}" if wanted > least else "a class keeps one image"
    return [f"the train split is {most / least:.3g} to 1, largest to smallest class, and not {ratio:g}: {why}"]


def _make_long_tailed(
    config: IngestConfig, records: pl.DataFrame, labels: np.ndarray[Any, np.dtype[np.int64]]
) -> pl.DataFrame:
    train = (records["split"] == "train").to_numpy()
    keep = ~train
    generator = numpy_generator(config.seed, "long tail")
    keep[np.flatnonzero(train)] = long_tail(labels[train], config.imbalance_ratio or 1, generator)
    return records.filter(pl.Series(keep))
