"""`alrctl evaluate`: honest figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import torch
import typer
from numpy.typing import NDArray

from alrctl import artifacts, figures, files, signals
from alrctl.console import cell
from alrctl.dataset import DataSet, read_labels
from alrctl.job import Job, Outcome, Session, Summary, Target
from alrctl.judgement import need_clean, read_clean
from alrctl.options import as_command
from alrctl.parameters import CheckpointPath, Clean, Data, Out
from alrctl.summary import tell
from alrctl.trained import need_trained, read_trained
from schemas.errors import NothingToDoError, UsageError
from schemas.judgement import JUDGEMENT
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.per_class import PER_CLASS
from schemas.predictions import PREDICTIONS
from schemas.signals import SIGNALS
from schemas.truth import TRUTH
from stages import evaluate as stage
from stages.methods.ledger import before_all
from stages.training import device as devices
from stages.training.predict import predict

EXAMPLE = "alrctl evaluate work/data --checkpoint work/r1/model --split test -o work/r1/eval"

Reference = Annotated[
    Path, typer.Option("--reference", help="labels to judge by (default: those the data set came with)")
]
Truth = Annotated[
    Path, typer.Option("--truth", help="true labels, where known: also judges the labels and the judged clean")
]
LabelsNow = Annotated[
    Path, typer.Option("--labels", help="with --truth: the labels to judge (default: recorded with the checkpoint)")
]


def evaluate(
    session: Session,
    config: stage.EvaluateConfig,
    data: Data,
    checkpoint: CheckpointPath,
    out: Out,
    reference: Reference | None = None,
    truth: Truth | None = None,
    labels: LabelsNow | None = None,
    clean: Clean | None = None,
) -> Outcome:
    """Judge a network."""
    job = Job(session, "evaluate", out, config)
    paths = need_trained(job, data, checkpoint)
    reference_path = job.need("reference", reference or data, LABELS.file_name)
    quality_paths = _need_quality(job, paths.checkpoint, truth, labels, clean)

    def work(target: Target) -> Summary:
        trained = read_trained(paths, config.device, config.precision, target.report)
        dataset = trained.data
        rows = dataset.rows(config.split)
        if not len(rows):
            raise NothingToDoError(f"the data set has no {config.split} split")
        judged_by = read_labels(reference_path, dataset)[rows]
        device = devices.choose(config.device)
        used = [network.to(device) for network in trained.networks[: 1 if config.networks == "first" else None]]
        found = predict(used, trained.inputs, torch.from_numpy(rows), device, config.precision, target.report)
        posterior = found.posterior.numpy().astype(np.float64)
        posterior /= posterior.sum(axis=1, keepdims=True)
        quality = _read_quality(quality_paths, dataset)
        index = judged_by["index"].to_numpy()
        group = _groups(dataset, rows)
        outputs = stage.run(config, index, posterior, group, dataset.classes.names, quality)
        target.device = devices.name(device)
        _write(target, config, dataset, judged_by, posterior, outputs)
        summary = {
            "split": config.split,
            "samples": len(rows),
            "judged_by": f"{reference_path.name} of {reference_path.parent.name}",
            "intervals": f"95 %, bootstrap over {group.max() + 1:,} groups" if config.bootstrap else "none",
            "metrics": outputs.metrics,
            "label_quality": outputs.label_quality,
        }
        files.write_json({**summary, "classes": list(dataset.classes.names)}, target.path("metrics.json"))
        return {**summary, "by_class": {name: list(values) for name, values in outputs.by_class.items()}}

    return tell(session, job.run(work), _story)


def _need_quality(
    job: Job, checkpoint: Path, truth: Path | None, labels: Path | None, clean: Path | None
) -> dict[str, Path | None] | None:
    """Record what the labels are judged by; None where no truth is given."""
    if truth is None:
        if labels is not None:
            raise UsageError("--labels: is judged only with --truth")
        return None
    named = labels or artifacts.recorded_input(checkpoint, "labels")
    if named is None:
        raise UsageError("--truth: give --labels too; none are recorded with the checkpoint")
    has_truth = artifacts.find_optional(truth, TRUTH.file_name) is not None
    labels_path = job.need("labels", named, LABELS.file_name)
    return {
        "truth": job.need("truth", truth, TRUTH.file_name if has_truth else LABELS.file_name),
        "labels": labels_path,
        "ledger": job.want("ledger", labels_path, LEDGER.file_name),
        "clean": need_clean(job, checkpoint, clean),
        "signals": job.want("signals", checkpoint, SIGNALS.file_name),
    }


def _read_quality(paths: dict[str, Path | None] | None, dataset: DataSet) -> stage.LabelQualityInputs | None:
    if paths is None:
        return None
    truth_path, labels_path, ledger_path = paths["truth"], paths["labels"], paths["ledger"]
    signals_path = paths["signals"]
    assert truth_path is not None and labels_path is not None
    rows = dataset.rows("train")
    is_truth = truth_path.name == TRUTH.file_name
    truth = read_labels(truth_path, dataset, TRUTH if is_truth else LABELS, "true_label" if is_truth else "label")
    now = read_labels(labels_path, dataset)
    first = now["label"]
    if ledger_path is not None:
        first = before_all(now.select("sample_id", "label", "relabelled"), files.read_table(ledger_path, LEDGER))[
            "label"
        ]
    judged = read_clean(paths["clean"], dataset, rows)
    return stage.LabelQualityInputs(
        true_label=truth["index"].to_numpy()[rows],
        first_label=np.array(dataset.classes.indices(first.to_list(), str(labels_path)))[rows],
        label=now["index"].to_numpy()[rows],
        relabelled=now["relabelled"].to_numpy()[rows],
        judged_clean=judged,
        kept=signals.kept_by_epoch(signals_path, dataset, rows) if signals_path and (judged >= 0).any() else (),
    )


def _groups(dataset: DataSet, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the groups of the samples; a sample without a group is its own."""
    named = dataset.samples.select(pl.coalesce("group_id", pl.format("alone {}", "sample_id")).alias("g"))["g"][rows]
    return named.rank("dense").to_numpy().astype(np.int64) - 1


