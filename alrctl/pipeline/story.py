"""What `run` says at the end: what each round bought, and what an expert is asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rich.markup import escape

from alrctl.console import Voice, cell
from alrctl.project import Evaluation, evaluations, rarest_class

_MOST_QUEUES = 20
_NAMED = ("branch", "round")
_COUNTED = ("labels_bought", "errors_mended")
_MEASURED = ("label_accuracy", "balanced_accuracy", "macro_f1", "rarest_class_recall")


def rounds(root: Path) -> list[dict[str, Any]]:
    """Return a row an evaluation: what was bought, and what it bought."""
    rare = rarest_class(root)
    return [_row(one, rare) for one in evaluations(root)] if root.is_dir() else []


def _row(one: Evaluation, rare: str | None) -> dict[str, Any]:
    quality = one.summary["label_quality"]
    return {
        "branch": one.branch,
        "round": one.artifact.path.parent.name.removeprefix("r"),
        "labels_bought": one.bought,
        "errors_mended": None if quality is None else quality["errors_mended"],
        "label_accuracy": one.label_accuracy(),
        "balanced_accuracy": one.metric("balanced_accuracy"),
        "macro_f1": one.metric("macro_f1"),
        "rarest_class": rare,
        "rarest_class_recall": one.of_class("recall", rare) if rare is not None else None,
    }


def table(voice: Voice, rows: Sequence[dict[str, Any]], seeds: Collection[str]) -> None:
    """Show the rows, those of several seeds as their mean and deviation, without columns in which there is nothing.

    Args:
        voice: shows it.
        rows: of `rounds`.
        seeds: directories that the seeds lie in.
    """
    if not rows:
        return
    rare = rows[0]["rarest_class"]
    found = _over_seeds(rows, seeds)
    shown = [name for name in (*_NAMED, *_COUNTED, *_MEASURED) if any(row[name] not in (None, "") for row in rows)]
    if not any(branch for branch, _ in found):
        shown = [name for name in shown if name != "branch"]
    words = {"rarest_class_recall": f"recall of '{rare}'"}
    header = [words.get(name, name.replace("_", " ")) for name in shown]
    told = [[_told(name, of_seeds) for name in shown] for of_seeds in found.values()]
    several = max(len(of_seeds) for of_seeds in found.values())
    voice.table(f"mean of {several} seeds ± standard deviation" if several > 1 else "", header, told)


def _over_seeds(rows: Sequence[dict[str, Any]], seeds: Collection[str]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the rows that differ in the seed alone together, by branch and round, in the order of the rows."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        branch = "/".join(part for part in row["branch"].split("/") if part not in seeds)
        found.setdefault((branch, row["round"]), []).append({**row, "branch": branch})
    return found


def _told(name: str, rows: Sequence[dict[str, Any]]) -> str:
    if name == "branch":
        return rows[0][name] or "(shared)"
    values = [row[name] for row in rows if row[name] is not None]
    if name == "round" or len(values) < 2:
        return cell(values[0] if values else None)
    middle = mean(values)
    if name in _COUNTED:
        return f"{middle:,.0f}" if float(middle).is_integer() else f"{middle:,.1f}"
    return f"{middle:.3f} ± {stdev(values):.3f}"


def references(voice: Voice, root: Path) -> None:
    """Say by which labels the networks were judged, where nobody knows how right these are."""
    asked = [one.summary for one in evaluations(root)] if root.is_dir() else []
    if asked and all(summary.get("reference_accuracy") is None for summary in asked):
        splits = ", ".join(sorted({summary["split"] for summary in asked}))
        voice.say(
            f"judged by the labels of the {splits} split as they came: where these are wrong, a right network counts\n"
            "as wrong, and labels mended in training may show as no gain."
        )


def awaited(voice: Voice, files: Sequence[tuple[Path, Path]]) -> None:
    """Say what an expert has to fill in, where, and how it goes on."""
    if len(files) == 1:
        voice.say(_one(*files[0]))
    elif files:
        voice.say(
            f"\nNow it is the expert's turn, in {len(files)} queues: fill in column 'label' of each queue.csv,\n"
            "save it there or as answers.csv beside the folder queue, and give the same command again."
        )
        for answers, _ in files[:_MOST_QUEUES]:
            voice.say(f"  {escape(str(answers.parent / 'queue' / 'queue.csv'))}")
        if len(files) > _MOST_QUEUES:
            voice.say(f"  and {len(files) - _MOST_QUEUES} more")


def _one(answers: Path, queue: Path) -> str:
    return (
        f"\nNow it is the expert's turn: fill in column 'label' of {escape(str(queue))},\n"
        f"save it there or as {escape(str(answers))}, and give the same command again.\n"
        f"Or label in a page (`alrctl review {escape(str(queue.parent))} -o review.html`) or in any tool,\n"
        f"and save what it gives as {escape(str(answers.with_suffix('')))}.csv, .json, .xml or .zip."
    )
