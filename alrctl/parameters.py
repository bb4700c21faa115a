"""The parameters that several commands share, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path, typer.Argument(help="the data set: the directory that `ingest` wrote", metavar="DATA")]
Labels = Annotated[Path, typer.Option("--labels", help="label table: a stage's directory, a parquet file or a CSV")]
CheckpointPath = Annotated[Path, typer.Option("--checkpoint", help="a trained network: a stage's directory or a file")]
Clean = Annotated[
    Path,
    typer.Option(
        "--clean", help="which samples were judged clean: where it is not beside the checkpoint or recorded with it"
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="directory to write")]
