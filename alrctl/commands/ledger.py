"""`alrctl ledger`: whether a ledger is sound, what answers cost, how far annotators agree, what files came in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

import polars as pl
import typer
from rich.markup import escape

from alrctl import ledgers
from alrctl.console import cell
from alrctl.dataset import classes_of
from alrctl.labels_out import recorded_classes
from alrctl.options import as_command
from alrctl.relabel_story import agreement as tell_agreement
from alrctl.relabel_story import costs as tell_costs
from alrctl.session import Session
from alrctl.surface import one_of
from schemas.errors import UsageError, nearest, plural
from schemas.labels import LABELS
from stages.methods import ledger as methods
from stages.methods.accounts import named_classes
from stages.methods.consensus import agreement, mean_kappa

EXAMPLE = "alrctl ledger verify work/r1/labels"
Action = Literal["verify", "costs", "agreement", "files"]
_ACTIONS = ("verify", "costs", "agreement", "files")


def ledger(
    session: Session,
    action: Annotated[
        str,
        typer.Argument(
            help="verify, costs, agreement or files", metavar="ACTION", autocompletion=one_of(get_args(Action))
        ),
    ],
    place: Annotated[
        Path,
        typer.Argument(help="labels with their ledger; or a directory, whose longest ledger is taken", metavar="PLACE"),
    ] = Path("."),
    rate_per_hour: Annotated[
        float, typer.Option("--rate-per-hour", min=0, help="for costs: what an hour of an annotator's time costs")
    ]
    | None = None,
) -> None:
    """Look into a ledger; it is verified in any case."""
    if action not in _ACTIONS:
        raise UsageError(f"ACTION: '{action}' is not one of {', '.join(_ACTIONS)}{nearest(action, _ACTIONS)}")
    path = ledgers.latest(place)
    labels, events = ledgers.read(path.parent / LABELS.file_name, path)
    _SHOWN[action](session, path, labels, events, rate_per_hour)


def _verify(session: Session, path: Path, labels: pl.DataFrame, events: pl.DataFrame, _: float | None) -> None:
    decided = int(labels["relabelled"].sum())
    last = events["hash"][-1] if events.height else None
    session.voice.say(
        f"{escape(str(path))} is sound: {plural(events.height, 'event')}, each with the hash it should have;"
    )
    session.voice.say(f"{plural(labels.height, 'label')} are what it leads to, {decided:,} of them an expert's")
    if last is not None:
        session.voice.say(f"last hash: {last}")
        session.voice.say("Keep that hash elsewhere: it shows if ever the whole ledger is written anew.")
    session.voice.document({"status": "sound", "events": events.height, "relabelled": decided, "last_hash": last})


def _costs(session: Session, path: Path, labels: pl.DataFrame, events: pl.DataFrame, rate: float | None) -> None:
    spent = methods.spent(events, rate)
    tell_costs(session, [list(row) for row in spent.iter_rows()])
    total = spent.select(pl.col("labels", "minutes", "untimed", "money").sum()).row(0, named=True)
    known = {name: total[name] if spent[name].count() else None for name in total}
    session.voice.say(f"in all: {', '.join(f'{cell(value)} {name}' for name, value in known.items() if value)}")
    session.voice.document({"ledger": str(path), "spent": spent.to_dicts(), "total": known})


def _agreement(session: Session, path: Path, labels: pl.DataFrame, events: pl.DataFrame, _: float | None) -> None:
    classes = classes_of(recorded_classes(path), labels, events)
    pairs = agreement(named_classes(methods.standing(events)), classes.names, classes.ordered)
    tell_agreement(session, [list(row.values()) for row in pairs])
    mean = mean_kappa(pairs)
    session.voice.say(f"mean kappa: {cell(mean)}" if pairs else "no sample has two annotators' answers")
    session.voice.document({"ledger": str(path), "pairs": pairs, "mean_kappa": mean})


def _files(session: Session, path: Path, labels: pl.DataFrame, events: pl.DataFrame, _: float | None) -> None:
    answers = methods.answers(events)
    found = answers.group_by("source_sha256", "source_file", "round", maintain_order=True).agg(
        pl.len().alias("answers"), pl.col("withdrawn").sum(), pl.col("annotator").drop_nulls().unique().sort()
    )
    rows = [
        [row["source_file"], row["source_sha256"][:12], str(row["round"]), cell(row["answers"]), cell(row["withdrawn"])]
        for row in found.iter_rows(named=True)
    ]
    session.voice.table("", ["file", "sha256", "round", "answers", "taken back"], rows)
    session.voice.document({"ledger": str(path), "files": found.to_dicts()})


_SHOWN = {"verify": _verify, "costs": _costs, "agreement": _agreement, "files": _files}

COMMAND = as_command(ledger, plain=True)
