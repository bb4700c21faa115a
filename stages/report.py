"""What a stage may tell the world while it works, and where it may leave unfinished work.

The shell hands in objects of these shapes; a stage knows neither the terminal nor the disk behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

NEUTRAL: dict[str, Any] = {"alrctl": "neutral"}
"""Marks a config's field (`json_schema_extra`) that changes how long a run takes and not what it gives."""


class Array(Protocol):
    """A tensor in memory, or one on disk that is read by rows."""

    @property
    def shape(self) -> Sequence[int]:
        """The size of each dimension."""

    def __getitem__(self, rows: slice, /) -> Tensor:
        """Return these rows as a tensor in memory."""


class Report(Protocol):
    """Where a stage says how far it is, and what a person must know."""

    def progress(self, done: int, total: int, text: str = "", unit: str = "") -> None:
        """Say that `done` of `total` units are done."""

    def warn(self, text: str) -> None:
        """Say something that must not be missed; it is also kept in the manifest."""

    def measured(self, values: Mapping[str, Any], step: int) -> None:
        """Tell figures for those who follow the run.

        Args:
            values: a number each, or a list with one a class; None where unknown.
            step: what they are drawn over, such as the epoch.
        """


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
    parts: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)

    def tensors(self, part: str) -> dict[str, Tensor]:
        """Return a part whole, in memory; empty where there is none."""
        return {name: in_memory(array) for name, array in self.parts.get(part, {}).items()}


def in_memory(array: Array) -> Tensor:
    """Return the whole array as a tensor."""
    from torch import Tensor  # stages that train nothing need not wait for it

    return array if isinstance(array, Tensor) else array[0 : array.shape[0]]


class Store(Protocol):
    """Where a training leaves its state after each epoch, so that a killed one can go on."""

    def load(self) -> Unfinished | None:
        """Return the last state saved by a run with the same options and inputs."""

    def save(self, state: Unfinished) -> Mapping[str, Mapping[str, Array]]:
        """Keep a state, whole or not at all.

        Returns:
            The `epoch-` parts that are large enough to be read back from where they were kept, instead of held.
        """


class SilentReport:
    """A report that nobody listens to."""

    def progress(self, done: int, total: int, text: str = "", unit: str = "") -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""

    def measured(self, values: Mapping[str, Any], step: int) -> None:
        """Say nothing."""


class NoStore:
    """A store that keeps nothing."""

    def load(self) -> Unfinished | None:
        """Return None."""
        return None

    def save(self, state: Unfinished) -> Mapping[str, Mapping[str, Array]]:
        """Keep nothing."""
        return {}
