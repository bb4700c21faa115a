"""The weights that a checkpoint's backbone started from in phase 1: found again, and held to what was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from alrctl import artifacts, checkpoints, manifest, weights
from alrctl.job import Job
from schemas.checkpoint import FirstWeights, NetworkSpec
from schemas.errors import DataError, MismatchError, UsageError
from stages.report import Report

_ELSE = "or go on from the checkpoint (--from checkpoint)"


@dataclass(frozen=True)
class Found:
    """Weights by their name, and where their file lies; None for fresh ones."""

    name: str
    path: Path | None

    def load(self, spec: NetworkSpec, report: Report) -> dict[str, Tensor]:
        """Return the backbone's tensors by name; none for fresh ones.

        Raises:
            DataError: the file is not readable, or its tensors do not fit.
        """
        if self.path is None:
            return {}
        loaded = weights.load(self.name, spec.backbone, spec.image_size, spec.channels, self.path)
        for note in loaded.notes:
            report.warn(note)
        return loaded.tensors


def need(job: Job, checkpoint: Path) -> Found:
    """Record the weights that a checkpoint's backbone started from as an input of a stage.

    A frozen backbone lies in the checkpoint as it was, and needs none.

    Raises:
        MismatchError: the checkpoint does not say which they were, or their file is another now.
        DataError: their file is not there.
    """
    metadata = checkpoints.read(checkpoint).metadata
    if metadata.spec.train == "head":
        return Found("none", None)
    told = metadata.started_from
    if told is None:
        raise MismatchError(
            f"{checkpoint}: does not say which weights its backbone started from; "
            f"name the checkpoint of `train-lnl`, {_ELSE}"
        )
    path = _path(told, metadata.spec.backbone, checkpoint)
    if path is not None:
        _check(told, path, checkpoint)
        job.need_raw("weights", path)
    return Found(told.name, path)


def _path(told: FirstWeights, backbone: str, checkpoint: Path) -> Path | None:
    """Return the file: where the checkpoint's manifest says it lies, else where its name leads from here."""
    if told.name == "none":
        return None
    recorded = artifacts.recorded_input(checkpoint, "weights")
    try:
        return recorded or weights.locate(told.name, backbone)
    except (DataError, UsageError) as error:
        raise DataError(
            f"{checkpoint}: its backbone started from the weights '{told.name}', which are no longer there; "
            f"put them back, {_ELSE}"
        ) from error


def _check(told: FirstWeights, path: Path, checkpoint: Path) -> None:
    """Hold the file to the hash that was recorded.

    Raises:
        MismatchError: it is another.
    """
    now = manifest.digest(path)
    if told.sha256 not in (None, now):
        raise MismatchError(
            f"{path}: is not the file that the backbone of {checkpoint} started from "
            f"(sha256 {now[:12]}, then {str(told.sha256)[:12]}); put that one back, {_ELSE}"
        )
