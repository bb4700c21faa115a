"""Filling a queue: one pick after the other, within the budget, the quotas and the groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from stages.methods.acquisition import Bools, Chooser, Floats, Ints, Pick

_CENT = 1e-9
"""What the budget may be passed by, for sums of fractions."""


@dataclass(frozen=True)
class Limits:
    """What a queue of N candidates is held to.

    Attributes:
        budget: what all looks together may cost.
        cost: (N,) of one look at each, above 0.
        label: (N,) class that quotas and floors go by.
        most: by class, how many at most.
        least: by class, how many at least, as far as there are so many.
        group: (N,) number of each one's group; None where groups do not matter.
        whole: whether a pick brings its whole group along; else one of a group is enough.
    """

    budget: float
    cost: Floats
    label: Ints
    most: Mapping[int, int] = field(default_factory=dict)
    least: Mapping[int, int] = field(default_factory=dict)
    group: Ints | None = None
    whole: bool = False

    @property
    def picks(self) -> int | None:
        """How many picks there will be, where that hangs on nothing but their number; None where it does."""
        if self.most or self.least or self.group is not None or not len(self.cost) or np.ptp(self.cost):
            return None
        return min(len(self.cost), int((self.budget + _CENT) // self.cost[0]))


class Mixed:
    """Takes picks from several choosers in turn, in proportion to their weights.

    Attributes:
        by: which chooser, by name, picked a place.
    """

    def __init__(self, choosers: Mapping[str, Chooser], weights: Mapping[str, float]) -> None:
        self.by: dict[int, str] = {}
        self._choosers = choosers
        self._share = {name: weights[name] / sum(weights.values()) for name in choosers}
        self._asked = dict.fromkeys(choosers, 0)
        self._first: list[Pick] = []
        self._first_of = ""

    def choose_first(self, name: str, picks: int, candidates: int) -> None:
        """Let one make its choice among all N candidates before the others; it is still given in its turn.

        A random sample of the candidates is one only if the others have not taken theirs from them before.

        Args:
            name: of the chooser.
            picks: that all together will make.
            candidates: N.
        """
        turns = Mixed(self._choosers, self._share)
        count = sum(turns._turn() == name for _ in range(picks))
        allowed = np.ones(candidates, dtype=bool)
        for _ in range(count):
            pick = self._choosers[name].next(allowed)
            if pick is None:
                break
            allowed[pick[0]] = False
            self._first.append(pick)
        self._first_of = name
        self._first.reverse()

    def next(self, allowed: Bools) -> Pick | None:
        """Ask the one that is most behind its share."""
        name = self._turn()
        if name == self._first_of and self._first:
            pick: Pick | None = self._first.pop()
        else:
            pick = self._choosers[name].next(self._not_promised(allowed))
        if pick is not None:
            self.by[pick[0]] = name
        return pick

    def _not_promised(self, allowed: Bools) -> Bools:
        """Leave out what the one that chose first will still be given."""
        if not self._first:
            return allowed
        free = allowed.copy()
        free[[place for place, _ in self._first]] = False
        return free

    def _turn(self) -> str:
        """Return whose turn it is, and count it."""
        total = sum(self._asked.values()) + 1
        name = max(self._choosers, key=lambda one: self._share[one] * total - self._asked[one])
        self._asked[name] += 1
        return name

    def took(self, place: int) -> None:
        """Let all know."""
        for chooser in self._choosers.values():
            chooser.took(place)

    def again(self) -> None:
        """Let all begin at their top."""
        for chooser in self._choosers.values():
            chooser.again()


def fill(chooser: Chooser, limits: Limits) -> list[Pick]:
    """Return picks in order until the budget is spent, or no candidate is left that may be picked."""
    queue = _Queue(chooser, limits)
    picks: list[Pick] = []
    while True:
        allowed = queue.allowed()
        pick = chooser.next(allowed)
        if pick is not None:
            picks += queue.accept(*pick)
        elif not queue.give_up_what_is_owed():
            return picks
        else:
            chooser.again()


def available(members: Bools, group: Ints | None) -> int:
    """Return how many of the candidates marked, (N,), can be picked: one of a group, where groups matter."""
    return int(members.sum()) if group is None else len(np.unique(group[members]))


class _Queue:
    """What may still be picked, and what is left of the budget."""

    def __init__(self, chooser: Chooser, limits: Limits) -> None:
        self._chooser = chooser
        self._limits = limits
        self._left = limits.budget
        self._dearest = float(limits.cost.max(initial=0.0))
        self._free = limits.cost <= limits.budget + _CENT
        self._most = dict(limits.most)
        for label in limits.most:
            self._close_if_full(label)
        self._owed = {
            label: min(count, available(limits.label == label, limits.group)) for label, count in limits.least.items()
        }
        self._dues: Bools | None = None  # once all that is left is owed: the candidates of the classes it is owed to
        self._reserved = 0
        self._order = None if limits.group is None else np.argsort(limits.group, kind="stable")
        self._ordered = None if limits.group is None else limits.group[self._order]

    def allowed(self) -> Bools:
        """Return which candidates may be picked now, (N,)."""
        if self._dues is None and any(self._owed.values()):
            labels, cost = self._limits.label, self._limits.cost
            owed = [label for label, count in self._owed.items() if count]
            due = sum(self._owed[label] * float(cost[labels == label].max()) for label in owed)
            if self._left - self._dearest < due - _CENT:
                self._dues = np.isin(labels, owed)
        free = self._free if self._dues is None else self._free & self._dues
        return free if self._limits.group is None or self._limits.whole else self._without_reserved(free)

    def _without_reserved(self, free: Bools) -> Bools:
        """Leave out those whose group is the last that a class below its floor can have a sample of."""
        label, group = self._limits.label, self._limits.group
        assert group is not None
        reserved = np.zeros(len(free), dtype=bool)
        for owed, count in self._owed.items():
            open_groups = np.unique(group[self._free & (label == owed)])
            if count and len(open_groups) <= count:
                reserved |= np.isin(group, open_groups) & (label != owed)
        before, self._reserved = self._reserved, int(reserved.sum())
        if self._reserved < before:
            self._chooser.again()
        return free & ~reserved

    def give_up_what_is_owed(self) -> bool:
        """Open the queue to all classes again, where those below their floor are gone; say whether that was so."""
        opened = self._dues is not None or self._reserved > 0
        self._dues, self._owed, self._reserved = None, {}, 0
        return opened

    def accept(self, place: int, worth: float) -> list[Pick]:
        """Take a pick, and what comes with it; nothing where its group as a whole is past the budget."""
        members = self._members(place)
        taken = np.array([place])
        if self._limits.whole:
            taken = np.concatenate([[place], members[members != place]])
        self._free[members] = False
        if self._limits.cost[taken].sum() > self._left + _CENT:
            return []
        for member in taken.tolist():
            self._charge(member)
        return [(member, worth) for member in taken.tolist()]

    def _members(self, place: int) -> Ints:
        """Return the places of a candidate's group, or its own."""
        group = self._limits.group
        if group is None or self._order is None or self._ordered is None:
            return np.array([place])
        first, last = (np.searchsorted(self._ordered, group[place], side=side) for side in ("left", "right"))
        return self._order[first:last]

    def _charge(self, place: int) -> None:
        label = int(self._limits.label[place])
        self._chooser.took(place)
        self._left -= float(self._limits.cost[place])
        if self._left < self._dearest:
            self._free &= self._limits.cost <= self._left + _CENT
        if label in self._most:
            self._most[label] -= 1
            self._close_if_full(label)
        if self._owed.get(label):
            self._owed[label] -= 1
            if self._dues is not None and not self._owed[label]:
                self._dues &= self._limits.label != label

    def _close_if_full(self, label: int) -> None:
        if self._most[label] <= 0:
            self._free &= self._limits.label != label
