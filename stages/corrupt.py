"""Corrupt: add label noise of a known kind, for experiments; the truth is kept apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.errors import NothingToDoError, UsageError, listing, nearest
from stages.methods import label_noise
from stages.methods.instance_noise import Features, instance, mean_flip_rate
from stages.methods.randomness import numpy_generator

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_USUAL_RATE = 0.4
_OFF = 0.01  # a mean flip rate this far from the rate asked for is worth a word


class CorruptConfig(BaseModel):
    """Options of `corrupt`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    noise: Literal["symmetric", "asymmetric", "pair", "transition", "instance"] = Field(
        "symmetric",
        description="symmetric: to any other class; asymmetric: as --map says; pair: to the next class, of the last to "
        "the first; transition: as the matrix of --transition says; instance: to a class that the image speaks for",
    )
    rate: float | None = Field(
        None, ge=0, le=1, description="chance that a label is replaced by another class's (default: 0.4)"
    )
    exclude: tuple[str, ...] = Field((), description="a class that neither loses nor gains labels (may be repeated)")
    map: tuple[str, ...] = Field(
        (), description="with asymmetric noise, TRUE=GIVEN: a class and one that it is taken for (may be repeated)"
    )
    splits: tuple[Literal["train", "val", "test"], ...] = Field(
        ("train",), description="split to corrupt (may be repeated)"
    )
    seed: int = Field(0, ge=0, description="of the flips")

    @model_validator(mode="before")
    @classmethod
    def _usual_rate(cls, given: Any) -> Any:
        """Fill in the usual rate, but not beside a matrix, which has rates of its own."""
        if not isinstance(given, dict) or given.get("noise") == "transition" or given.get("rate") is not None:
            return given
        return {**given, "rate": _USUAL_RATE}


@dataclass(frozen=True)
class CorruptOutputs:
    """The noisy labels. Rows of a matrix are true classes, columns given ones; all counts are of touched samples.

    Attributes:
        labels: (N,) class indices, noisy where `touched`.
        sizes: (K,) samples by true class.
        transition: (K, K) realised share of labels of class row that became class column.
        rates: (K,) realised noise rate by true class; nan for a class without samples.
        rate: realised noise rate over all.
        nominal_transition: (K, K) the chances that the labels were drawn with; of noise by instance their means.
        nominal_rates: (K,) of these, the chance of a wrong label by true class.
        nominal_rate: the same over all.
        notes: what a person should know of it, one a sentence.
    """

    labels: Ints
    sizes: Ints
    transition: Floats
    rates: Floats
    rate: float
    nominal_transition: Floats
    nominal_rates: Floats
    nominal_rate: float
    notes: tuple[str, ...] = ()


def run(
    config: CorruptConfig,
    true_labels: Ints,
    touched: NDArray[np.bool_],
    classes: tuple[str, ...],
    matrix: Floats | None = None,
    features: Features | None = None,
) -> CorruptOutputs:
    """Flip labels of the touched samples.

    Args:
        config: kind and rate of the noise.
        true_labels: (N,) class indices.
        touched: (N,) which samples are of a split to corrupt.
        classes: names in order.
        matrix: (K, K) for transition noise, rows sum to 1; a class whose row is nan keeps its labels.
        features: for noise by instance, of the touched samples.

    Raises:
        UsageError: a class named does not exist, fewer than two are left, or options do not go with the noise.
        NothingToDoError: no sample is touched.
    """
    check(config, matrix is not None, features is not None)
    if not touched.any():
        raise NothingToDoError(f"no sample is in a split to corrupt ({', '.join(config.splits)})")
    before = true_labels[touched]
    after, nominal = _drawn(config, before, classes, matrix, features)
    noisy = true_labels.copy()
    noisy[touched] = after
    transition, rates = label_noise.realised(before, after, len(classes))
    sizes = np.bincount(before, minlength=len(classes))
    nominal_rates = np.round(1 - np.diag(nominal), 12)  # without what rounding leaves of 1 - 0.7
    nominal_rate = round(float(np.nansum(nominal_rates * sizes) / sizes.sum()), 12)
    return CorruptOutputs(
        labels=noisy,
        sizes=sizes,
        transition=transition,
        rates=rates,
        rate=float((after != before).mean()),
        nominal_transition=nominal,
        nominal_rates=nominal_rates,
        nominal_rate=nominal_rate,
        notes=_notes(config, classes, matrix),
    )


