"""Corrupt: add label noise of a known kind, for experiments; the truth is kept apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import NothingToDoError, UsageError, nearest
from stages.methods import label_noise
from stages.methods.randomness import numpy_generator


class CorruptConfig(BaseModel):
    """Options of `corrupt`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    noise: Literal["symmetric", "asymmetric"] = Field(
        "symmetric", description="symmetric: to any other class; asymmetric: as --map says"
    )
    rate: float = Field(0.4, ge=0, le=1, description="chance that a label is replaced by another class's")
    exclude: tuple[str, ...] = Field((), description="a class that neither loses nor gains labels (may be repeated)")
    map: tuple[str, ...] = Field(
        (), description="with asymmetric noise, TRUE=GIVEN: a class and one that it is taken for (may be repeated)"
    )
    splits: tuple[Literal["train", "val", "test"], ...] = Field(
        ("train",), description="split to corrupt (may be repeated)"
    )
    seed: int = Field(0, ge=0, description="of the flips")


@dataclass(frozen=True)
class CorruptOutputs:
    """The noisy labels.

    Attributes:
        labels: (N,) class indices, noisy where `touched`.
        transition: (K, K) realised share of labels of class row that became class column, among the touched.
        rates: (K,) realised noise rate by true class; nan for a class without samples.
        rate: realised noise rate over all touched samples.
    """

    labels: NDArray[np.int64]
    transition: NDArray[np.float64]
    rates: NDArray[np.float64]
    rate: float


def run(
    config: CorruptConfig, true_labels: NDArray[np.int64], touched: NDArray[np.bool_], classes: tuple[str, ...]
) -> CorruptOutputs:
    """Flip labels of the touched samples.

    Args:
        config: kind and rate of the noise.
        true_labels: (N,) class indices.
        touched: (N,) which samples are of a split to corrupt.
        classes: names in order.

    Raises:
        UsageError: a class named does not exist, fewer than two are left, or the map does not go with the noise.
        NothingToDoError: no sample is touched.
    """
    if not touched.any():
        raise NothingToDoError(f"no sample is in a split to corrupt ({', '.join(config.splits)})")
    noisy = true_labels.copy()
    noisy[touched] = _flipped(config, true_labels[touched], classes)
    transition, rates = label_noise.realised(true_labels[touched], noisy[touched], len(classes))
    return CorruptOutputs(noisy, transition, rates, float((noisy[touched] != true_labels[touched]).mean()))


def _flipped(config: CorruptConfig, labels: NDArray[np.int64], classes: tuple[str, ...]) -> NDArray[np.int64]:
    generator = numpy_generator(config.seed, "corrupt")
    excluded = {_index(name, classes, "--exclude") for name in config.exclude}
    if config.noise == "asymmetric":
        return label_noise.asymmetric(labels, config.rate, _candidates(config, classes, excluded), generator)
    if config.map:
        raise UsageError("--map: goes with --noise asymmetric alone")
    open_classes = np.array([index for index in range(len(classes)) if index not in excluded])
    if len(open_classes) < 2:
        raise UsageError("--exclude: leaves fewer than two classes that labels could move between")
    return label_noise.symmetric(labels, config.rate, open_classes, generator)


def _candidates(config: CorruptConfig, classes: tuple[str, ...], excluded: set[int]) -> dict[int, NDArray[np.int64]]:
    found: dict[int, list[int]] = {}
    for pair in config.map:
        true, equals, given = pair.partition("=")
        if not equals:
            raise UsageError(f"--map: '{pair}' is not of the form TRUE=GIVEN")
        one, other = _index(true, classes, "--map"), _index(given, classes, "--map")
        if one == other:
            raise UsageError(f"--map: '{pair}' takes a class for itself")
        if {one, other} & excluded:
            raise UsageError(f"--map: '{pair}' names an excluded class")
        found.setdefault(one, []).append(other)
    if not found:
        raise UsageError("--map: asymmetric noise needs at least one TRUE=GIVEN")
    return {index: np.array(others) for index, others in found.items()}


def _index(name: str, classes: tuple[str, ...], option: str) -> int:
    if name.strip() not in classes:
        raise UsageError(f"{option}: no class '{name}'{nearest(name, classes)}")
    return classes.index(name.strip())
