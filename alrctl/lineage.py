"""What an evaluation was made from: its network, the labels, the queues asked about, phase 1, and labels made wrong.

Manifests are followed, so that the names of folders do not matter; they are asked only where nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alrctl import manifest
from alrctl.project import Artifact
from schemas.ledger import LEDGER

Settings = tuple[tuple[str, str], ...]
STRATEGY, FOLDER = "select strategy", "folder"
_NO_MATTER = {
    *("seed", "budget", "unit", "cost", "class_cost", "rate_per_hour", "device", "precision", "compile", "keep_epochs"),
    *("images", "image_prefix", "suggest", "workers", "annotator", "format", "map", "oracle_seconds"),
}
"""Options that do not decide what is learnt, and those in which the rounds of one run may differ."""

_NOISE_FILES = ("transition", "features")
"""Inputs of `corrupt` that decide what noise it makes."""


@dataclass(frozen=True)
class Lineage:
    """How what an evaluation judges came to be.

    Attributes:
        start: settings of all that came before the first round.
        rounds: settings of each round of choosing, relabelling and retraining.
        seeds: by stage; of choosing and retraining, that of the first round and of the last network.
        labels: directory of the labels that were learnt from; None where not recorded.
        network: the network's own artifact; None where another program made it.
    """

    start: Settings
    rounds: tuple[Settings, ...] = ()
    seeds: Mapping[str, int] = field(default_factory=dict)
    labels: Path | None = None
    network: Artifact | None = None

    @property
    def ledger(self) -> Path | None:
        """The ledger beside the labels; None where no answer was taken in."""
        path = None if self.labels is None else self.labels / LEDGER.file_name
        return path if path is not None and path.is_file() else None

    def begins(self, other: Lineage) -> bool:
        """Return whether this is `other`, or `other` some rounds earlier."""
        return self.start == other.start and self.rounds == other.rounds[: len(self.rounds)]

    def table(self) -> dict[str, str]:
        """Return each setting; one that changes from round to round as `first, then second`."""
        values: dict[str, list[str]] = {}
        for name, value in (pair for settings in (self.start, *self.rounds) for pair in settings):
            told = values.setdefault(name, [])
            if not told or told[-1] != value:
                told.append(value)
        return {name: ", then ".join(told) for name, told in values.items()}


@dataclass(frozen=True)
class _Round:
    """One round's artifacts, as far as they are recorded."""

    queue: Artifact | None
    scores: Artifact | None
    labels: Artifact
    network: Artifact | None


def trace(evaluation: Artifact, folder: str) -> Lineage:
    """Follow an evaluation to what it was made from.

    Args:
        evaluation: of `evaluate`.
        folder: tells runs apart where nothing else does.
    """
    network = maker(evaluation, "checkpoint")
    judged = evaluation if network is None else network
    labels = judged.input_directory("labels")
    rounds = list(_rounds(network, maker(judged, "labels")))[::-1]
    before = list(_before(rounds, network))
    start = tuple(pair for one in before for pair in _settings(one))
    start += tuple(pair for pair in _settings(evaluation) if pair[0] == "evaluate networks")
    if network is None:
        start += ((FOLDER, folder),)
    told = tuple(_of_round(one, number, folder) for number, one in enumerate(rounds, 1))
    if not told and network is not None and network.manifest.stage == "recalibrate":
        told = (_settings(network) + _unless_known(maker(network, "labels"), folder),)
    return Lineage(start, told, _seeds(before, rounds, network), labels, network)


def maker(artifact: Artifact | None, role: str) -> Artifact | None:
    """Return the artifact that an input came from, if it is recorded and still there."""
    directory = None if artifact is None else artifact.input_directory(role)
    found = None if directory is None else manifest.read(directory)
    return None if directory is None or found is None else Artifact(directory, found)


def _rounds(network: Artifact | None, labels: Artifact | None) -> Iterator[_Round]:
    """Give the rounds, the last one first."""
    seen: set[Path] = set()
    while labels is not None and labels.manifest.stage in ("relabel", "undo") and labels.path not in seen:
        seen.add(labels.path)
        if labels.manifest.stage == "relabel":
            queue = maker(labels, "queue")
            scores = maker(queue, "scores")
            yield _Round(queue, scores, labels, network)
            network = maker(scores, "checkpoint")
        labels = maker(labels, "labels")


def _before(rounds: list[_Round], network: Artifact | None) -> Iterator[Artifact]:
    """Give phase 1, the labels made wrong for it, and the data set."""
    first = maker(rounds[0].scores, "checkpoint") if rounds else network
    found = first or network
    while found is not None and found.manifest.stage == "recalibrate":
        found = maker(found, "checkpoint")
    for one in (found, maker(found, "labels"), maker(found, "samples")):
        if one is not None and one.manifest.stage in ("train-lnl", "corrupt", "ingest"):
            yield one


def _of_round(one: _Round, number: int, folder: str) -> Settings:
    made = [part for part in (one.queue, one.scores, one.labels, one.network) if part is not None]
    settings = tuple(pair for part in made for pair in _settings(part))
    return settings + _of_checkpoint(one.network, number) + _unless_known(one.queue, folder)


def _of_checkpoint(network: Artifact | None, number: int) -> Settings:
    """Return whose weights a later round went on from; in the first round, or from scratch, nothing is to be told."""
    source = maker(network, "checkpoint")
    if number == 1 or network is None or source is None or network.manifest.options.get("from") == "scratch":
        return ()
    begun = "the round before" if source.manifest.stage == "recalibrate" else "phase 1"
    return (("recalibrate goes on from", begun),)


def _unless_known(made: Artifact | None, folder: str) -> Settings:
    """Return the folder as the setting that tells runs apart, where what was made is not recorded."""
    return () if made is not None else ((FOLDER, folder),)


def _settings(artifact: Artifact) -> Settings:
    """Return the options that decide what comes of a stage, each named with its stage."""
    told = artifact.manifest
    no_matter = _NO_MATTER - ({"map"} if told.stage == "corrupt" else set())  # there it is of classes, not of names
    deciding = [(name, value) for name, value in told.options.items() if name not in no_matter]
    if told.stage == "corrupt":
        deciding += [(role, told.inputs[role].sha256[:8]) for role in _NOISE_FILES if role in told.inputs]
    return tuple((f"{told.stage} {name.replace('_', ' ')}", _text(value)) for name, value in deciding)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_text, value)) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)


def _seeds(before: list[Artifact], rounds: list[_Round], network: Artifact | None) -> dict[str, int]:
    first = rounds[0].queue if rounds else None
    found = [*before, *(one for one in (first, network) if one is not None)]
    return {one.manifest.stage: one.manifest.seed for one in found if one.manifest.seed is not None}
