"""`alrctl relabel`: answers in, every change in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from alrctl import __version__, answers, files, labels_out, ledgers, manifest, naming, oracle, table_files
from alrctl.answers.bundle import Bundle
from alrctl.answers.found import Found
from alrctl.artifacts import recorded_input
from alrctl.console import LiveReport
from alrctl.dataset import classes_of
from alrctl.job import Job
from alrctl.options import as_command
from alrctl.parameters import Out
from alrctl.relabel_story import QUIET, story
from alrctl.session import Outcome, Session, Summary, require
from alrctl.summary import tell
from alrctl.target import Target
from alrctl.truths import need_truth
from schemas.classes import Classes
from schemas.errors import MismatchError, NothingToDoError, UsageError, listing, plural
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.packets import PACKETS
from schemas.queue import QUEUE
from schemas.samples import SAMPLES
from stages import relabel as stage
from stages.methods.class_reading import read_map
from stages.methods.ledger import answers as answers_of
from stages.methods.sample_names import Names

EXAMPLE = "alrctl relabel work/noisy --queue work/r1/queue --answers answers.csv -o work/r1/labels"

LabelsPlace = Annotated[
    Path, typer.Argument(help="label table to change: a directory, a parquet file or a CSV", metavar="LABELS")
]
QueuePlace = Annotated[
    Path, typer.Option("--queue", help="what was asked; without it the answers' own ids are the queue")
]
AnswersFile = Annotated[
    Path, typer.Option("--answers", help="what experts answered: a file, a folder or a zip, of any format known")
]
OraclePlace = Annotated[Path, typer.Option("--oracle", help="for experiments: answer the queue with this truth")]
ConfusionFile = Annotated[
    Path,
    typer.Option("--oracle-confusion", help="with --oracle: CSV of how often class (row) is called class (column)"),
]
DataPlace = Annotated[Path, typer.Option("--data", help="the data set, where it is not recorded with the labels")]


@dataclass(frozen=True)
class _Paths:
    """The input files."""

    labels: Path
    ledger: Path | None
    classes: Path | None
    queue: Path | None
    packets: Path | None
    samples: Path | None
    truth: Path | None
    confusion: Path | None


def relabel(
    session: Session,
    config: stage.RelabelConfig,
    labels: LabelsPlace,
    out: Out,
    queue: QueuePlace | None = None,
    answers: AnswersFile | None = None,
    oracle: OraclePlace | None = None,
    oracle_confusion: ConfusionFile | None = None,
    data: DataPlace | None = None,
) -> Outcome:
    """Take answers in."""
    _check_options(config, queue, answers, oracle, oracle_confusion)
    job = Job(session, "relabel", out, config)
    bundle = None if answers is None else _need_answers(job, answers)
    paths = _need(job, labels, queue, oracle, oracle_confusion, data, with_samples=bundle is not None)
    if not session.allow_stale:
        _check_basis(paths)

    def compute(report: LiveReport) -> stage.RelabelOutputs:
        current, ledger = ledgers.load(paths.labels, paths.ledger)
        classes = classes_of(paths.classes, current, ledger)
        if not current["label"].is_in(list(classes.names)).all():
            classes.indices(current["label"].to_list(), str(paths.labels))  # says which label is no class
        asked = None if paths.queue is None else table_files.read_table(paths.queue, QUEUE)
        source = paths.truth or answers
        assert source is not None
        found = _found(config, bundle, paths, asked, classes, report)
        inputs = stage.RelabelInputs(
            labels=current,
            ledger=ledger,
            answers=found.answers,
            queue=asked,
            classes=classes,
            source_file=source.name,
            source_sha256=files.sha256(source) if bundle is None else bundle.sha256,
            version=__version__,
            ledger_file=str(paths.ledger),
            word=found.word,
            by_image=found.by_image,
            indices=found.indices,
            names=_names(paths, asked, found.by_image),
        )
        outputs = stage.run(config, inputs, report)
        if not session.force:
            _check_nothing_lost(out, outputs.ledger)
        outputs.facts.update({name: count for name, count in found.facts.items() if count})
        return outputs

    def work(target: Target) -> Summary:
        outputs = compute(target.report)
        labels_out.write(target, outputs.labels, outputs.ledger, outputs.conflicts, outputs.queue)
        return outputs.facts

    return tell(session, job.run(work, preview=lambda report: compute(report).facts), story, QUIET)


def _check_options(
    config: stage.RelabelConfig, queue: Path | None, answers: Path | None, oracle: Path | None, confusion: Path | None
) -> None:
    """Refuse options that do not go together."""
    require((answers is None) != (oracle is None), "give either --answers FILE or --oracle TRUTH")
    require(oracle is None or queue is not None, "--oracle needs --queue: it answers what was asked, and nothing else")
    if oracle is not None:
        told = [f"--{name}" for name in ("annotator", "format", "map") if getattr(config, name) != _default(name)]
        require(not told, f"{listing(told)}: with --answers alone; an oracle is no file")
    simulated = [name for name in ("oracle_errors", "oracle_seconds") if getattr(config, name) != _default(name)] + [
        "oracle_confusion"
    ] * (confusion is not None)
    if oracle is None and simulated:
        raise UsageError(f"--{simulated[0].replace('_', '-')}: goes with --oracle alone")
    if confusion is not None and config.oracle_errors != _default("oracle_errors"):
        raise UsageError("--oracle-confusion: says how an expert errs; give either it or --oracle-errors")


def _default(name: str) -> object:
    return stage.RelabelConfig.model_fields[name].default


def _need_answers(job: Job, place: Path) -> Bundle:
    """Record the answers, and look at what they lie in."""
    if place.is_dir():
        bundle = answers.open_bundle(place)
        job.need_folder("answers", place, bundle.sha256, len(bundle.names))
        return bundle
    return answers.open_bundle(job.need_raw("answers", place))


def _need(
    job: Job,
    labels: Path,
    queue: Path | None,
    oracle: Path | None,
    confusion: Path | None,
    data: Path | None,
    with_samples: bool,
) -> _Paths:
    """Record the other input files."""
    labels_path = job.need("labels", labels, LABELS.file_name)
    ledger_path = job.want("ledger", labels_path, LEDGER.file_name)
    classes_path = labels_out.need_classes(job, labels_path, data or oracle)
    queue_path = None if queue is None else job.need("queue", queue, QUEUE.file_name)
    return _Paths(
        labels=labels_path,
        ledger=ledger_path,
        classes=classes_path,
        queue=queue_path,
        packets=None if queue_path is None else job.want("packets", queue_path, PACKETS.file_name),
        samples=job.want("samples", classes_path, SAMPLES.file_name) if with_samples and classes_path else None,
        truth=None if oracle is None else need_truth(job, oracle),
        confusion=None if confusion is None else job.need_raw("confusion", confusion),
    )


def _check_basis(paths: _Paths) -> None:
    """Refuse labels without the answers that the labels had which the queue was made from: they would be lost.

    Raises:
        MismatchError: saying which labels to change.
    """
    scores = None if paths.queue is None else recorded_input(paths.queue, "scores")
    basis = None if paths.queue is None else recorded_input(scores or paths.queue, "labels")
    ledger = None if basis is None else ledgers.beside(basis)
    if ledger is None:
        return
    here = LEDGER.empty() if paths.ledger is None else table_files.read_table(paths.ledger, LEDGER)
    if _lost(ledger, here).height:
        raise MismatchError(
            f"{paths.labels}: lacks answers that the labels had which {paths.queue} was made from; change those, "
            f"{ledger.parent}, or go on without these answers with --allow-stale"
        )


def _lost(before: Path, after: pl.DataFrame) -> pl.DataFrame:
    """Return the answers of a ledger that another holds neither of the same annotator nor of the same file."""
    lost, now = answers_of(table_files.read_table(before, LEDGER)), answers_of(after)
    for known in ("annotator", "source_sha256"):
        lost = lost.join(now, on=["sample_id", known], how="anti", nulls_equal=True)
    return lost


def _check_nothing_lost(out: Path, ledger: pl.DataFrame) -> None:
    """Refuse to write over labels that hold a person's answers which the new ones do not.

    Raises:
        MismatchError: naming how many.
    """
    there, made = out / LEDGER.file_name, manifest.read(out)
    if made is None or "truth" in made.inputs or not there.is_file():  # what an oracle says can be asked again
        return
    lost = _lost(there, ledger)
    if lost.height:
        raise MismatchError(
            f"{out}: holds {plural(lost.height, 'answer')} (first: of '{lost['sample_id'][0]}') that the new labels "
            f"would not; start from {out}, and write to another place, to keep them, or use --force"
        )


def _found(
    config: stage.RelabelConfig,
    bundle: Bundle | None,
    paths: _Paths,
    asked: pl.DataFrame | None,
    classes: Classes,
    report: LiveReport,
) -> Found:
    """Return the answers: of the file, or of simulated experts."""
    if bundle is None:
        assert paths.truth is not None and asked is not None
        return oracle.ask(config, paths.truth, paths.confusion, asked, classes)
    kind, found = answers.read(bundle, config.format, read_map(config.map, classes.names), classes.names)
    for text in found.warnings:
        report.warn(text)
    if found.nameless and config.annotator is None:
        raise UsageError(f"{bundle.path}: a file of the format '{kind}' does not say who answered; --annotator does")
    if not found.answers.height or _says_nothing(found.answers):
        column = "column 'label' is empty in all" if found.word == "row" else "no class is named in any of"
        told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in found.facts.items() if count)
        raise NothingToDoError(
            f"{bundle.path}: no answer to take in ({told or f'{column} {found.answers.height} {found.word}s'})"
        )
    return found


def _says_nothing(found: pl.DataFrame) -> bool:
    nothing = pl.col("label").is_null() & pl.col("problem").is_null() & ~pl.col("unsure").fill_null(False)
    return bool(found.select(nothing.all()).item())


def _names(paths: _Paths, asked: pl.DataFrame | None, by_image: bool) -> Names:
    """Return what the samples are called besides their ids."""
    codes: dict[str, str] = {}
    if paths.packets is not None:
        codes = dict(table_files.read_table(paths.packets, PACKETS).select("code", "sample_id").iter_rows())
    ranks = {} if asked is None else dict(asked.select("rank", "sample_id").iter_rows())
    if not by_image:
        return Names(codes=codes, ranks=ranks)
    archived: dict[str, str] = {}
    if asked is not None:
        archived = dict(zip(naming.archive_stems(asked), asked["sample_id"], strict=True))
    sources: dict[str, str] = {}
    if paths.samples is not None:
        known = table_files.read_table(paths.samples, SAMPLES).filter(pl.col("source").is_not_null())
        unique = known.filter(pl.col("source").is_unique())
        sources = dict(unique.select("source", "sample_id").iter_rows())
    return Names(codes, archived, sources, ranks)


COMMAND = as_command(relabel, stage.RelabelConfig)
