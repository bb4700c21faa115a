"""How a network's epoch was chosen, and how right the labels were that it was chosen by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alrctl import manifest
from alrctl.dataset import DataSet, read_labels
from alrctl.label_quality import LabelPaths, read_truth


def validation(paths: LabelPaths, checkpoint: Path | None, data: DataSet) -> dict[str, Any]:
    """Return what is known of it.

    Returns:
        samples: of the validation split; labels: clean, noisy, as given (nobody knows how right), unknown (not
        recorded) or none; label_accuracy: by the truth; epoch: the one chosen, from 1; chosen_by: what by.
    """
    rows = data.rows("val")
    made = None if checkpoint is None else manifest.read(checkpoint.parent)
    best = None if made is None else made.summary.get("best_epoch")
    chosen = "macro-F1 on the validation split" if best is not None and len(rows) else "none: the last epoch"
    told: dict[str, Any] = {
        "samples": len(rows),
        "labels": "none" if not len(rows) else "unknown",
        "label_accuracy": None,
        "epoch": best if best is not None or made is None else made.summary.get("epochs"),
        "chosen_by": "unknown" if made is None else chosen,
    }
    if not len(rows) or paths.labels is None:
        return told
    if paths.truth is None:
        return told | {"labels": "as given"}
    label = read_labels(paths.labels, data)["index"].to_numpy()[rows]
    right = float((label == read_truth(paths.truth, data)["index"].to_numpy()[rows]).mean())
    return told | {"labels": "clean" if right == 1 else "noisy", "label_accuracy": right}


def in_words(told: dict[str, Any]) -> str:
    """Say it in a line."""
    labels = {
        "clean": "clean: all right by the truth",
        "as given": "as given: how many are right nobody knows",
        "unknown": "not recorded",
        "none": "none",
    }
    known = labels.get(told["labels"], "")
    if told["labels"] == "noisy":
        known = f"noisy: {told['label_accuracy']:.1%} right by the truth"
    return f"{told['samples']:,} labels, {known}" if told["samples"] else "no validation split"
