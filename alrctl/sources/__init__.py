"""Readers of data sets, one module a layout: each lists records and says how an image is got."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alrctl.sources import (
    drd,
    folder,
    ham10000,
    hdf5,
    histopathology,
    isic,
    kvasir,
    manifest_table,
    medmnist,
    npz,
)
from alrctl.sources.class_choice import choose
from alrctl.sources.collection import Collection
from alrctl.sources.tables import leave_out_absent
from schemas.errors import DataError
from stages.ingest import IngestConfig

_READERS: dict[str, tuple[Callable[[Path], bool], Callable[[Path, IngestConfig], Collection]]] = {
    "medmnist": (medmnist.recognises, medmnist.read),  # the specific before the general
    "npz": (npz.recognises, npz.read),
    "hdf5": (hdf5.recognises, hdf5.read),
    "csv": (manifest_table.recognises, manifest_table.read),
    "ham10000": (ham10000.recognises, ham10000.read),
    "isic": (isic.recognises, isic.read),
    "drd": (drd.recognises, drd.read),
    "kvasir": (kvasir.recognises, kvasir.read),
    "imbalanced_histopathology": (histopathology.recognises, histopathology.read),
    "folder": (folder.recognises, folder.read),
}


def read(source: Path, config: IngestConfig) -> tuple[str, Collection]:
    """Read a source, its layout recognised unless given, with the classes asked for; return the layout's name too.

    Raises:
        DataError: not there, of no known layout, or without records.
    """
    if not source.exists():
        raise DataError(f"{source}: no such file or directory")
    name: str = config.format
    if name == "auto":
        name = next((known for known, (recognises, _) in _READERS.items() if recognises(source)), "auto")
    if name == "auto":
        raise DataError(
            f"{source}: no layout recognised; wanted are a folder with a sub-folder of images for each class, a CSV or "
            "parquet file, a .npz, a folder with train.hdf5, or HAM10000, ISIC 2019, Kaggle's diabetic retinopathy, "
            "HyperKvasir or NCT-CRC-HE-100K as distributed (--format names one)"
        )
    return name, leave_out_absent(choose(_READERS[name][1](source, config), config, source), config.skip_broken)
