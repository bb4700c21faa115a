"""What is undefined: `numpy.nan` inside, None outside."""

from __future__ import annotations

import math


def none_if_nan(value: float) -> float | None:
    """Return None for nan, so that a file says 'undefined' and not 0."""
    return None if math.isnan(value) else value
