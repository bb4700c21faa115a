"""Reading evaluations to be compared: the same samples, references and classes, what was spent, and all corrected."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from alrctl import files, table_files
from alrctl.arms import Arms, Evaluation, Place, sort
from alrctl.dataset import CLASSES, classes_of
from alrctl.matrices import read_matrix
from schemas.classes import Classes
from schemas.errors import DataError, MismatchError, UsageError, plural
from schemas.ledger import LEDGER
from schemas.per_class import PER_CLASS
from schemas.predictions import PREDICTIONS
from schemas.samples import SAMPLES
from stages.compare import CompareConfig, CompareInputs, Judged
from stages.methods.accounts import Budget
from stages.methods.ledger import answers
from stages.methods.metrics import Yardstick
from stages.methods.predictions import Ints, Predictions
from stages.methods.samples import group_numbers, posteriors

METRICS = "metrics.json"


@dataclass(frozen=True)
class _Read:
    """An evaluation's files as read."""

    path: Path
    table: pl.DataFrame
    told: dict[str, Any]


def all_right(one: Evaluation) -> bool:
    """Return whether the labels that were learnt from are all right by the truth."""
    quality = one.artifact.manifest.summary.get("label_quality")
    return quality is not None and quality["label_accuracy"] == 1


def with_bound(evaluations: Sequence[Evaluation], given: Sequence[Evaluation]) -> tuple[Arms, tuple[Place, ...]]:
    """Sort evaluations into arms, and set apart those where all labels are right.

    Args:
        evaluations: to be compared.
        given: those of `--bound`; none, and they are told by the truth.

    Raises:
        UsageError: fewer than two are left to compare.
    """
    named = {one.artifact.path.resolve() for one in given}
    right = list(given) or [one for one in evaluations if all_right(one)]
    bought = [one for one in evaluations if one.lineage.ledger is not None]
    apart = {one.artifact.path.resolve() for one in right if one not in bought} | named
    left = [one for one in evaluations if one.artifact.path.resolve() not in apart]
    if not left and not given:  # where there never was a wrong label, nothing is a bound to anything
        left, right = list(evaluations), []
    if len(left) < 2:
        raise UsageError(f"{plural(len(left), 'evaluation')} to compare; two or more are needed")
    bound = {place.seed: place for place in reversed(sort(right).places)} if right else {}
    return sort(left), tuple(bound.values())


def read(config: CompareConfig, arms: Arms, bound: Sequence[Place]) -> CompareInputs:
    """Read all that is compared.

    Raises:
        DataError: a file is not readable, or what was spent is not known in the unit.
        MismatchError: evaluations are not of the same samples, references and classes.
        UsageError: there is no such control.
    """
    places = (*arms.places, *bound)
    by_digest: dict[str, Evaluation] = {}
    for place in places:
        by_digest.setdefault(place.evaluation.digest, place.evaluation)
    found = {digest: _read(one) for digest, one in by_digest.items()}
    first = next(iter(found.values()))
    for other in found.values():
        _check_same(first, other)
    evaluations = list(by_digest.values())
    classes = _classes(first, evaluations)
    given = {digest: _predictions(one, classes) for digest, one in found.items()}
    group = _groups(first.table, evaluations)
    spent = {id(place): _spent(config, place.evaluation) for place in arms.places}
    return CompareInputs(
        judged=[_judged(place, spent[id(place)], given[place.evaluation.digest]) for place in arms.places],
        controls=arms.held_to(config.control),
        bound=[_judged(place, math.nan, given[place.evaluation.digest]) for place in bound],
        group=np.arange(first.table.height) if group is None else group,
        by_image=group is None,
        classes=classes.names,
        yardstick=_yardstick(evaluations[0], classes),
    )


def _judged(place: Place, spent: float, given: Predictions) -> Judged:
    told = epoch_by(place.evaluation.artifact.manifest.summary)
    return Judged(place.arm, place.seed, spent, given, str(place.evaluation.artifact.path), told)


def epoch_by(summary: Mapping[str, Any]) -> str:
    """Return how right the labels were by which a network's epoch was chosen: clean, noisy, as given or unknown."""
    told = summary["validation"]
    return "last epoch" if told["chosen_by"].startswith("none") else str(told["labels"])


def _read(one: Evaluation) -> _Read:
    path = one.artifact.path
    table = table_files.read_table(path / PREDICTIONS.file_name, PREDICTIONS)
    return _Read(path, table.sort("sample_id"), files.read_json(path / METRICS))


