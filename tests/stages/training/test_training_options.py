"""Training options out of range are refused, and an unknown one too."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stages.training.options import TrainingOptions


def test_the_defaults_are_the_papers() -> None:
    options = TrainingOptions()
    assert (options.epochs, options.batch_size, options.learning_rate) == (50, 128, 0.01)
    assert (options.momentum, options.weight_decay, options.augmentation) == (0.9, 1e-4, "paper")


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"epochs": 2.5},
        {"batch_size": 1},
        {"learning_rate": 0},
        {"learning_rate": -0.1},
        {"momentum": 1.0},
        {"momentum": -0.1},
        {"weight_decay": -1e-9},
        {"augmentation": "heavy"},
        {"device": "tpu"},
        {"precision": "float16"},
        {"seed": -1},
        {"epoch": 3},
    ],
)
def test_an_option_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainingOptions.model_validate(wrong)


def test_options_do_not_change() -> None:
    with pytest.raises(ValidationError):
        TrainingOptions().epochs = 3  # type: ignore[misc]
