"""What an epoch is judged by: the metrics of the networks on the validation split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from stages.methods import metrics
from stages.methods.predictions import Predictions
from stages.methods.undefined import none_if_nan
from stages.training.device import Precision
from stages.training.inputs import Inputs
from stages.training.predict import predict
from stages.training.state import Row

_OVERALL = {
    "val_loss": "log_loss",
    "val_accuracy": "accuracy",
    "val_balanced_accuracy": "balanced_accuracy",
    "val_macro_f1": "macro_f1",
    "val_macro_precision": "macro_precision",
    "val_macro_auroc": "macro_auroc",
    "val_mcc": "mcc",
}
_BY_CLASS = ("precision", "recall", "f1", "auroc")


def validate(
    networks: Sequence[nn.Module], inputs: Inputs, rows: Tensor, labels: Tensor, device: torch.device, how: Precision
) -> Row:
    """Return the columns of the history that the validation split fills; None where there is none.

    Args:
        networks: one, or two whose logits are summed.
        inputs: gives batches by row.
        rows: (V,) of the validation split.
        labels: (V,) their classes.
        device: to compute on.
        how: precision.
    """
    if not len(rows):
        return dict.fromkeys([*_OVERALL, *(f"val_{name}_by_class" for name in _BY_CLASS), "val_confusion"])
    predicted = predict(networks, inputs, rows, device, how, with_embeddings=False)
    given = Predictions(labels.numpy(), predicted.posterior.numpy().astype(np.float64))
    matrix = metrics.confusion(given.label, given.predicted, given.count)
    found = metrics.by_class(given, matrix)
    overall = metrics.overall(given, found=found)
    row: Row = {name: overall[metric] for name, metric in _OVERALL.items()}
    for name in _BY_CLASS:
        values = getattr(found, name).tolist()
        row[f"val_{name}_by_class"] = [none_if_nan(value) for value in values]
    return row | {"val_confusion": matrix.ravel().tolist()}
