"""How good the last network of each branch is: class by class, calibration, sub-groups, labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from alrctl import csv_files, figures, files, table_files, validation_labels
from alrctl.console import cell
from alrctl.evaluation_files import in_words, references_in_words
from alrctl.page.parts import Drawing, Section, Table, slug
from alrctl.page.project import Project
from alrctl.project import Evaluation
from schemas.per_class import PER_CLASS
from schemas.subgroups import SUBGROUPS
from stages.methods.calibration import Reliability

_METRICS = ("precision", "recall", "specificity", "f1", "auroc", "average_precision")
_LABELS = ("label_accuracy_before", "label_accuracy", "errors_found", "errors_mended", "errors_made")
_JUDGED = ("clean_precision", "clean_recall", "thrown_out")


def classes(projects: Sequence[Project]) -> list[Section]:
    """Return the section with the last evaluation of each branch."""
    text, drawings, tables = [], [], []
    for name, one in _last(projects):
        text.append(
            f"{name}, {one.bought:,} labels bought. Epoch chosen by: {in_words(one.summary)}. "
            f"Judged by: {references_in_words(one.summary)}."
        )
        text += [f"{name}: {line}." for line in one.summary["undefined"]]
        path = one.artifact.path / PER_CLASS.file_name
        if path.is_file():
            table = table_files.read_table(path, PER_CLASS)
            drawn = figures.per_class(table)
            drawings.append(Drawing(slug(f"{name} classes"), drawn, f"{name}: by class, with 95 % intervals"))
        tables.append(_metrics(one, name))
        tables.append(_by_class(one, name))
    return [Section("Class by class", text, drawings, tables)] if tables else []


def _last(projects: Sequence[Project], bound: bool = True) -> list[tuple[str, Evaluation]]:
    return [
        (project.branch_called(branch), judged[-1])
        for project in projects
        for branch, judged in project.branches(bound).items()
    ]


def _metrics(one: Evaluation, name: str) -> Table:
    last = one.summary["last_epochs"]
    header = ["metric", "value", "95 % interval"]
    rows = []
    for metric, told in one.summary["metrics"].items():
        row = [metric.replace("_", " "), cell(told["value"]), interval(told["low"], told["high"])]
        if last is not None:
            found = last["metrics"][metric]
            row.append(cell(found["mean"]) + ("" if found["deviation"] is None else f" ± {found['deviation']:.3f}"))
        rows.append(row)
    if last is not None:
        header.append(f"mean of the last {len(last['epochs'])} epochs")
    validation = validation_labels.in_words(one.summary["validation"])
    caption = f"{name}: all figures on the {one.summary['split']} split (validation: {validation})"
    return Table(header, rows, caption, folded=True)


def _by_class(one: Evaluation, name: str) -> Table:
    table = one.summary["by_class"]
    header = ["class", "images", "said", *(metric.replace("_", " ") for metric in _METRICS)]
    rows = []
    for place, label in enumerate(table["label"]):
        row = [label, cell(table["support"][place]), cell(table["predicted"][place])]
        rows.append(row + [_with_interval(table, metric, place) for metric in _METRICS])
    return Table(header, rows, f"{name}: by class, with 95 % intervals", folded=True)


def _with_interval(table: dict[str, list[Any]], metric: str, place: int) -> str:
    low, high = table[f"{metric}_low"][place], table[f"{metric}_high"][place]
    return cell(table[metric][place]) + ("" if low is None else f" ({interval(low, high)})")


def interval(low: float | None, high: float | None) -> str:
    """Return an interval as people read it."""
    return "-" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def calibration(projects: Sequence[Project]) -> list[Section]:
    """Return how sure the networks are, and how right."""
    drawings = []
    for name, one in _last(projects):
        path = one.artifact.path / "reliability.csv"
        if path.is_file():
            with files.explained_read(path, "CSV of numbers"):
                table = csv_files.read_csv(path).select(pl.all().cast(pl.Float64))
            found = [table[column].fill_null(float("nan")).to_numpy() for column in table.columns]
            start, end, count, confidence, accuracy = found
            drawn = figures.reliability(
                Reliability(np.append(start, end[-1:]), count.astype(np.int64), confidence, accuracy)
            )
            error = one.summary["metrics"]["expected_calibration_error"]
            told = f"{cell(error['value'])} ({interval(error['low'], error['high'])})"
            caption = f"{name}: expected calibration error {told}"
            drawings.append(Drawing(slug(f"{name} reliability"), drawn, caption))
    text = ["Where the points lie below the dashed line the network is surer than it is right."]
    return [Section("Calibration", text, drawings)] if drawings else []


def sub_groups(projects: Sequence[Project]) -> list[Section]:
    """Return the metrics of sub-groups, where they were asked for."""
    tables = []
    for name, one in _last(projects):
        path = one.artifact.path / SUBGROUPS.file_name
        if path.is_file():
            table = table_files.read_table(path, SUBGROUPS)
            metrics = table["metric"].unique(maintain_order=True).to_list()
            keys = ["column", "subgroup", "samples", "groups", "classes"]
            rows = []
            for key, found in table.group_by(keys, maintain_order=True):
                told = {row["metric"]: row for row in found.iter_rows(named=True)}
                rows.append([cell(part) for part in key] + [_one(told.get(metric)) for metric in metrics])
            header = [
                "by",
                "sub-group",
                "images",
                "groups",
                "classes",
                *(metric.replace("_", " ") for metric in metrics),
            ]
            tables.append(Table(header, rows, f"{name}: by sub-group"))
    return [Section("Sub-groups", tables=tables)] if tables else []


def _one(row: dict[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return "-"
    return cell(row["value"]) + ("" if row["low"] is None else f" ({interval(row['low'], row['high'])})")


def label_quality(projects: Sequence[Project]) -> list[Section]:
    """Return how good the labels are by the truth, where it was given."""
    text, tables = [], []
    for name, one in _last(projects, bound=False):
        quality = one.summary["label_quality"]
        if quality is None:
            continue
        text.append(_quality_in_words(name, quality))
        table = one.summary["by_class"]
        shown = [column for column in (*_LABELS, *_JUDGED) if any(value is not None for value in table[column])]
        rows = [[label, *(cell(table[column][row]) for column in shown)] for row, label in enumerate(table["label"])]
        header = ["class", *(column.replace("_", " ") for column in shown)]
        tables.append(Table(header, rows, f"{name}: labels of the training split, by true class"))
    return [Section("How good the labels are", text, tables=tables)] if tables else []


def _quality_in_words(name: str, told: dict[str, Any]) -> str:
    words = (
        f"{name}: {told['label_accuracy_before']:.1%} of {told['samples']:,} training labels were right at first, "
        f"{told['label_accuracy']:.1%} are now. The experts looked at {told['relabelled']:,}: "
        f"{told['errors_mended']:,} errors were mended, {told['errors_made']:,} made, {told['errors_left']:,} are left."
    )
    rare = told["thrown_out_rarest_class"]
    if rare is not None:
        words += (
            f" Of the rarest class, {rare['label']}, {rare['thrown_out']:,} of {rare['right']:,} right labels were "
            "thrown out as noise by phase 1."
        )
    return words
