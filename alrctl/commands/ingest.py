"""`alrctl ingest`: images and labels in, decoded once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from alrctl import files, manifest, sources, workers
from alrctl.console import LiveReport
from alrctl.dataset import CLASSES
from alrctl.decoding import look_through, write_pack
from alrctl.image_pack import PACK
from alrctl.job import Job
from alrctl.options import as_command
from alrctl.parameters import Out
from alrctl.session import Outcome, Session, Summary
from alrctl.sources.collection import Collection
from alrctl.summary import tell
from alrctl.target import Target
from schemas.classes import check_enough
from schemas.labels import LABELS
from schemas.samples import SAMPLES
from stages import ingest as stage

EXAMPLE = "alrctl ingest photos/ -o work/data --image-size 64"


def ingest(
    session: Session,
    config: stage.IngestConfig,
    source: Annotated[Path, typer.Argument(help="folder, CSV, parquet, .npz or HDF5", metavar="SOURCE")],
    out: Out,
) -> Outcome:
    """Take in images and labels."""
    job = Job(session, "ingest", out, _recorded(config, out))
    layout, found = sources.read(source, config)
    count = workers.number(config.workers)
    with workers.at_work(count, found.records.height if found.are_files else 0) as pool:
        report = LiveReport(session.voice, "ingest")
        with report.shown():
            contents = look_through(found, config.skip_broken, pool, report)
        _record(job, source, found, contents.digests)

        def work(target: Target) -> Summary:
            outputs = stage.run(config, stage.IngestInputs(found.records, contents.digests, found.classes))
            for text in (*found.warnings, *outputs.warnings):
                target.report.warn(text)
            images = [found.image(row) for row in outputs.rows]
            stamps = [contents.stamps[row] for row in outputs.rows] if found.are_files else []
            pack = write_pack(target.path(PACK), target.state, images, stamps, config, pool, target.report)
            records = outputs.records.filter(pl.Series(pack.good))
            sizes = {"width": [width for width, _ in pack.sizes], "height": [height for _, height in pack.sizes]}
            records = records.with_columns(**{name: pl.Series(values) for name, values in sizes.items()})
            target.table(records.select(SAMPLES.schema.column_names()), SAMPLES)
            target.table(records.select("sample_id", "label", relabelled=pl.lit(False)), LABELS)
            ordered = found.ordered if config.ordered is None else config.ordered
            files.write_yaml({"names": list(found.classes), "ordered": ordered}, target.path(CLASSES))
            told = {"layout": layout, **_facts(outputs.facts, records), **_choices(found, ordered)}
            for text in stage.absent(told["by_split"]):  # broken images may have been the last of a class
                if text not in outputs.warnings:
                    target.report.warn(text)
            return {**told, "notes": _notes(found, pack.rules)}

        outcome = job.run(work)
    return tell(session, outcome, _story)


def _recorded(config: stage.IngestConfig, out: Path) -> stage.IngestConfig:
    """Return the options with the folder of the images as seen from the output, as inputs are recorded."""
    return config.model_copy(update={"root": manifest.relative(Path(config.root), out)}) if config.root else config


def _record(job: Job, source: Path, found: Collection, digests: list[str]) -> None:
    """Record the source as one input, by the content and name of every image, and the files that hold labels."""
    digest = hashlib.sha256()
    for row, content in zip(found.records.select("sample_id", "label", "source").iter_rows(), digests, strict=True):
        digest.update(repr((row, content)).encode())
    job.need_folder("source", source, digest.hexdigest(), found.records.height)
    for path in found.extra_files:
        job.need_raw(path.name, path)


def _facts(facts: dict[str, Any], records: pl.DataFrame) -> dict[str, Any]:
    """Count anew: broken images may have been left out since the splits were made."""
    found = {(split, label): count for split, label, count in records.group_by("split", "label").len().iter_rows()}
    splits = {
        split: {name: found.get((split, name), 0) for name in counts} for split, counts in facts["by_split"].items()
    }
    check_enough(splits["train"], 1, "the train split")
    return {**facts, "samples": records.height, "by_split": splits}


def _choices(found: Collection, ordered: bool) -> dict[str, Any]:
    """Return what is worth a word only where it is so."""
    facts = {"ordered": ordered, "missing_images": found.missing, "merged_classes": dict(found.merged)}
    return {name: value for name, value in facts.items() if value}


def _notes(found: Collection, rules: dict[str, int]) -> list[str]:
    turned = [f"{count} images of mode {mode} turned into 8-bit RGB" for mode, count in sorted(rules.items())]
    return [*found.notes, *turned]


def _story(session: Session, summary: Summary) -> None:
    names = list(summary["by_split"]["train"])
    header = ["class", *summary["by_split"]]
    rows = [[name, *(f"{counts[name]:,}" for counts in summary["by_split"].values())] for name in names]
    rows.append(["all", *(f"{sum(counts.values()):,}" for counts in summary["by_split"].values())])
    session.voice.table("", header, rows)


COMMAND = as_command(ingest, stage.IngestConfig)
