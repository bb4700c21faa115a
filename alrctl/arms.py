"""Sorting evaluations into arms, the ways to spend a budget, and seeds, by what they were made from."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from alrctl import manifest
from alrctl.lineage import FOLDER, STRATEGY, Lineage, trace
from alrctl.project import Artifact, scan
from schemas.errors import DataError, UsageError, nearest
from schemas.predictions import PREDICTIONS

_OF_PHASE_1 = ("corrupt", "train-lnl")
_OF_ROUNDS = ("select", "recalibrate")
_USUAL = re.compile(r"eval|r\d+")


@dataclass(frozen=True)
class Evaluation:
    """One evaluation, and how it came to be."""

    artifact: Artifact
    lineage: Lineage

    @property
    def digest(self) -> str:
        """What tells its predictions from those of others."""
        return self.artifact.manifest.outputs[PREDICTIONS.file_name].sha256


@dataclass(frozen=True)
class Place:
    """An evaluation as a point of an arm: that of a seed."""

    arm: str
    seed: str
    evaluation: Evaluation


@dataclass(frozen=True)
class Arms:
    """All evaluations as points of arms.

    Attributes:
        places: an evaluation that several arms begin with stands once for each.
        controls: of each arm that has one, the name of its control, by what is recorded: the same but random choice,
            or else the only random arm there is.
        unlike: the arms whose control differs in more than the choice of samples.
        notes: what a person must know of how they were sorted.
    """

    places: tuple[Place, ...]
    controls: dict[str, str]
    unlike: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def told(self, control: str | None) -> list[str]:
        """Return the notes and, unless the user named the control, which controls differ in more than the choice."""
        unlike = [] if control is not None else self.unlike
        return [
            *self.notes,
            *(
                f"the control of '{name}' is '{self.controls[name]}', which differs in more than the choice of "
                "samples: their difference is not of the choice alone"
                for name in unlike
            ),
        ]

    def names(self) -> list[str]:
        """Return the names of the arms, in order."""
        return sorted({one.arm for one in self.places})

    def held_to(self, control: str | None) -> dict[str, str]:
        """Return each arm's control; of all the one named, if one is.

        Raises:
            UsageError: there is no such arm.
        """
        if control is None:
            return self.controls
        names = self.names()
        if control not in names:
            told = f"the arms are {', '.join(names)}"
            raise UsageError(f"--control: no arm '{control}'{nearest(control, names)} ({told})")
        return {name: control for name in names if name != control}


def find(roots: Iterable[Path]) -> list[Evaluation]:
    """Return the evaluations at or below these places, each once.

    Raises:
        DataError: a place is not there, or holds none.
    """
    found: dict[Path, Evaluation] = {}
    for root in roots:
        if not root.is_dir():
            raise DataError(f"{root}: no such directory")
        here = [one for one in scan(root) if one.manifest.stage == "evaluate"]
        if not here:
            raise DataError(f"{root}: holds no evaluation; `alrctl evaluate` writes one")
        for one in here:
            found.setdefault(one.path.resolve(), Evaluation(one, trace(one, _folder(one.path, root))))
    return [found[path] for path in sorted(found)]


def read(places: Iterable[Path]) -> list[Evaluation]:
    """Return the evaluations at these very places.

    Raises:
        DataError: one is none.
    """
    found = []
    for place in places:
        told = manifest.read(place)
        if told is None or told.stage != "evaluate":
            raise DataError(f"{place}: is no evaluation; `alrctl evaluate` writes one")
        artifact = Artifact(place, told)
        found.append(Evaluation(artifact, trace(artifact, _folder(place, place))))
    return found


def _folder(path: Path, root: Path) -> str:
    """Return the part of an evaluation's path that tells of which run it is."""
    inner = Path(os.path.relpath(path.resolve(), root.resolve())).parts
    for parts in (inner, path.resolve().parts):
        kept = [part for part in parts if part != "." and not _USUAL.fullmatch(part)]
        if kept:
            return "/".join(kept) if parts is inner else kept[-1]
    return "run"


_UNCHECKED = (
    "nobody knows how right the labels are that networks were judged by: where these are wrong, a right network counts "
    "as wrong, and labels mended in training may show as no gain"
)


def sort(evaluations: Sequence[Evaluation]) -> Arms:
    """Sort evaluations into arms and seeds.

    An arm is a longest sequence of settings, of phase 1 and of each round; an evaluation is a point of every arm that
    begins with its own settings.
    """
    tips = _longest([one.lineage for one in evaluations])
    names = _names(tips)
    notes: list[str] = []
    places: list[Place] = []
    for name, tip in zip(names, tips, strict=True):
        places += _places(name, [one for one in evaluations if one.lineage.begins(tip)], notes)
    if all(one.artifact.manifest.summary.get("reference_accuracy") is None for one in evaluations):
        notes.append(_UNCHECKED)
    controls, unlike = _controls(dict(zip(names, tips, strict=True)))
    return Arms(tuple(places), controls, unlike, tuple(notes))


