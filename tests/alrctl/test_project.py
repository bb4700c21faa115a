"""What evaluations belong together: the branches of a project, what they share, and what is no branch."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from alrctl.project import Artifact, Evaluation, branches


def judged(*named: tuple[str, int]) -> list[Evaluation]:
    """Return evaluations of these branches and labels bought."""
    nothing = cast(Artifact, Path())
    return [Evaluation(nothing, branch, bought, {}) for branch, bought in named]


def told(found: dict[str, list[Evaluation]]) -> dict[str, list[int]]:
    return {name: [one.bought for one in judged] for name, judged in found.items()}


def test_what_was_judged_before_any_label_was_bought_begins_each_branch_below() -> None:
    found = branches(judged(("", 0), ("entropy", 5), ("entropy", 10), ("random", 5)))
    assert told(found) == {"entropy": [0, 5, 10], "random": [0, 5]}
    deep = branches(judged(("seed-0/elr", 0), ("seed-0/elr/random", 5), ("seed-0/sce", 0), ("seed-0/sce/random", 5)))
    assert told(deep) == {"seed-0/elr/random": [0, 5], "seed-0/sce/random": [0, 5]}


def test_a_branch_that_bought_labels_is_a_branch_wherever_it_lies() -> None:
    assert told(branches(judged(("", 0), ("", 5)))) == {"": [0, 5]}
    assert told(branches(judged(("", 0), ("", 5), ("other", 3)))) == {"": [0, 5], "other": [3]}
    assert told(branches(judged(("a", 0), ("ab", 5)))) == {"a": [0], "ab": [5]}


def test_all_labels_corrected_come_last_and_bought_none() -> None:
    found = branches(judged(("", 0), ("bound", 0), ("entropy", 5), ("random", 5)))
    assert told(found) == {"entropy": [0, 5], "random": [0, 5], "bound": [0]}
    assert told(branches(judged(("", 0), ("bound", 0)))) == {"": [0], "bound": [0]}
