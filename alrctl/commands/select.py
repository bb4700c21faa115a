"""`alrctl select`: the queue for an expert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from alrctl import files
from alrctl.artifacts import recorded_input
from alrctl.job import Job, Outcome, Session, Summary, Target
from alrctl.options import as_command
from alrctl.parameters import Out
from alrctl.summary import tell
from schemas.queue import QUEUE
from schemas.samples import SAMPLES
from schemas.scores import SCORES
from stages import select as stage

EXAMPLE = "alrctl select work/r1/scores --strategy entropy --budget 70 -o work/r1/queue"


def select(
    session: Session,
    config: stage.SelectConfig,
    scores: Annotated[
        Path, typer.Argument(help="scores: the directory of `score`, or a parquet file", metavar="SCORES")
    ],
    out: Out,
) -> Outcome:
    """Choose samples."""
    job = Job(session, "select", out, config)
    scores_path = job.need("scores", scores, SCORES.file_name)
    samples = recorded_input(scores_path, "samples")
    if samples is not None:
        job.need("samples", samples, SAMPLES.file_name)

    def work(target: Target) -> Summary:
        outputs = stage.run(config, files.read_table(scores_path, SCORES))
        if outputs.queue.height < config.budget:
            wider = "; --pool all looks at the judged clean too" if config.pool == "noisy" else ""
            target.report.warn(f"{config.budget} labels asked for, and the pool holds {outputs.queue.height}{wider}")
        target.table(outputs.queue.select(QUEUE.schema.column_names()), QUEUE)
        target.csv(_to_fill_in(outputs.queue, samples), "queue.csv")
        return {**outputs.facts, "to_fill_in": "column 'label' of queue.csv, then `alrctl relabel ... --answers`"}

    return tell(session, job.run(work))


def _to_fill_in(queue: pl.DataFrame, samples: Path | None) -> pl.DataFrame:
    """Return the queue as an annotator fills it in: the empty columns are theirs."""
    sources = queue.select("sample_id").with_columns(image=pl.lit(None, pl.String))
    if samples is not None:
        known = files.read_table(samples, SAMPLES).select("sample_id", image="source")
        sources = queue.select("sample_id").join(known, on="sample_id", how="left", maintain_order="left")
    empty = {name: pl.lit(None, pl.String) for name in ("label", "annotator", "comment")}
    shown = queue.select("rank", "sample_id", sources["image"], "given_label", "suggested_label", "reason")
    return shown.with_columns(**empty).select(
        "rank", "sample_id", "image", "given_label", "suggested_label", "label", "annotator", "comment", "reason"
    )


COMMAND = as_command(select, stage.SelectConfig)
