"""What to type next, in a chain that is carried out by hand."""

from __future__ import annotations

import itertools
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from alrctl.lineage import maker
from alrctl.project import Artifact

_CHAIN = ("ingest", "corrupt", "audit", "train-lnl", "score", "select", "relabel", "undo", "recalibrate")
_OF_A_RUN = ("--force", "--dry-run", "--json", "--quiet", "--debug", "--allow-stale")
_ROUND = re.compile(r"r(\d+)")


def by_hand(artifacts: Sequence[Artifact], root: Path) -> list[str]:
    """Return the next commands after the newest of a project's artifacts; none where there is nothing to go on from.

    Args:
        artifacts: of the project, in the order in which they were finished.
        root: its directory.
    """
    chain = [one for one in artifacts if one.manifest.stage in _CHAIN]
    return [] if not chain else _After(chain[-1], artifacts, root).commands()


class _After:
    """What comes after one artifact."""

    def __init__(self, last: Artifact, artifacts: Sequence[Artifact], root: Path) -> None:
        self._last = last
        self._root = root
        self._artifacts = artifacts
        self._judged = {_source(one, "checkpoint") for one in artifacts if one.manifest.stage == "evaluate"}

    def commands(self) -> list[str]:
        """Return the commands that come next, those that must be chosen from among them on lines of their own."""
        stage = self._last.manifest.stage.replace("-", "_")
        found: list[str] = getattr(self, f"_after_{stage}")()
        return found

    def _after_ingest(self) -> list[str]:
        here = self._last.path
        return [_line("train-lnl", here, "--labels", here, "-o", self._root / "lnl")]

    def _after_corrupt(self) -> list[str]:
        return [_line("train-lnl", self._data(), "--labels", self._last.path, "-o", self._root / "lnl")]

    def _after_train_lnl(self) -> list[str]:
        return [*self._unless_judged(self._root / "r0/eval"), self._score(self._root / "r1", self._labels())]

    def _after_score(self) -> list[str]:
        return [_line("select", self._last.path, "--budget", 100, "-o", self._last.path.parent / "queue")]

    def _after_select(self) -> list[str]:
        scores = maker(self._last, "scores")
        return self._labelled(None if scores is None else scores.input_directory("labels"), "labels")

    def _after_audit(self) -> list[str]:
        if self._last.input_directory("queue") is None:
            return self._labelled(self._last.input_directory("labels"), "audited")
        return [_line("train-lnl", self._data(), "--labels", self._labels(), *self._as_before())]

    def _as_before(self) -> list[object]:
        """Return the options of the last phase 1, if there was one, and a place where nothing stands."""
        trained = [one for one in self._artifacts if one.manifest.stage == "train-lnl"]
        if not trained:
            return ["-o", self._root / "lnl"]
        options: list[object] = []
        data = Path(self._data()).resolve()
        words = iter(trained[-1].manifest.command[2:])  # after alrctl and the stage
        for word in words:
            if word in ("-o", "--out", "--labels"):
                next(words, None)
            elif not word.startswith(("--out=", "--labels=", *_OF_A_RUN)) and Path(word).resolve() != data:
                options.append(word)
        names = itertools.chain(["lnl-audited"], (f"lnl-audited-{number}" for number in itertools.count(2)))
        return [*options, "-o", next(place for name in names if not (place := self._root / name).exists())]

    def _labelled(self, labels: Path | None, out: str) -> list[str]:
        """Return how the queue is answered, and how the answers are taken in to a directory of that name."""
        here = self._last.path
        taken = ("--queue", here, "--answers", here / "queue.csv", "-o", here.parent / out)
        return [
            f"fill in column 'label' of {shown(here / 'queue.csv')}, or label in a page: "
            + _line("review", here, "-o", here.parent / "review.html"),
            _line("relabel", labels or "LABELS", *taken),
        ]

    def _after_relabel(self) -> list[str]:
        taken: Artifact | None = self._last
        while taken is not None and taken.manifest.stage == "undo":  # what was asked stands before it
            taken = maker(taken, "labels")
        asked = None if taken is None else maker(taken, "queue")
        if asked is not None and asked.manifest.stage == "audit":
            drawn = ("--labels", self._last.path, "--queue", asked.path)
            return [_line("audit", self._data(asked), *drawn, "-o", self._last.path.with_name("audit-result"))]
        scores = maker(asked, "scores")
        checkpoint = None if scores is None else scores.input_directory("checkpoint")
        data = scores.input_directory("samples") if scores is not None else self._last.input_directory("classes")
        trained = ("--labels", self._last.path, "--checkpoint", checkpoint or "CHECKPOINT")
        return [_line("recalibrate", data or "DATA", *trained, "-o", self._last.path.parent / "model")]

    _after_undo = _after_relabel

    def _after_recalibrate(self) -> list[str]:
        return [
            *self._unless_judged(self._last.path.parent / "eval"),
            self._score(_next_round(self._last.path.parent), self._labels()),
        ]

    def _data(self, one: Artifact | None = None) -> Path | str:
        return (one or self._last).input_directory("samples") or "DATA"

    def _labels(self) -> Path | str:
        return self._last.input_directory("labels") or "LABELS"

    def _unless_judged(self, out: Path) -> list[str]:
        """Return the command that judges a network, where that was not done."""
        here = self._last.path
        if here.resolve() in self._judged:
            return []
        return [_line("evaluate", self._data(), "--checkpoint", here, "--split", "test", "-o", out)]

    def _score(self, folder: Path, labels: Path | str) -> str:
        scored = ("--labels", labels, "--checkpoint", self._last.path, "-o", folder / "scores")
        return _line("score", self._data(), *scored)


def _source(one: Artifact, role: str) -> Path | None:
    found = one.input_directory(role)
    return None if found is None else found.resolve()


def _next_round(folder: Path) -> Path:
    """Return the directory of the round after that of `folder`."""
    number = _ROUND.fullmatch(folder.name)
    return folder.with_name(f"r{int(number[1]) + 1}") if number else folder / "next"


def _line(*words: object) -> str:
    return "alrctl " + " ".join(shown(word) for word in words)


def shown(word: object) -> str:
    """Return a word as it is typed: paths from here, where that is shorter."""
    if isinstance(word, Path):
        word = min(str(word), os.path.relpath(word), key=len)
    return shlex.quote(str(word))