def check(config: CorruptConfig, has_matrix: bool, has_features: bool) -> None:
    """Refuse options that do not go with the noise asked for.

    Args:
        config: kind and rate of the noise.
        has_matrix: whether a transition matrix is given.
        has_features: whether features are given.

    Raises:
        UsageError: naming both.
    """
    if has_matrix and config.noise != "transition":
        raise UsageError("--transition: goes with --noise transition alone")
    if has_features and config.noise != "instance":
        raise UsageError("--features: goes with --noise instance alone")
    if config.noise == "transition":
        given = {"--rate": config.rate is not None, "--map": bool(config.map), "--exclude": bool(config.exclude)}
        if any(given.values()):
            named = listing([option for option, is_given in given.items() if is_given])
            raise UsageError(f"{named}: not with --transition, whose matrix says what becomes of each class")
        if not has_matrix:
            raise UsageError("--noise transition needs --transition FILE.csv")
    if config.map and config.noise != "asymmetric":
        raise UsageError("--map: goes with --noise asymmetric alone")


def _drawn(
    config: CorruptConfig, labels: Ints, classes: tuple[str, ...], matrix: Floats | None, features: Features | None
) -> tuple[Ints, Floats]:
    """Return noisy labels, (N,), and the chances that they were drawn with, (K, K)."""
    generator = numpy_generator(config.seed, "corrupt")
    if matrix is not None:
        filled = np.where(np.isnan(matrix), np.eye(len(classes)), matrix)
        return label_noise.by_matrix(labels, filled, generator), filled
    assert config.rate is not None
    excluded = {_index(name, classes, "--exclude") for name in config.exclude}
    if config.noise == "asymmetric":
        return _mapped(labels, config.rate, _candidates(config, classes, excluded), len(classes), generator)
    open_classes = np.array([index for index in range(len(classes)) if index not in excluded])
    if len(open_classes) < 2:
        raise UsageError("--exclude: leaves fewer than two classes that labels could move between")
    if config.noise == "pair":
        return _mapped(labels, config.rate, label_noise.ring(open_classes), len(classes), generator)
    if config.noise == "instance":
        assert features is not None
        found = instance(labels, features, config.rate, len(classes), open_classes, generator)
        return found.labels, found.transition
    nominal = label_noise.symmetric_matrix(len(classes), config.rate, open_classes)
    return label_noise.symmetric(labels, config.rate, open_classes, generator), nominal


def _mapped(
    labels: Ints, rate: float, candidates: dict[int, Ints], classes: int, generator: np.random.Generator
) -> tuple[Ints, Floats]:
    noisy = label_noise.asymmetric(labels, rate, candidates, generator)
    return noisy, label_noise.asymmetric_matrix(classes, rate, candidates)


def _candidates(config: CorruptConfig, classes: tuple[str, ...], excluded: set[int]) -> dict[int, Ints]:
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


def _notes(config: CorruptConfig, classes: tuple[str, ...], matrix: Floats | None) -> tuple[str, ...]:
    if matrix is not None:
        empty = [name for name, row in zip(classes, matrix, strict=True) if np.isnan(row).all()]
        told = f"the matrix has no row for {listing(empty)}: labels of that class are left as they are"
        return (told,) if empty else ()
    mean = mean_flip_rate(config.rate or 0) if config.noise == "instance" else config.rate
    if mean is None or config.rate is None or abs(mean - config.rate) <= _OFF:
        return ()
    return (f"flip rates have the mean {mean:.2f}, not {config.rate:g}: they are drawn around it and cut at 0 and 1",)
