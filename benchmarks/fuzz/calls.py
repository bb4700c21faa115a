"""What the program does with a file of each kind, as far as it reads it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from torch import Tensor

from alrctl import (
    answers,
    checkpoints,
    foreign_predictions,
    manifest,
    matrices,
    metadata,
    noise_features,
    option_values,
    pipeline,
    sources,
    table_files,
    weights,
)
from alrctl.answers.bundle import open_bundle
from alrctl.commands import select
from alrctl.dataset import DataSet, read_classes
from alrctl.embeddings import read_embeddings
from alrctl.image_pack import open_pack
from alrctl.images import decode, reduced
from alrctl.pipeline import jobs, make, snakemake
from alrctl.tracking import scalars
from schemas.classes import Classes
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.samples import SAMPLES
from schemas.tables import TABLES
from stages.ingest import IngestConfig
from stages.methods import answer_reading
from stages.methods.answer_reading import Reading, Told
from stages.methods.class_reading import read_map
from stages.methods.sample_names import Names
from stages.report import SilentReport

CLASSES = Classes(names=("melanoma", "naevus", "other"))
IDS = tuple(f"a/{number:03d}.png" for number in range(6))
BACKBONE = "test_resnet"
SIDE = 16


@cache
def data_set() -> DataSet:
    """Six samples of a data set."""
    columns = {
        "sample_id": IDS,
        "split": ["train"] * 4 + ["test"] * 2,
        "source": IDS,
        "width": [8] * 6,
        "height": [8] * 6,
    }
    return DataSet(SAMPLES.make(columns), CLASSES, Path("samples.parquet"))


@cache
def labels() -> pl.DataFrame:
    return LABELS.make({"sample_id": IDS, "label": ["other"] * len(IDS)})


def ingest(path: Path) -> None:
    """List the images of a source, and decode them."""
    _, found = sources.read(path, IngestConfig(skip_broken=True))
    for row in range(min(found.records.height, 12)):
        found.digest(row)
        decode(found.image(row), 8, "pad")
    SAMPLES.part(["sample_id", "group_id", "source"]).check(
        found.records.select("sample_id", "group_id", "source"), str(path)
    )


def ingest_tree(path: Path) -> None:
    """List the images of the folder that a table lies in."""
    ingest(path.parent)


def take_in(path: Path) -> None:
    """Read answers, and what they mean."""
    bundle = open_bundle(path)
    _, found = answers.read(bundle, "auto", read_map((), CLASSES.names), CLASSES.names)
    reading = Reading(
        source=path.name,
        word=found.word,
        known=pl.Series(IDS, dtype=pl.String),
        names=Names(archived={}, sources={}, ranks=dict(enumerate(IDS, 1))),
        by_image=found.by_image,
        classes=CLASSES.names,
        words={},
        indices=found.indices,
        annotator="ann",
        kind="vote",
    )
    answer_reading.read(found.answers, reading, Told(SilentReport()))
    assert len(bundle.sha256) == 64


def table(path: Path) -> None:
    """Read a table of this program in each of the ways that it is read."""
    contract = TABLES[path.stem.split(".")[0]]
    found = table_files.read_table(path, contract)
    table_files.read_columns(path, contract, contract.schema.column_names()[:2])
    if path.suffix == ".parquet":
        assert table_files.scan_table(path, contract).collect().height == found.height


def label_table(path: Path) -> None:
    """Read labels, and hold them to the data set."""
    data = data_set()
    found = data.aligned(table_files.read_table(path, LABELS), path)
    CLASSES.indices(found["label"].to_list(), str(path))


def ledger(path: Path) -> None:
    """Read a ledger, and follow it."""
    from stages.methods.ledger import check

    check(labels(), table_files.read_table(path, LEDGER), str(path))


def matrix(path: Path) -> None:
    """Read a matrix with a row and a column a class."""
    matrices.read_matrix(path, CLASSES)


def transition(path: Path) -> None:
    """Read a transition matrix."""
    matrices.read_transition(path, CLASSES)


def predictions(path: Path) -> None:
    """Read another program's predictions."""
    data = data_set()
    foreign_predictions.read_predictions(path, data, data.rows("test"), np.zeros(2, dtype=np.int64), logits=False)


def more_columns(path: Path) -> None:
    """Read what else is known of samples."""
    data = data_set()
    metadata.read_metadata(path, ("sex",), data, data.rows("train", "test"))


def ids(path: Path) -> None:
    """Read a list of samples that are not to be chosen."""
    select._ids(path)


def features(path: Path) -> None:
    """Read features that somebody else computed."""
    noise_features._of_table(path, data_set(), np.arange(len(IDS)))


def recorded(path: Path) -> None:
    """Read a manifest, and look whether what it names is as it was."""
    found = manifest.read(path.parent)
    if found is not None:
        manifest.changed_inputs(path.parent, found, deep=True)
        manifest.edited_outputs(path.parent, found)


def classes(path: Path) -> None:
    """Read the classes, and write them down for others."""
    found = read_classes(path)
    scalars({"recall": [0.5] * len(found)}, found.names)


def config_file(path: Path) -> None:
    """Read a file of options."""
    option_values.merge([], IngestConfig, {}, option_values.read_config(path), path, [])


def pipeline_file(path: Path) -> None:
    """Read a pipeline, and write it for other engines."""
    read = pipeline.load(path)
    for engine in (make, snakemake):
        engine.render(jobs.jobs(read, pipeline.plan(read), path.parent), "file", "alrctl export")


def image(path: Path) -> None:
    """Decode an image for the pack and for people."""
    decode(path, 16, "stretch")
    reduced(path, 32)


def pack(path: Path) -> None:
    """Open the images of a data set, and look at each."""
    _touch(open_pack(path))


def embeddings(path: Path) -> None:
    """Open embeddings, and look at each."""
    _touch(read_embeddings(path, len(IDS)))


def _touch(found: Tensor) -> Any:
    return found.float().sum()


def checkpoint(path: Path) -> None:
    """Read a checkpoint, and rebuild its networks."""
    checkpoints.read(path).networks()


@cache
def _heads() -> Any:
    from benchmarks.fuzz.seeds import head_metadata
    from stages.training.network import build_network

    return [build_network(head_metadata().spec, len(CLASSES), 0, number) for number in (1, 2)]


def last_epochs(path: Path) -> None:
    """Read the weights of the last epochs."""
    for _ in checkpoints.read_epochs(path, _heads()):
        pass


def first_weights(path: Path) -> None:
    """Read a backbone's weights."""
    weights.load(str(path), BACKBONE, SIDE)
