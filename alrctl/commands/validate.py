"""`alrctl validate`: any artifact held to its manifest and its contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from alrctl import files, ledgers, manifest, table_files
from alrctl.dataset import CLASSES, read_classes
from alrctl.image_pack import PACK, open_pixels
from alrctl.job import FILLED_IN
from alrctl.options import as_command
from alrctl.project import scan
from alrctl.session import Session
from schemas.errors import AlrctlError, DataError, plural
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.tables import TABLES

EXAMPLE = "alrctl validate work/r1/labels"


def validate(
    session: Session,
    place: Annotated[Path, typer.Argument(help="a file, a stage's directory, or one of many", metavar="PATH")],
) -> None:
    """Check files against their contracts, and directories against their manifests too."""
    if not place.exists():
        raise DataError(f"{place}: no such file or directory")
    paths = [place] if place.is_file() else [one.path / name for one in scan(place) for name in one.manifest.outputs]
    if not paths:
        raise DataError(f"{place}: holds no finished artifact (no manifest.json)")
    problems, checked = [], 0
    for path in paths:
        try:
            checked += _check(path)
        except AlrctlError as error:
            problems.append(str(error))
    problems += [
        f"{one.path / name}: is not as it was written"
        for one in (scan(place) if place.is_dir() else [])
        for name in manifest.edited_outputs(one.path, one.manifest)
        if name not in FILLED_IN
    ]
    if problems:
        raise DataError("\n       ".join(problems))
    session.voice.say(f"{plural(len(paths), 'file')} in order, {checked} of them by a contract")
    session.voice.document({"status": "in order", "files": len(paths), "by_contract": checked})


def _check(path: Path) -> bool:
    """Hold one file to its contract; say whether there was one."""
    if not path.is_file():
        raise DataError(f"{path}: is missing")
    if path.name == CLASSES:
        read_classes(path)
    elif path.name == PACK:
        open_pixels(path)
    elif path.suffix == ".safetensors":
        return _check_network(path)
    elif path.suffix == ".parquet":
        with files.explained_read(path, "parquet"):
            name = pl.read_parquet_metadata(path).get("alrctl.schema", path.stem)
        if name not in TABLES:
            raise DataError(f"{path}: is no table of this program; `alrctl schema` lists them")
        table_files.read_table(path, TABLES[name])
        labels = path.with_name(LABELS.file_name)
        ledger = ledgers.beside(path) if name in (LABELS.name, LEDGER.name) else None
        if ledger is not None and labels.is_file():
            ledgers.read(labels, ledger)
    else:
        return False
    return True


def _check_network(path: Path) -> bool:
    """Hold a file of weights to its contract, if it is one; say whether it is."""
    from alrctl import checkpoints  # tables need not wait for torch

    if path.name not in (checkpoints.CHECKPOINT, checkpoints.LAST_EPOCHS):
        return False
    networks = checkpoints.read(path.with_name(checkpoints.CHECKPOINT)).networks()
    if path.name == checkpoints.LAST_EPOCHS:
        for _ in checkpoints.read_epochs(path, networks):
            pass  # each was held to the networks
    return True


COMMAND = as_command(validate, plain=True)
