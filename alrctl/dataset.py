"""Reading a data set's directory, and holding other tables to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import ValidationError

from alrctl import artifacts, files, ledgers, manifest, table_files
from alrctl.job import Job
from schemas.classes import Classes
from schemas.contract import Contract
from schemas.errors import DataError, MismatchError, plural
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.samples import SAMPLES
from stages.methods.ledger import check

if TYPE_CHECKING:
    from torch import Tensor

CLASSES = "classes.yaml"


@dataclass(frozen=True)
class DataSet:
    """A data set as `ingest` wrote it.

    Attributes:
        samples: the samples table, in the order of the image pack.
        classes: names in order.
        path: of the samples table, for messages.
    """

    samples: pl.DataFrame
    classes: Classes
    path: Path

    def rows(self, *splits: str) -> NDArray[np.int64]:
        """Return the rows of the samples in these splits."""
        return np.flatnonzero(self.samples["split"].is_in(list(splits)).to_numpy()).astype(np.int64)

    def aligned(self, table: pl.DataFrame, source: Path, rows: NDArray[np.int64] | None = None) -> pl.DataFrame:
        """Return `table` in the order of the samples (those of `rows`), a row each.

        Raises:
            MismatchError: the table knows other samples, or lacks some.
        """
        wanted = self.samples.select("sample_id") if rows is None else self.samples.select("sample_id")[rows]
        if table["sample_id"].equals(wanted["sample_id"]):  # as this program writes them
            return table.select("sample_id", pl.exclude("sample_id"))
        check_known(table["sample_id"], self.samples["sample_id"], source)
        joined = wanted.join(table.with_columns(__here=True), on="sample_id", how="left", maintain_order="left")
        absent = joined.filter(pl.col("__here").is_null())
        if absent.height:
            first = absent["sample_id"][0]
            count = plural(absent.height, "sample")
            raise MismatchError(f"{source}: lacks {count} of the data set {self.path.parent} (first: '{first}')")
        return joined.drop("__here")


def check_known(ids: pl.Series, known: pl.Series, source: Path) -> None:
    """Refuse ids that are not of this data set.

    Raises:
        MismatchError: naming how many, and the first.
    """
    foreign = ids.filter(~ids.is_in(known.implode()))
    if len(foreign):
        raise MismatchError(
            f"{source}: {plural(len(foreign), 'sample')} not of this data set (first: '{foreign[0]}'); "
            "does it belong to another?"
        )


def need_data(job: Job, data: Path, images: bool = True) -> tuple[Path, Path, Path | None]:
    """Record the data set's files as inputs of a stage: samples, classes, images."""
    samples = job.need("samples", data, SAMPLES.file_name)
    classes = job.need("classes", data, CLASSES)
    pack = job.need("images", data, "images.safetensors") if images else None
    return samples, classes, pack


def read_data(samples: Path, classes: Path) -> DataSet:
    """Read the samples and classes.

    Raises:
        DataError: not readable, or against the contract.
    """
    return DataSet(table_files.read_table(samples, SAMPLES), read_classes(classes), samples)


def read_images(path: Path, data: DataSet) -> Tensor:
    """Return the pack, (N, H, W, 3) uint8, an image a sample.

    Raises:
        MismatchError: it holds another number of images.
    """
    from alrctl.image_pack import open_pack

    images = open_pack(path)
    if len(images) != data.samples.height:
        raise MismatchError(f"{path}: holds {len(images)} images; {data.path} has {data.samples.height} samples")
    return images


def read_classes(path: Path) -> Classes:
    """Read `classes.yaml`.

    Raises:
        DataError: not readable, or not of its form.
    """
    content = files.read_yaml(path)
    try:
        return Classes.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path}: {error.errors()[0]['msg']}; wanted: `names:` with a list of two or more") from error


def place_of_classes(table: Path, data: Path | None) -> Path:
    """Return where the classes of a table's data set are: the data set is named, or recorded with the table.

    Raises:
        DataError: it is neither.
    """
    place = data if data is not None else artifacts.recorded_input(table, "classes")
    if place is None:
        found = manifest.read(table.parent)
        recorded = None if found is None else found.inputs.get("classes")
        if recorded is None:
            raise DataError(f"{table}: does not say where its data set is; name it with --data DIR")
        was = os.path.normpath(table.parent / recorded.path)
        raise DataError(f"{table}: its data set is no more where it was ({was}); name it with --data DIR")
    return place


def classes_of(path: Path | None, labels: pl.DataFrame, ledger: pl.DataFrame | None = None) -> Classes:
    """Read `classes.yaml`; where a foreign table comes without a data set, the labels in use are the classes.

    Args:
        path: of the classes, if there is a data set.
        labels: sample_id and label.
        ledger: that led to them: a class that it names is one, though no sample bears it any more.

    Raises:
        DataError: not readable, or not of its form; or all labels are one class.
    """
    if path is not None:
        return read_classes(path)
    names = set(labels["label"])
    if ledger is not None:
        names.update(
            name for column in ("label_before", "label_after", "answer") for name in ledger[column].drop_nulls()
        )
    if len(names) < 2:
        raise DataError(f"all labels are of one class ('{next(iter(names), '')}'); name the data set with --data DIR")
    return Classes(names=tuple(sorted(names)))


def read_labels(path: Path, data: DataSet, contract: Contract = LABELS, column: str = "label") -> pl.DataFrame:
    """Read a label table, a row a sample of the data set, with each label's class index in column `index`.

    Raises:
        DataError: a label is no class.
        MismatchError: other samples than the data set's, or not the labels that the ledger beside them leads to.
    """
    table = table_files.read_table(path, contract)
    ledger = ledgers.beside(path) if contract is LABELS else None
    if ledger is not None:
        check(table, table_files.read_table(ledger, LEDGER), str(ledger))
    first = 2 if table_files.is_text(path) else 1
    aligned = data.aligned(table, path)
    names = data.classes.names
    index = aligned[column].replace_strict(names, range(len(names)), default=None, return_dtype=pl.Int64)
    if index.null_count():
        data.classes.indices(table[column].to_list(), str(path), column, first)  # says which is no class
    return aligned.with_columns(index=index)
