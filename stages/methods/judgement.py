"""How good a judgement of labels is, where the truth is known: precision and recall of "judged clean"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Judged:
    """Precision and recall of "judged clean"; None where undefined.

    Attributes:
        precision: of the judged clean, the share whose label is right.
        recall: of those whose label is right, the share judged clean.
        precision_by_class: (K,) by given class.
        recall_by_class: (K,) by true class.
    """

    precision: float | None
    recall: float | None
    precision_by_class: list[float | None]
    recall_by_class: list[float | None]

    @property
    def worst_recall(self) -> float | None:
        """Recall of the class where it is lowest."""
        return min((recall for recall in self.recall_by_class if recall is not None), default=None)


@dataclass(frozen=True)
class Seen:
    """What network 1 made of N samples in an epoch of phase 1.

    Attributes:
        epoch: from 0.
        kept: (N,) whether it picked them; one not seen was not picked.
        loss: (N,) in nats; nan where not seen.
    """

    epoch: int
    kept: Bools
    loss: NDArray[np.float64]


def losses(seen: Seen, right: Bools) -> tuple[float | None, float | None, float | None]:
    """Return the mean loss of samples whose label is right, of those where it is wrong, and of those picked."""
    known = np.isfinite(seen.loss)
    clean, noisy, picked = (seen.loss[which & known] for which in (right, ~right, seen.kept))
    return _mean(clean), _mean(noisy), _mean(picked)


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None


def judge(clean: Bools, given: Ints, true: Ints, classes: int) -> Judged:
    """Judge a judgement.

    Args:
        clean: (N,) whether each sample was judged clean.
        given: (N,) the labels judged.
        true: (N,) the true ones.
        classes: K.
    """
    right = given == true
    return Judged(
        share(right[clean]),
        share(clean[right]),
        [share(right[clean & (given == index)]) for index in range(classes)],
        [share(clean[right & (true == index)]) for index in range(classes)],
    )


def share(hits: Bools) -> float | None:
    """Return the share of hits; None of nothing."""
    return float(hits.mean()) if len(hits) else None
