"""What a run would do, as a tree: what is done, what is stale and why, what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Literal

from rich.markup import escape
from rich.tree import Tree

from alrctl import manifest
from alrctl.console import Voice
from alrctl.pipeline.answers import answers_file
from alrctl.pipeline.plan import Step
from alrctl.session import Session
from schemas.errors import plural

Word = Literal["done", "stale", "missing", "waiting"]
_AFTER = "after "
_COLOURS: dict[Word, str] = {"done": "green", "stale": "yellow", "missing": "dim", "waiting": "cyan"}


@dataclass(frozen=True)
class State:
    """Where a step stands.

    Attributes:
        word: waiting is where an expert's answers are lacking.
        why: what makes it stale, empty for others.
    """

    word: Word
    why: str = ""


def states(session: Session, steps: Sequence[Step]) -> dict[str, State]:
    """Return where each step stands; nothing is written."""
    looking = replace(session, voice=Voice(quiet=True), dry_run=True)
    found: dict[str, State] = {}
    for step in steps:
        found[step.name] = _state(looking, step, found)
    return found


def _state(looking: Session, step: Step, found: Mapping[str, State]) -> State:
    there = manifest.read(step.arguments["out"]) is not None
    pending = [name for name in step.after if name in found and found[name].word != "done"]
    if pending:
        return State("stale", f"{_AFTER}{pending[0]}") if there else State("missing")
    if step.awaited is not None:
        answers = answers_file(*step.awaited)
        if answers is None:
            return State("waiting", f"for {step.awaited[0]}")
        step.arguments["answers"] = answers
    outcome = step.function(looking, **step.arguments)
    if outcome.status == "unchanged":
        return State("done")
    return State("stale", str(outcome.summary.get("reason", ""))) if there else State("missing")


def show(voice: Voice, root: Path, states: Mapping[str, State]) -> None:
    """Show the states below each other as the directories lie, the steps of a round on a line."""
    tree = Tree(f"[bold]{escape(str(root))}[/]", guide_style="dim")
    nodes = {"": tree}
    lines: dict[tuple[str, str], dict[str, State]] = {}
    for name, state in states.items():
        folder, _, last = name.rpartition("/")
        above, _, group = folder.rpartition("/")
        place, part = ((above, group), last) if _is_round(group) else ((folder, last), "")
        lines.setdefault(place, {})[part] = state
    for (folder, label), parts in lines.items():
        _node(nodes, folder).add(f"{escape(label):<6} {_said(parts)}")
    voice.show(tree)
    counts = [f"{sum(one.word == word for one in states.values())} {word}" for word in _COLOURS]
    voice.say(f"{plural(len(states), 'step')}: {', '.join(text for text in counts if not text.startswith('0 '))}")


def _is_round(group: str) -> bool:
    return group == "bound" or (group[:1] == "r" and group[1:].isdigit())


def _said(parts: Mapping[str, State]) -> str:
    """Return the states of the steps on a line, neighbours in one state together; where all are, without names."""
    told = {part: _plain(state) for part, state in parts.items()}
    groups = [(words, [part for part, _ in found]) for words, found in groupby(told.items(), key=lambda pair: pair[1])]
    if len(groups) == 1:
        return str(groups[0][0])
    return ", ".join(f"{escape(', '.join(names))} {words}" for words, names in groups)


def _plain(state: State) -> str:
    why = f" ({escape(state.why)})" if state.why and not state.why.startswith(_AFTER) else ""
    return f"[{_COLOURS[state.word]}]{state.word}[/]{why}"


def _node(nodes: dict[str, Tree], folder: str) -> Tree:
    if folder not in nodes:
        above, _, last = folder.rpartition("/")
        nodes[folder] = _node(nodes, above).add(f"[bold]{escape(last)}/[/]")
    return nodes[folder]
