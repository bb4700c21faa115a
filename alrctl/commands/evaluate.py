"""`alrctl evaluate`: honest figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from alrctl import checkpoints, evaluation_files, files, validation_labels
from alrctl.allocator import keep_freed_memory
from alrctl.checkpoints import LAST_EPOCHS
from alrctl.console import cell
from alrctl.dataset import DataSet, need_data, read_data, read_labels
from alrctl.evaluation_files import in_words
from alrctl.foreign_predictions import read_predictions
from alrctl.job import Job
from alrctl.label_quality import LabelPaths, need_label_quality, read_audits, read_label_quality, read_seen, read_truth
from alrctl.matrices import read_matrix
from alrctl.metadata import read_metadata
from alrctl.options import as_command
from alrctl.parameters import CheckpointPath, Clean, Data, Out
from alrctl.project import bought_for
from alrctl.session import Outcome, Session, Summary, require
from alrctl.summary import tell
from alrctl.target import Target
from alrctl.trained import TrainedPaths, need_trained, read_trained
from schemas.errors import NothingToDoError
from schemas.labels import LABELS
from stages import evaluate as stage
from stages.methods.predictions import Ints, Predictions
from stages.methods.samples import group_numbers
from stages.training import device as devices
from stages.training.predict import predict

EXAMPLE = "alrctl evaluate work/data --checkpoint work/r1/model --split test -o work/r1/eval"

Given = Annotated[
    Path, typer.Option("--predictions", help="predictions of another program, in place of a checkpoint: CSV or parquet")
]
Reference = Annotated[
    Path, typer.Option("--reference", help="labels to judge by (default: those the data set came with)")
]
Truth = Annotated[
    Path, typer.Option("--truth", help="true labels, where known: also judges the labels and the judged clean")
]
LabelsNow = Annotated[Path, typer.Option("--labels", help="labels to judge (default: recorded with the checkpoint)")]
Costs = Annotated[
    Path, typer.Option("--costs", help="CSV: what it costs to say the column's class of a sample of the row's")
]
Metadata = Annotated[Path, typer.Option("--metadata", help="table with what else is known of the samples, for --by")]


@dataclass(frozen=True)
class _Paths:
    """The input files."""

    samples: Path
    classes: Path
    trained: TrainedPaths | None
    predictions: Path | None
    last_epochs: Path | None
    reference: Path
    costs: Path | None
    metadata: Path | None


def evaluate(
    session: Session,
    config: stage.EvaluateConfig,
    data: Data,
    out: Out,
    checkpoint: CheckpointPath | None = None,
    predictions: Given | None = None,
    reference: Reference | None = None,
    truth: Truth | None = None,
    labels: LabelsNow | None = None,
    clean: Clean | None = None,
    costs: Costs | None = None,
    metadata: Metadata | None = None,
) -> Outcome:
    """Judge a network, or what another program says."""
    require((checkpoint is None) != (predictions is None), "give either --checkpoint or --predictions FILE")
    require(metadata is None or bool(config.by), "--metadata: --by says which of its columns to make sub-groups of")
    require(config.few <= config.many + 1, f"--few {config.few} is above --many {config.many}")
    job = Job(session, "evaluate", out, config)
    paths = _need(job, config, data, checkpoint, predictions, reference, costs, metadata)
    judged = paths.trained.checkpoint if paths.trained is not None else None
    label_paths = need_label_quality(job, judged, truth, labels, clean)

    def work(target: Target) -> Summary:
        keep_freed_memory()
        dataset = read_data(paths.samples, paths.classes)
        rows = dataset.rows(config.split)
        if not len(rows):
            raise NothingToDoError(f"the data set has no {config.split} split")
        reference_labels = read_labels(paths.reference, dataset)
        index = reference_labels["index"].to_numpy()
        inputs = _inputs(config, paths, label_paths, dataset, index, target)
        outputs = stage.run(config, inputs, target.report)
        known = None if label_paths.truth is None else read_truth(label_paths.truth, dataset)["index"].to_numpy()[rows]
        summary = {
            "split": config.split,
            "samples": len(rows),
            "groups": int(inputs.group.max()) + 1,
            "judged_by": f"{paths.reference.name} of {paths.reference.parent.name}",
            "reference_accuracy": None if known is None else float((index[rows] == known).mean()),
            "intervals": f"95 %, bootstrap over {inputs.group.max() + 1:,} groups" if config.bootstrap else "none",
            "validation": validation_labels.validation(label_paths, judged, dataset),
            "metrics": outputs.metrics,
            "last_epochs": outputs.last_epochs,
            "undefined": evaluation_files.undefined(outputs, dataset.classes.names),
            "label_quality": outputs.label_quality,
            "estimated_noise": outputs.estimated_noise,
        }
        evaluation_files.write(target, config, dataset, reference_labels[rows], inputs.predictions, outputs)
        files.write_json({**summary, "classes": list(dataset.classes.names)}, target.path("metrics.json"))
        _tell(target, config.split, outputs, judged)
        return {**summary, "by_class": {name: list(values) for name, values in outputs.by_class.items()}}

    return tell(session, job.run(work, tracked=True), _story)


def _inputs(
    config: stage.EvaluateConfig,
    paths: _Paths,
    label_paths: LabelPaths,
    dataset: DataSet,
    index: NDArray[np.int64],
    target: Target,
) -> stage.EvaluateInputs:
    """Read what is judged, and by what; `index` is each sample's reference."""
    rows = dataset.rows(config.split)
    given, last_epochs = _predictions(config, paths, dataset, rows, index[rows], target)
    return stage.EvaluateInputs(
        predictions=given,
        group=group_numbers(dataset.samples[rows]),
        classes=dataset.classes.names,
        ordered=dataset.classes.ordered,
        training_counts=np.bincount(index[dataset.rows("train")], minlength=len(dataset.classes)),
        costs=None if paths.costs is None else read_matrix(paths.costs, dataset.classes),
        metadata=read_metadata(paths.metadata, config.by, dataset, rows),
        last_epochs=last_epochs,
        labels=read_label_quality(label_paths, dataset),
        seen=read_seen(label_paths, dataset),
        audits=read_audits(label_paths, dataset),
    )


