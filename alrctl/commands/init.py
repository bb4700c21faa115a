"""`alrctl init`: a commented pipeline file for a data set, after a look at it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.markup import escape

from alrctl import plain_files, weights
from alrctl.advice import Advice, advise
from alrctl.first_look import FirstLook, look
from alrctl.next_step import shown as typed
from alrctl.options import as_command
from alrctl.pipeline import parse
from alrctl.session import Outcome, Session
from schemas.errors import UsageError, shown
from stages.ingest import IngestConfig

EXAMPLE = "alrctl init photos -o work/pipeline.yaml"


def init(
    session: Session,
    config: IngestConfig,
    source: Annotated[Path, typer.Argument(help="images to ingest, or what `ingest` wrote", metavar="SOURCE")],
    out: Annotated[Path, typer.Option("--out", "-o", help="pipeline file to write")] = Path("pipeline.yaml"),
    expert: Annotated[
        str, typer.Option("--expert", help="file: real answers; oracle: an experiment on labels made wrong")
    ] = "file",
) -> Outcome:
    """Write a pipeline file."""
    if expert not in ("file", "oracle"):
        raise UsageError(f"--expert: '{expert}' is not one of file, oracle")
    found = look(source, config)
    advice = advise(found, _gpu(), weights.is_installed("efficientnet-lite0"))
    text = _text(source, out, expert, config, found, advice)
    parse(yaml.safe_load(text), out.parent, str(out))  # what is written must be what `run` takes
    status = plain_files.write(out, text, session)
    session.voice.say(f"[bold]init[/] {status}: {escape(str(out))}")
    rows = [[name, f"{count:,}", f"{found.train_counts[name]:,}"] for name, count in found.counts.items()]
    session.voice.table("", ["class", "images", "for training"], rows)
    session.voice.say(f"next: look at {escape(str(out))}, then alrctl run {escape(typed(out))}")
    summary = {
        "layout": found.layout,
        "images": found.images,
        "by_class": found.counts,
        "imbalance": round(found.imbalance, 1),
        "groups": found.groups,
        "splits": found.splits,
        "image_side": found.side,
        "notes": list(found.notes),
    }
    return Outcome("init", status, out, summary)


def _gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _text(source: Path, out: Path, expert: str, config: IngestConfig, found: FirstLook, advice: Advice) -> str:
    environment = Environment(
        loader=PackageLoader("alrctl"), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    environment.filters |= {"count": lambda number: f"{number:,}", "oneline": lambda text: shown(str(text), 300)}
    rarest = min(found.counts, key=lambda name: found.counts[name])
    output = "work" if out.parent.resolve() == Path.cwd() else "."
    return environment.get_template("pipeline.yaml.j2").render(
        command=shown(shlex.join(["alrctl", "init", str(source), "-o", str(out)]), 300),
        file=shown(typed(out), 300),
        folder=shown(typed(out.parent / output), 300),
        look=found,
        advice=advice,
        expert=expert,
        source=_as_yaml(os.path.relpath(source, out.parent)),
        output=output,
        given=_given(config, out.parent),
        sizes="no split"
        if not found.splits
        else ", ".join(f"{count:,} {name}" for name, count in found.splits.items()),
        rarest=rarest,
        rarest_quoted=_as_yaml(f"{rarest}=5"),
        maybe_ordered=all(name.strip().isdigit() for name in found.counts) and "ordered" not in config.model_fields_set,
        share=100 * advice.rounds * advice.budget / max(1, sum(found.train_counts.values())),
    )


def _given(config: IngestConfig, folder: Path) -> dict[str, str]:
    """Return the options of `ingest` that were given, as they are written in a file in that folder."""
    told: dict[str, Any] = config.model_dump(mode="json", include=config.model_fields_set)
    if config.root is not None:
        told["root"] = os.path.relpath(config.root, folder)
    return {name.replace("_", "-"): _as_yaml(value) for name, value in told.items()}


def _as_yaml(value: Any) -> str:
    """Return a value on one line of YAML."""
    return (
        yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9).removesuffix("\n...\n").strip()
    )


COMMAND = as_command(init, IngestConfig)
