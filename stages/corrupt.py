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

    noise: Literal["symmetric"] = Field("symmetric", description="kind of noise")
    rate: float = Field(0.4, ge=0, le=1, description="chance that a label is replaced by another class's")
    exclude: tuple[str, ...] = Field((), description="a class that neither loses nor gains labels (may be repeated)")
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
        UsageError: an excluded class does not exist, or fewer than two classes are left.
        NothingToDoError: no sample is touched.
    """
    if not touched.any():
        raise NothingToDoError(f"no sample is in a split to corrupt ({', '.join(config.splits)})")
    for name in config.exclude:
        if name not in classes:
            raise UsageError(f"--exclude: no class '{name}'{nearest(name, classes)}")
    open_classes = np.array([index for index, name in enumerate(classes) if name not in config.exclude])
    if len(open_classes) < 2:
        raise UsageError("--exclude: leaves fewer than two classes that labels could move between")
    noisy = true_labels.copy()
    generator = numpy_generator(config.seed, "corrupt")
    noisy[touched] = label_noise.symmetric(true_labels[touched], config.rate, open_classes, generator)
    transition, rates = label_noise.realised(true_labels[touched], noisy[touched], len(classes))
    return CorruptOutputs(noisy, transition, rates, float((noisy[touched] != true_labels[touched]).mean()))