def _need(
    job: Job,
    config: stage.EvaluateConfig,
    data: Path,
    checkpoint: Path | None,
    predictions: Path | None,
    reference: Path | None,
    costs: Path | None,
    metadata: Path | None,
) -> _Paths:
    """Record the input files."""
    trained = last = given = None
    if checkpoint is not None:
        trained = need_trained(job, data, checkpoint)
        samples, classes = trained.samples, trained.classes
        if config.last_epochs:
            last = job.want("last epochs", trained.checkpoint, LAST_EPOCHS, may_be_lost=True)
    else:
        assert predictions is not None
        samples, classes, _ = need_data(job, data, images=False)
        given = job.need("predictions", predictions, "predictions.parquet")
    return _Paths(
        samples,
        classes,
        trained,
        given,
        last,
        job.need("reference", reference or data, LABELS.file_name),
        None if costs is None else job.need_raw("costs", costs),
        None if metadata is None else job.need_raw("metadata", metadata),
    )


def _predictions(
    config: stage.EvaluateConfig,
    paths: _Paths,
    dataset: DataSet,
    rows: NDArray[np.int64],
    label: Ints,
    target: Target,
) -> tuple[Predictions, Iterable[tuple[int, Predictions]]]:
    """Return what is said of the split's samples, and what the last epochs' weights say."""
    if paths.trained is None:
        assert paths.predictions is not None
        return read_predictions(paths.predictions, dataset, rows, label, config.logits), ()
    trained = read_trained(paths.trained, config.device, config.precision, target.report)
    device = devices.choose(config.device)
    target.device = devices.name(device)
    networks = [network.to(device) for network in trained.networks[: 1 if config.networks == "first" else None]]

    def asked() -> Predictions:
        asked_about, how = torch.from_numpy(rows), config.precision
        found = predict(networks, trained.inputs, asked_about, device, how, target.report, with_embeddings=False)
        posterior = found.posterior.numpy().astype(np.float64)
        return Predictions(label, posterior / posterior.sum(axis=1, keepdims=True))

    def last_epochs() -> Iterator[tuple[int, Predictions]]:
        if paths.last_epochs is not None:
            for epoch in checkpoints.read_epochs(paths.last_epochs, networks):
                yield epoch, asked()

    return asked(), last_epochs()