def _longest(lineages: Iterable[Lineage]) -> list[Lineage]:
    """Return one lineage of each sequence of settings that is not the beginning of another."""
    each = {(one.start, one.rounds): one for one in lineages}
    return [one for one in each.values() if not any(one.begins(other) for other in each.values() if other is not one)]


def _names(tips: Sequence[Lineage]) -> list[str]:
    """Name arms by strategy, and by whatever else differs among them."""
    tables = [tip.table() for tip in tips]
    keys = list(dict.fromkeys(key for table in tables for key in table if key not in (STRATEGY, FOLDER)))
    differing = [key for key in keys if len({table[key] for table in tables if key in table}) > 1]
    options = [key.partition(" ")[2] for key in differing]
    short = {k: o if options.count(o) == 1 else k for k, o in zip(differing, options, strict=True)}
    names: list[str] = []
    plain: list[str] = []
    for tip, table in zip(tips, tables, strict=True):
        first = table.get(STRATEGY) or table.get(FOLDER) or ("retrained" if tip.rounds else "phase 1")
        name = ", ".join([first, *(f"{short[key]} {table[key]}" for key in differing if key in table)])
        plain.append(name)
        names.append(name if plain.count(name) == 1 else f"{name} ({plain.count(name)})")
    return names


def _controls(tips: dict[str, Lineage]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return each arm's control, and the arms of which it differs in more than the choice of samples.

    It is the random arm that differs in nothing but the strategy, else in nothing but the choice, else the only one.
    """
    random = [name for name, tip in tips.items() if tip.table().get(STRATEGY) == "random"]
    found, unlike = {}, []
    for name, tip in tips.items():
        if name in random:
            continue
        apart = {other: _differing(tip, tips[other]) for other in random}
        by_choice = [other for other in random if all(key.startswith(_OF_CHOICE) for key in apart[other])]
        alike = [other for other in random if not apart[other]] or by_choice or random
        if len(alike) == 1:
            found[name] = alike[0]
            if not by_choice:
                unlike.append(name)
    return found, tuple(sorted(unlike))


_OF_CHOICE = ("score ", "select ")


def _differing(one: Lineage, other: Lineage) -> set[str]:
    """Return what differs, but for the strategy, over the rounds that both have."""
    shared = min(len(one.rounds), len(other.rounds))
    first, second = (Lineage(tip.start, tip.rounds[:shared]).table() for tip in (one, other))
    differing = {key for key in (*first, *second) if first.get(key) != second.get(key)}
    return differing - {STRATEGY, FOLDER, "select mix"}


def _places(arm: str, members: Sequence[Evaluation], notes: list[str]) -> list[Place]:
    """Return the points of one arm, seed by seed."""
    by_phase_1: dict[str, list[Evaluation]] = {}
    for one in members:
        by_phase_1.setdefault(_seed(one, _OF_PHASE_1), []).append(one)
    places: list[Place] = []
    for seed, runs in by_phase_1.items():
        for name, points in _repetitions(seed, runs).items():
            taken: dict[int, Evaluation] = {}
            for one in points:
                first = taken.setdefault(len(one.lineage.rounds), one)
                if first.digest != one.digest:
                    same = f"by all that is recorded the same as {first.artifact.path}"
                    notes.append(f"{one.artifact.path}: left out; it is {same}, and says something else")
            places += [Place(arm, name, one) for one in taken.values()]
    return places


def _repetitions(seed: str, runs: Sequence[Evaluation]) -> dict[str, list[Evaluation]]:
    """Tell apart by the seeds of rounds what began with the same phase 1, where there are several."""
    own = {_seed(one, _OF_ROUNDS, named=True) for one in runs if one.lineage.rounds}
    lengths = [len(one.lineage.rounds) for one in {one.digest: one for one in runs}.values()]
    if len(own) < 2 or len(set(lengths)) == len(lengths):
        return {seed: list(runs)}
    return {
        f"{seed} ({name})": [
            one for one in runs if not one.lineage.rounds or _seed(one, _OF_ROUNDS, named=True) == name
        ]
        for name in sorted(own)
    }


def _seed(one: Evaluation, stages: Sequence[str], named: bool = False) -> str:
    """Return the seeds of stages as one name: a single number where all are the same."""
    known = {stage: one.lineage.seeds[stage] for stage in stages if stage in one.lineage.seeds}
    if named:
        return ", ".join(f"{stage} {seed}" for stage, seed in known.items())
    return "/".join(map(str, dict.fromkeys(known.values()))) or "-"
