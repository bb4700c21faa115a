"""What a stage may tell the world while it works, and where it may leave unfinished work.

The shell hands in objects of these shapes; a stage knows neither the terminal nor the disk behind them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor


NEUTRAL: dict[str, Any] = {"alrctl": "neutral"}
"""Marks a config's field (`json_schema_extra`) that changes how long a run takes and not what it gives."""


class Report(Protocol):
    """Where a stage says how far it is, and what a person must know."""

    def progress(self, done: int, total: int, text: str = "", unit: str = "") -> None:
        """Say that `done` of `total` units are done."""

    def warn(self, text: str) -> None:
        """Say something that must not be missed; it is also kept in the manifest."""


@dataclass(frozen=True)
class Unfinished:
    """A training's state after a number of epochs.

    Attributes:
        epochs: how many epochs are finished.
        facts: anything JSON can hold.
        parts: tensors by part and name; a part whose name begins with `epoch-` never changes once saved.
    """

    epochs: int
    facts: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)


class Store(Protocol):
    """Where a training leaves its state after each epoch, so that a killed one can go on."""

    def load(self) -> Unfinished | None:
        """Return the last state saved by a run with the same options and inputs."""

    def save(self, state: Unfinished) -> None:
        """Keep a state, whole or not at all."""


class SilentReport:
    """A report that nobody listens to."""

    def progress(self, done: int, total: int, text: str = "", unit: str = "") -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""


class NoStore:
    """A store that keeps nothing."""

    def load(self) -> Unfinished | None:
        """Return None."""
        return None

    def save(self, state: Unfinished) -> None:
        """Keep nothing."""
