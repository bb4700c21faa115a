"""One metric by its name: of predictions, and of their resamples, without computing all others."""

from __future__ import annotations

import math
from collections.abc import Callable

from schemas.errors import UsageError, listing, nearest
from stages.methods import intervals, metrics
from stages.methods.intervals import Resamples
from stages.methods.metrics import BY_CLASS, Yardstick
from stages.methods.predictions import Floats, Predictions

Metric = Callable[[Predictions, Resamples, Yardstick], tuple[float, Floats]]
_OF_POSTERIORS = ("auroc", "average_precision")


def parse(name: str, classes: tuple[str, ...]) -> Metric:
    """Return what gives a metric of predictions, nan where it is undefined, and its replicates, (R,).

    Args:
        name: of `metrics.overall`, or one of a class, as in `recall:melanoma`.
        classes: names in order.

    Raises:
        UsageError: there is no such metric or class (an overall one is looked for once there are predictions).
    """
    column, separator, label = name.partition(":")
    if not separator:
        return _overall(name)
    if column not in BY_CLASS:
        raise UsageError(f"--metric {name}: '{column}' is not one of {', '.join(BY_CLASS)}{nearest(column, BY_CLASS)}")
    if label not in classes:
        raise UsageError(
            f"--metric {name}: no class '{label}'{nearest(label, classes)} (there are {listing(classes, 20)})"
        )
    return _of_class(name, column, classes.index(label))


def _overall(name: str) -> Metric:
    def measure(given: Predictions, drawn: Resamples, yardstick: Yardstick) -> tuple[float, Floats]:
        plain = _without_posterior(given)  # ranking all posteriors takes most of the time
        value = metrics.overall(plain, yardstick).get(name)
        if value is not None:
            return value, intervals.replicate(plain, drawn, yardstick).overall[name]
        known = metrics.overall(given, yardstick)
        if name not in known:
            told = f"there are {listing(known, 40)}, and recall:CLASS and the like"
            raise UsageError(f"--metric: no metric '{name}'{nearest(name, known)} ({told})")
        value = known[name]
        return math.nan if value is None else value, intervals.replicate(given, drawn, yardstick).overall[name]

    return measure


def _of_class(name: str, column: str, index: int) -> Metric:
    def measure(given: Predictions, drawn: Resamples, yardstick: Yardstick) -> tuple[float, Floats]:
        asked = given if column in _OF_POSTERIORS else _without_posterior(given)
        value = float(getattr(metrics.by_class(asked), column)[index])
        return value, intervals.replicate(asked, drawn, yardstick).by_class[column][:, index]

    return measure


def _without_posterior(given: Predictions) -> Predictions:
    return Predictions(given.label, None, given.predicted, given.count)
