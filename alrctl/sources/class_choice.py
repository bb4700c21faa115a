"""Which classes of a source are taken, and under what name: `--merge-class`, then `--keep-class`, `--exclude-class`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from alrctl.sources.collection import Collection
from schemas.errors import DataError, listing, nearest
from stages.ingest import IngestConfig


def choose(found: Collection, config: IngestConfig, origin: Path) -> Collection:
    """Merge classes, then keep or leave out by the names they have after that; say with counts what became of each.

    Raises:
        DataError: a name that is no class, grades merged that are no neighbours, fewer than two classes left, or two
            samples of one id.
    """
    merged = _merge(found, config.new_names, config.ordered, origin)
    names = _kept(merged.classes, config, origin)
    if len(names) < 2:
        raise DataError(f"{origin}: has one class ('{listing(names)}'); two are the least")
    chosen = _only(merged, names)
    _check_ids(chosen.records, origin)
    return chosen


def _merge(found: Collection, ours: Mapping[str, str], ordered: bool | None, origin: Path) -> Collection:
    """Give classes their new names; a merged class stands where the first of its parts stood."""
    if not ours:
        return found
    _check_known(ours, found.classes, "merge", origin)
    names = tuple(dict.fromkeys(ours.get(name, name) for name in found.classes))
    parts = {name: [old for old in found.classes if ours.get(old, old) == name] for name in names}
    if found.ordered if ordered is None else ordered:
        _check_neighbours(parts, found.classes, origin)
    counts = _counts(found)
    changed = {
        name: {old: counts[old] for old in old_names} for name, old_names in parts.items() if old_names != [name]
    }
    told = tuple(f"class '{name}' ({sum(of.values()):,}) is made of {_with_counts(of)}" for name, of in changed.items())
    label = pl.col("label").replace(list(ours), list(ours.values()))
    return replace(
        found,
        records=found.records.with_columns(label),
        classes=names,
        notes=(*found.notes, *told),
        merged=tuple(changed.items()),
    )


def _check_neighbours(parts: Mapping[str, list[str]], classes: tuple[str, ...], origin: Path) -> None:
    """Refuse to merge grades over another's head: there would be no order of the rest."""
    for name, old_names in parts.items():
        places = [classes.index(old) for old in old_names]
        if places != list(range(places[0], places[-1] + 1)):
            between = classes[next(place for place in range(places[0], places[-1]) if place not in places)]
            raise DataError(
                f"{origin}: class '{name}' would be made of grades that are no neighbours ('{between}' lies between); "
                "merge that too, or give the order up with --no-ordered"
            )


def _kept(classes: tuple[str, ...], config: IngestConfig, origin: Path) -> tuple[str, ...]:
    _check_known(config.keep_class, classes, "keep", origin, config.new_names)
    _check_known(config.exclude_class, classes, "exclude", origin, config.new_names)
    if config.keep_class:
        return tuple(name for name in classes if name in config.keep_class)
    names = tuple(name for name in classes if name not in config.exclude_class)
    if not names:
        raise DataError(f"{origin}: no class is left ({listing(classes)} are all excluded)")
    return names


def _check_known(
    names: Iterable[str], classes: tuple[str, ...], verb: str, origin: Path, ours: Mapping[str, str] | None = None
) -> None:
    for name in names:
        if name not in classes:
            renamed = f" (it is merged into '{ours[name]}')" if ours and name in ours else ""
            guess = renamed or nearest(name, classes) or f"; the classes are {listing(classes, 30)}"
            raise DataError(f"{origin}: no class '{name}' to {verb}{guess}")


def _only(found: Collection, names: tuple[str, ...]) -> Collection:
    """Leave out the samples of other classes."""
    if names == found.classes:
        return found
    counts = _counts(found)
    rest = {name: counts[name] for name in found.classes if name not in names}
    rows = np.flatnonzero(found.records["label"].is_in(names).to_numpy()).tolist()
    if not rows:
        raise DataError(f"no image is of class {listing(names)}")
    return replace(
        found.only(rows),
        classes=names,
        notes=(*found.notes, f"left out by class: {_with_counts(rest)}"),
        merged=tuple((name, of) for name, of in found.merged if name in names),
    )


def _counts(found: Collection) -> dict[str, int]:
    counted = dict(found.records["label"].value_counts().iter_rows())
    return {name: int(counted.get(name, 0)) for name in found.classes}


def _with_counts(counts: Mapping[str, int]) -> str:
    return listing([f"'{name}' ({count:,})" for name, count in counts.items()], 30)


def _check_ids(records: pl.DataFrame, origin: Path) -> None:
    twice = records.filter(pl.col("sample_id").is_duplicated())
    if twice.height:
        first = twice["sample_id"][0]
        raise DataError(
            f"{origin}: {twice.height} samples share an id with another (first: '{first}'); ids must be unique"
        )
