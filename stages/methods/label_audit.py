"""How good labels are: by the truth where it is known, else estimated from labels that were looked at by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.methods.judgement import Judged, judge, share
from stages.methods.stratified import Stratum, overall

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
BY_CLASS = (
    "label_accuracy_before",
    "label_accuracy",
    "errors_found",
    "errors_mended",
    "errors_made",
    "clean_precision",
    "clean_recall",
    "thrown_out",
)


@dataclass(frozen=True)
class Labels:
    """Labels of N training samples, and what is known of them.

    Attributes:
        true_label: (N,) class indices.
        first_label: (N,) as given to phase 1.
        label: (N,) as they are now.
        relabelled: (N,) whether an expert gave the label.
        judged_clean: (N,) by phase 1: 1 yes, 0 no, -1 no judgement.
    """

    true_label: Ints
    first_label: Ints
    label: Ints
    relabelled: NDArray[np.bool_]
    judged_clean: NDArray[np.int8]


@dataclass(frozen=True)
class Audit:
    """Labels that were drawn at random from a pool and looked at.

    Attributes:
        round: of relabelling.
        strata: what was drawn of the pool, by given class; of a pool that was drawn from as a whole, one.
        samples: how many there were to be drawn from, had the pool been all of them.
    """

    round: int
    strata: tuple[Stratum, ...]
    samples: int

    @property
    def pool(self) -> int:
        """How many labels they were drawn from."""
        return sum(stratum.size for stratum in self.strata)


def by_truth(given: Labels, classes: Sequence[str]) -> dict[str, Any]:
    """Return figures over all training samples; shares of nothing are None."""
    right_first, right = given.first_label == given.true_label, given.label == given.true_label
    found = judged(given, len(classes))
    thrown = _thrown_out(given)
    return {
        "samples": len(right),
        "noise_rate": None if not len(right) else 1 - float(right_first.mean()),
        "label_accuracy_before": share(right_first),
        "label_accuracy": share(right),
        "relabelled": int(given.relabelled.sum()),
        "errors_found": int((given.relabelled & ~right_first).sum()),
        "errors_mended": int((given.relabelled & ~right_first & right).sum()),
        "errors_made": int((given.relabelled & right_first & ~right).sum()),
        "errors_left": int((~right).sum()),
        "expert_errors": int((given.relabelled & ~right).sum()),
        "clean_precision": None if found is None else found.precision,
        "clean_recall": None if found is None else found.recall,
        "clean_recall_worst_class": None if found is None else found.worst_recall,
        "thrown_out": None if thrown is None else int(thrown.sum()),
        "thrown_out_rarest_class": None if thrown is None else _of_rarest(given, thrown, classes),
    }


def by_class(given: Labels | None, classes: int) -> dict[str, list[Any]]:
    """Return figures by true class (precision of "judged clean": by given class), K each; None where unknown."""
    unknown: list[Any] = [None] * classes
    if given is None:
        return dict.fromkeys(BY_CLASS, unknown)
    right_first, right = given.first_label == given.true_label, given.label == given.true_label
    members = [given.true_label == index for index in range(classes)]
    found, thrown = judged(given, classes), _thrown_out(given)

    def count(which: NDArray[np.bool_]) -> list[int]:
        return [int((which & mine).sum()) for mine in members]

    return {
        "label_accuracy_before": [share(right_first[mine]) for mine in members],
        "label_accuracy": [share(right[mine]) for mine in members],
        "errors_found": count(given.relabelled & ~right_first),
        "errors_mended": count(given.relabelled & ~right_first & right),
        "errors_made": count(given.relabelled & right_first & ~right),
        "clean_precision": unknown if found is None else found.precision_by_class,
        "clean_recall": unknown if found is None else found.recall_by_class,
        "thrown_out": unknown if thrown is None else count(thrown),
    }


def judged(given: Labels, classes: int) -> Judged | None:
    """Judge phase 1's judgement of the samples that it judged; None where it judged none."""
    known = given.judged_clean >= 0
    if not known.any():
        return None
    return judge((given.judged_clean == 1)[known], given.first_label[known], given.true_label[known], classes)


def transition(true_label: Ints, label: Ints, classes: int) -> Ints:
    """Return how many samples of true class row bear label column, (K, K)."""
    flat = np.bincount(true_label * classes + label, minlength=classes**2)
    return flat.reshape(classes, classes).astype(np.int64)


def _thrown_out(given: Labels) -> NDArray[np.bool_] | None:
    """Return whose label was right and judged noise all the same, (N,); None where nothing was judged."""
    if not (given.judged_clean >= 0).any():
        return None
    return np.asarray((given.judged_clean == 0) & (given.first_label == given.true_label))


def _of_rarest(given: Labels, thrown: NDArray[np.bool_], classes: Sequence[str]) -> dict[str, Any] | None:
    """Return how many right labels of the rarest class were thrown out as noise."""
    right = (given.judged_clean >= 0) & (given.first_label == given.true_label)
    counts = np.bincount(given.true_label[right], minlength=len(classes))
    if not counts.any():
        return None
    rarest = int(np.where(counts > 0, counts, counts.max() + 1).argmin())
    lost = int((thrown & (given.true_label == rarest)).sum())
    return {"label": classes[rarest], "right": int(counts[rarest]), "thrown_out": lost, "share": lost / counts[rarest]}


def parts_of(
    given: NDArray[np.int64], wrong: NDArray[np.bool_], strata: pl.DataFrame, classes: Sequence[str]
) -> list[Stratum]:
    """Return what was looked at of each class, (K)."""
    sizes = dict(strata.select("label", "samples").iter_rows())
    drawn = np.bincount(given, minlength=len(classes))
    hits = np.bincount(given[wrong], minlength=len(classes))
    return [
        Stratum(sizes.get(name, 0), seen, hit)
        for name, seen, hit in zip(classes, drawn.tolist(), hits.tolist(), strict=True)
    ]


def estimate(audits: Sequence[Audit]) -> dict[str, Any] | None:
    """Estimate the share of wrong labels from the audit that drew from the widest pool; of equal ones, the first.

    The experts' answers are taken for right. An audit of which a class has no answer tells nothing of the whole.

    Returns:
        value, low and high of the share wrong; of how many labels looked at, in which pool; None without an audit.
    """
    told = [(one, found) for one in audits if (found := overall(one.strata)) is not None]
    if not told:
        return None
    first, found = max(told, key=lambda pair: (pair[0].pool, -pair[0].round))
    return {
        **asdict(found),
        "wrong": sum(stratum.hits for stratum in first.strata),
        "looked_at": sum(stratum.drawn for stratum in first.strata),
        "pool": first.pool,
        "samples": first.samples,
        "round": first.round,
    }
