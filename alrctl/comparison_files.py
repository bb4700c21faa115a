"""What `compare` writes and says: tables, a figure, one document, and the story at the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import polars as pl
from rich.markup import escape

from alrctl import figures, files
from alrctl.session import Session, Summary
from alrctl.target import Target
from schemas.curves import CURVES
from stages.methods import verdicts
from stages.methods.findings import Arm, Findings, Point


def document(found: Findings, notes: Sequence[str], chosen_by: Sequence[str]) -> Summary:
    """Return a comparison as JSON can hold it.

    Args:
        found: figures.
        notes: of how evaluations were sorted.
        chosen_by: how epochs were chosen, each way once.
    """
    told: Summary = _plain(asdict(found))
    arms = {arm.pop("name"): arm for arm in told.pop("arms")}
    against = {held.pop("arm"): held for held in told.pop("against")}
    return told | {
        "arms": arms,
        "against": against,
        "epochs_chosen_by": list(chosen_by),
        "verdicts": {held.arm: verdicts.verdict(found, held) for held in found.against},
        "advice": {arm.name: verdicts.advice(found, arm) for arm in found.arms},
        "notes": [*notes, *verdicts.notes(found)],
    }


def _plain(value: Any) -> Any:
    """Return None for what is undefined, or lies beyond all budgets tried."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    assert not is_dataclass(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def curves(found: Findings) -> pl.DataFrame:
    """Return the curves as a table."""
    rows = []
    for arm in found.arms:
        rows += [_row(found, arm, None, point) for point in arm.points]
        rows += [_row(found, arm, seed, point) for seed, points in arm.by_seed.items() for point in points]
    return CURVES.rows(rows)


def _row(found: Findings, arm: Arm, seed: str | None, point: Point) -> dict[str, Any]:
    value = point.value
    ends = {"low": _plain(value.low), "high": _plain(value.high), "deviation": point.deviation}
    place = {"arm": arm.name, "seed": seed, "budget": point.budget, "unit": found.unit, "metric": found.metric}
    return place | {"value": value.value} | ends


def write(target: Target, found: Findings, told: Summary) -> None:
    """Write the curves, the document and the figure."""
    target.table(curves(found), CURVES)
    files.write_json(told, target.path("comparison.json"))
    figures.save(figures.budget_curves(found), target.path("curves"))


def story(session: Session, told: Summary) -> None:
    """Print a comparison for people."""
    voice = session.voice
    header = [told["unit"], "mean", "95 % interval", "sd", "epoch by"]
    rows = [row for name, arm in told["arms"].items() for row in _arm_rows(name, arm, told["common"])]
    voice.table(f"{told['metric'].replace('_', ' ')} by {told['unit']} bought", ["arm", *header], rows)
    if told["against"]:
        rows = [row for name, held in told["against"].items() for row in _against_rows(name, held, told["common"])]
        header = ["arm - control", told["unit"], "difference", "95 % interval"]
        voice.table("paired differences", header, rows)
    if told["bound"] is not None:
        bound = told["bound"]
        voice.say(f"all labels corrected: {_with_interval(bound['value'])}, epoch by {bound['validation']}")
        for name, arm in told["arms"].items():
            if arm["way"] is not None:
                voice.say(f"  {escape(name)}: {_share(arm['way'])} of the way from nothing bought to all corrected")
    for text in told["verdicts"].values():
        voice.say(f"[bold]{escape(text)}[/]")
    for text in told["advice"].values():
        voice.say(escape(text))
    voice.say(f"epoch chosen by: {escape('; '.join(told['epochs_chosen_by']))} ('epoch by': how right its labels are)")
    for text in told["notes"]:
        voice.say(escape(text))


def _arm_rows(name: str, arm: Mapping[str, Any], common: Sequence[float] | None) -> list[list[str]]:
    rows = []
    for number, point in enumerate(arm["points"]):
        spread = "-" if point["deviation"] is None else f"{point['deviation']:.3f}"
        value = f"{point['value']['value']:.3f}"
        rows.append([name if not number else "", _budget(point), value, _ends(point), spread, point["validation"]])
    if arm["area"] is not None:
        rows.append(["", _range(common), f"{arm['area']['value']:.3f}", _ends({"value": arm["area"]}), "", ""])
    return rows


def _against_rows(name: str, held: Mapping[str, Any], common: Sequence[float] | None) -> list[list[str]]:
    rows = [
        ["", _budget(point), f"{point['value']['value']:+.3f}", _ends(point, "+")]
        for point in held["points"]
        if point["budget"] > 0 or len(held["points"]) == 1
    ]
    if held["area"] is not None:
        area = held["area"]
        rows.append(["", _range(common), f"{area['value']:+.3f}", _ends({"value": area}, "+")])
    if rows:
        rows[0][0] = f"{name} - {held['control']}"
    return rows


def _budget(point: Mapping[str, Any]) -> str:
    return f"{point['budget']:,.0f}"


def _range(common: Sequence[float] | None) -> str:
    return "" if common is None else f"{common[0]:,.0f} to {common[1]:,.0f}"


def _ends(point: Mapping[str, Any], sign: str = "") -> str:
    value = point["value"]
    if value["low"] is None:
        return "-"
    return f"{value['low']:{sign}.3f} to {value['high']:{sign}.3f}"


def _with_interval(value: Mapping[str, Any]) -> str:
    return f"{value['value']:.3f} (95 % interval {_ends({'value': value})})"


def _share(value: Mapping[str, Any]) -> str:
    return f"{value['value']:.0%} (95 % interval {value['low']:.0%} to {value['high']:.0%})"