def _write(
    target: Target,
    config: stage.EvaluateConfig,
    dataset: DataSet,
    judged_by: pl.DataFrame,
    posterior: NDArray[np.float64],
    outputs: stage.EvaluateOutputs,
) -> None:
    names = np.array(dataset.classes.names)
    predictions = judged_by.select(
        "sample_id",
        "label",
        split=pl.lit(config.split),
        predicted_label=pl.Series(names[posterior.argmax(axis=1)].tolist()),
        posterior=pl.Series(posterior.astype(np.float32)).arr.to_list(),
    )
    target.table(predictions, PREDICTIONS)
    target.table(PER_CLASS.make(outputs.by_class), PER_CLASS)
    if outputs.judgement is not None:
        judgement = JUDGEMENT.make(outputs.judgement)
        target.table(judgement, JUDGEMENT)
        figures.save(figures.judgement(judgement), target.path("judgement"))
    columns = {f"predicted {name}": outputs.confusion[:, index] for index, name in enumerate(names)}
    target.csv(pl.DataFrame({"reference": list(names), **columns}), "confusion.csv")
    figure = figures.confusion(outputs.confusion, dataset.classes.names, f"{config.split} split")
    figures.save(figure, target.path("confusion"))


def _story(session: Session, summary: Summary) -> None:
    rows = [[name.replace("_", " "), cell(m["value"]), _interval(m)] for name, m in summary["metrics"].items()]
    session.voice.table("", ["metric", "value", "95 % interval"], rows)
    _classes(session, summary["by_class"], "", ("support", "precision", "recall", "f1", "auroc"))
    if summary["label_quality"]:
        told = ("label_accuracy", "clean_precision", "clean_recall")
        _classes(session, summary["by_class"], "labels of the training split, by class", told)
        rows = [[name.replace("_", " "), cell(value)] for name, value in summary["label_quality"].items()]
        session.voice.table("labels of the training split, by the truth", ["", ""], rows)


def _classes(session: Session, table: dict[str, list[Any]], title: str, columns: tuple[str, ...]) -> None:
    """Show those columns of the table by class in which anything is known."""
    shown = ["label", *(name for name in columns if any(value is not None for value in table[name]))]
    rows = [[cell(table[name][row]) for name in shown] for row in range(len(table["label"]))]
    session.voice.table(title, ["class", *(name.replace("_", " ") for name in shown[1:])], rows)


def _interval(metric: dict[str, Any]) -> str:
    return "-" if metric["low"] is None else f"{metric['low']:.3f} to {metric['high']:.3f}"


COMMAND = as_command(evaluate, stage.EvaluateConfig)