def _check_same(first: _Read, other: _Read) -> None:
    """Refuse evaluations that cannot be compared.

    Raises:
        MismatchError: naming the two, and in what they differ.
    """
    both = f"{first.path} and {other.path}: cannot be compared"
    for name in ("split", "classes"):
        if first.told[name] != other.told[name]:
            raise MismatchError(f"{both}: other {name} ({_short(first.told[name])}; {_short(other.told[name])})")
    ids, others = first.table["sample_id"], other.table["sample_id"]
    if not ids.equals(others):
        lone = ids.filter(~ids.is_in(others.implode())).append(others.filter(~others.is_in(ids.implode())))
        raise MismatchError(f"{both}: other samples ({len(ids):,} and {len(others):,}; first in one only: '{lone[0]}')")
    differing = ids.filter(first.table["label"] != other.table["label"])
    if len(differing):
        raise MismatchError(f"{both}: other references for {len(differing):,} samples (first: '{differing[0]}')")


def _short(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _classes(first: _Read, evaluations: Iterable[Evaluation]) -> Classes:
    """Return the classes, and whether they are ordered where their file is still there."""
    for one in evaluations:
        path = one.artifact.input_directory("classes")
        if path is not None and (path / CLASSES).is_file():
            found = classes_of(path / CLASSES, first.table)
            if list(found.names) == first.told["classes"]:
                return found
    return Classes(names=tuple(first.told["classes"]))


def _predictions(one: _Read, classes: Classes) -> Predictions:
    place = {name: index for index, name in enumerate(classes.names)}
    label, said = (
        one.table[name].replace_strict(place, return_dtype=pl.Int64).to_numpy() for name in ("label", "predicted_label")
    )
    known = not one.table["posterior"].has_nulls()
    return Predictions(label, posteriors(one.table) if known else None, said, len(classes))


def _groups(table: pl.DataFrame, evaluations: Iterable[Evaluation]) -> Ints | None:
    """Return the number of each sample's group; None where no groups are known."""
    for one in evaluations:
        directory = one.artifact.input_directory("samples")
        if directory is None or not (directory / SAMPLES.file_name).is_file():
            continue
        samples = table_files.read_columns(directory / SAMPLES.file_name, SAMPLES, ["sample_id", "group_id"])
        joined = table.select("sample_id").join(samples, on="sample_id", how="left", maintain_order="left")
        if joined["group_id"].is_not_null().any():
            return group_numbers(joined)
    return None


def _yardstick(one: Evaluation, classes: Classes) -> Yardstick:
    """Return what else the first evaluation was judged by, so that all its metrics can be compared."""
    path, options = one.artifact.path, one.artifact.manifest.options
    per_class = table_files.read_table(path / PER_CLASS.file_name, PER_CLASS)
    groups = per_class["class_group"]
    costs = one.artifact.manifest.inputs.get("costs")
    file = None if costs is None else (path / costs.path)
    return Yardstick(
        tuple(sorted(set(options.get("top_k", ())))),
        classes.ordered,
        None if file is None or not file.is_file() else read_matrix(file, classes),
        {name: (groups == name).to_numpy() for name in ("many", "medium", "few")},
        options.get("calibration_bins", 15),
    )


def _spent(config: CompareConfig, one: Evaluation) -> float:
    """Return what was spent before an evaluation.

    Raises:
        DataError: nobody noted what answers took.
    """
    path = one.lineage.ledger
    if path is None:
        network = one.lineage.network
        relabelled = 0 if network is None else network.manifest.summary.get("relabelled") or 0
        if relabelled and config.x != "labels":
            raise DataError(f"{one.artifact.path}: {relabelled:,} labels came without a ledger; --x labels counts them")
        return float(relabelled)
    ledger = answers(table_files.read_table(path, LEDGER))
    if config.x == "labels":
        return float(ledger["charged"].sum())
    budget = Budget(math.inf, config.x, config.rate_per_hour)
    prices = [budget.price(row) for row in ledger.iter_rows(named=True)]
    unknown = sum(price is None for price in prices)
    if unknown:
        raise DataError(f"{path}: {_unknown(config, unknown)}")
    return sum(price for price in prices if price is not None)


def _unknown(config: CompareConfig, count: int) -> str:
    told = f"{count:,} answers without the seconds taken"
    if config.x == "money" and config.rate_per_hour is None:
        told += " or a price; --rate-per-hour prices the time where it is known"
    return f"{told}, so --x {config.x} cannot be told; --x labels can (an oracle takes --oracle-seconds)"


def input_files(places: Sequence[Place]) -> Mapping[str, Path]:
    """Return the files that a comparison reads of each evaluation, by role."""
    found: dict[str, Path] = {}
    each = {place.evaluation.artifact.path.resolve(): place.evaluation for place in places}
    for number, (path, one) in enumerate(sorted(each.items()), 1):
        found[f"predictions {number}"] = path / PREDICTIONS.file_name
        found[f"metrics {number}"] = path / METRICS
        if one.lineage.ledger is not None:
            found[f"ledger {number}"] = one.lineage.ledger
    return found