def _tell(target: Target, split: str, outputs: stage.EvaluateOutputs, checkpoint: Path | None) -> None:
    """Tell every figure, overall and by class, over the labels bought for the network."""
    bought = 0 if checkpoint is None else bought_for(checkpoint.parent)
    overall = {name: metric["value"] for name, metric in outputs.metrics.items()}
    last = {} if outputs.last_epochs is None else outputs.last_epochs["metrics"]
    means = {f"last_epochs/{name}": metric["mean"] for name, metric in last.items()}
    words = {"label", "class_group"}
    by_class = {name: list(values) for name, values in outputs.by_class.items() if name not in words}
    told = {f"{split}/{name}": value for name, value in {**overall, **means}.items()}
    quality = {name: value for name, value in (outputs.label_quality or {}).items() if not isinstance(value, dict)}
    told |= {f"labels/{name}": value for name, value in quality.items()}
    target.report.classes = outputs.by_class["label"]
    target.report.measured(told, bought)
    target.report.measured({f"{split}/{name}": values for name, values in by_class.items()}, bought)


def _story(session: Session, summary: Summary) -> None:
    last = summary["last_epochs"]
    shown = ["metric", "value", "95 % interval"]
    rows = [[name.replace("_", " "), cell(m["value"]), _interval(m)] for name, m in summary["metrics"].items()]
    if last is not None:
        shown.append(f"mean of the last {len(last['epochs'])} epochs")
        rows = [[*row, _spread(last["metrics"][name])] for row, name in zip(rows, summary["metrics"], strict=True)]
    session.voice.table("", shown, rows)
    session.voice.say(f"epoch chosen by: {in_words(summary)}")
    session.voice.say(f"judged by: {evaluation_files.references_in_words(summary)}")
    _classes(session, summary["by_class"], "", ("support", "precision", "recall", "specificity", "f1", "auroc"))
    if summary["label_quality"]:
        told = ("label_accuracy_before", "label_accuracy", "clean_precision", "clean_recall", "thrown_out")
        _classes(session, summary["by_class"], "labels of the training split, by class", told)
        rows = [[name.replace("_", " "), _told(value)] for name, value in summary["label_quality"].items()]
        session.voice.table("labels of the training split, by the truth", ["", ""], rows)
    if summary["estimated_noise"]:
        session.voice.say(evaluation_files.estimate_in_words(summary["estimated_noise"]))


def _classes(session: Session, table: dict[str, list[Any]], title: str, columns: tuple[str, ...]) -> None:
    """Show those columns of the table by class in which anything is known."""
    shown = ["label", *(name for name in columns if any(value is not None for value in table[name]))]
    rows = [[cell(table[name][row]) for name in shown] for row in range(len(table["label"]))]
    session.voice.table(title, ["class", *(name.replace("_", " ") for name in shown[1:])], rows)


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['thrown_out']:,} of {value['right']:,} right labels of '{value['label']}'"
    return cell(value)


def _spread(metric: dict[str, Any]) -> str:
    spread = "" if metric["deviation"] is None else f" ± {metric['deviation']:.3f}"
    return f"{cell(metric['mean'])}{spread}"


def _interval(metric: dict[str, Any]) -> str:
    return "-" if metric["low"] is None else f"{metric['low']:.3f} to {metric['high']:.3f}"


COMMAND = as_command(evaluate, stage.EvaluateConfig, tracked=True)
