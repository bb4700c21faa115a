"""`alrctl history`: all that ever happened to one sample's label."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from alrctl import ledgers
from alrctl.options import as_command
from alrctl.session import Session
from schemas.errors import MismatchError, nearest
from stages.methods.ledger import before_all

EXAMPLE = "alrctl history lesion_12 --labels work/r2/labels"
_MOST = 20000  # ids looked through for one that is alike


def history(
    session: Session,
    sample: Annotated[str, typer.Argument(help="id of the sample", metavar="SAMPLE")],
    labels: Annotated[
        Path, typer.Option("--labels", help="labels with their ledger; or a directory, whose longest ledger is taken")
    ] = Path("."),
) -> None:
    """Print a sample's events."""
    place = ledgers.latest(labels)
    current, ledger = ledgers.read(place.parent / "labels.parquet", place)
    if sample not in current["sample_id"]:
        guess = nearest(sample, current["sample_id"]) if current.height <= _MOST else ""
        raise MismatchError(f"{place.parent}: no sample '{sample}'{guess}")
    first = before_all(current, ledger).filter(sample_id=sample).row(0, named=True)
    now = current.filter(sample_id=sample).row(0, named=True)
    events = ledger.filter(sample_id=sample).to_dicts()
    session.voice.say(f"[bold]{escape(sample)}[/]: '{escape(now['label'])}' now, '{escape(first['label'])}' at first")
    by_whom = "an expert gave it" if now["relabelled"] else "as it was given"
    session.voice.say(f"  {by_whom}; ledger: {escape(str(place))}")
    if events:
        session.voice.table("", ["event", "round", "what", "who", "when", "from"], [_row(one) for one in events])
    else:
        session.voice.say("  nobody was asked about it")
    found = {"sample_id": sample, "label": now["label"], "first_label": first["label"], "events": events}
    session.voice.document(found)


def _row(one: dict[str, Any]) -> list[str]:
    who, when = one["annotator"] or "(nobody named)", one["answered_at"] or "-"
    return [str(one["event"]), str(one["round"]), _told(one), who, when, _source(one)]


def _told(one: dict[str, Any]) -> str:
    """Return an event in words."""
    said = {
        "vote": f"answered '{one['answer']}'",
        "adjudication": f"settled as '{one['answer']}'",
        "unclear": f"no answer: {one['problem']}",
        "withdrawal": f"event {one['withdraws']} taken back",
        "decision": f"'{one['label_before']}' becomes '{one['label_after']}'",
        "reversal": f"'{one['label_before']}' goes back to '{one['label_after']}'",
    }[one["kind"]]
    if one["kind"] == "decision" and one["label_before"] == one["label_after"]:
        said = f"'{one['label_after']}' confirmed"
    return f"{said} ({one['comment']})" if one["comment"] else said


def _source(one: dict[str, Any]) -> str:
    return "-" if one["source_file"] is None else f"{one['source_file']} {one['source_sha256'][:8]}"


COMMAND = as_command(history, plain=True)
