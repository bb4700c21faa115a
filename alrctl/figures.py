"""Figures, as PNG and SVG, the same bytes for the same numbers; colours safe for the colour-blind."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from alrctl.colours import OKABE_ITO
from schemas.judgement import ALL
from stages.methods.calibration import Reliability
from stages.methods.findings import Arm, Findings

_STYLE: Any = {
    "svg.hashsalt": "alrctl",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_NAMED_GROUP = re.compile(r'<g id="[^"]*"')
_SHORT_NAME = 22  # letters of an arm's name of which two fit beside each other
_INK = "#010101"  # black that stays black on a dark page: it lies on a light cell
_BUDGETS = {"labels": "labels bought", "minutes": "minutes of annotators' time", "money": "money spent"}


@contextmanager
def _any_script() -> Iterator[None]:
    """Let names hold letters that the font lacks: a PNG shows boxes for them, an SVG the letters themselves."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and as SVG beside it, with no date in either."""
    with mpl.rc_context(_STYLE), _any_script():
        figure.savefig(path.with_suffix(".png"), dpi=150, metadata={"Software": None})
        figure.set_layout_engine("none")  # where things lie is known now, and takes as long as drawing
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None, "Creator": None})


def confusion(matrix: NDArray[np.int64], classes: tuple[str, ...], title: str) -> Figure:
    """Return a confusion matrix (K, K), rows references: colour is the share of the row, numbers are counts."""
    return heatmap(matrix, classes, title, ("reference", "predicted"))


def transition(matrix: NDArray[np.int64], classes: tuple[str, ...], title: str) -> Figure:
    """Return which labels samples bear, (K, K), rows true classes: colour is the share of the row."""
    return heatmap(matrix, classes, title, ("true class", "label"))


def heatmap(matrix: NDArray[np.int64], classes: tuple[str, ...], title: str, axis: tuple[str, str]) -> Figure:
    """Return counts (K, K), coloured by their share of the row."""
    size = max(3.2, 0.55 * len(classes) + 1.8)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(size + 0.8, size), layout="constrained")
        axes: Axes = figure.subplots()
        totals = matrix.sum(axis=1, keepdims=True)
        share = np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)
        shown = axes.imshow(share, cmap="cividis", vmin=0, vmax=1)
        for row, column in np.ndindex(*matrix.shape):
            colour = "white" if share[row, column] < 0.6 else _INK
            axes.text(column, row, f"{matrix[row, column]:,}", ha="center", va="center", color=colour)
        axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
        axes.set_yticks(range(len(classes)), classes)
        axes.set(xlabel=axis[1], ylabel=axis[0], title=title)
        figure.colorbar(shown, ax=axes, label=f"share of the {axis[0]}", shrink=0.8)
    return figure


def class_counts(counts: dict[str, dict[str, int]]) -> Figure:
    """Return bars of the images of each class, by split, from counts by split and class; on a logarithmic scale."""
    names = list(next(iter(counts.values())))
    height = 0.8 / len(counts)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 1.2 + 0.42 * len(names)), layout="constrained")
        axes: Axes = figure.subplots()
        for number, (split, found) in enumerate(counts.items()):
            place = np.arange(len(names)) + height * (number - (len(counts) - 1) / 2)
            colour, hatch = OKABE_ITO[number % 7], ("", "//", "..")[number % 3]
            values = [found[name] for name in names]
            axes.barh(place, values, height, color=colour, hatch=hatch, edgecolor="white", label=split)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set(xscale="log", xlabel="images (logarithmic scale)")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))  # the usual one writes formulas, which are off
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(axis="x", alpha=0.3)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure


def training(history: pl.DataFrame, chosen: int | None) -> Figure:
    """Return loss and validation metrics by epoch, from a history table; `chosen` is marked, counted from 0."""
    panels = (
        ("loss, in nats", (("train_loss", "training"), ("val_loss", "validation"))),
        (
            "on the validation split",
            (
                ("val_accuracy", "accuracy"),
                ("val_balanced_accuracy", "balanced accuracy"),
                ("val_macro_f1", "macro-F1"),
            ),
        ),
    )
    epochs = history["epoch"].to_numpy() + 1
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 3.0), layout="constrained")
        drawn: Any = figure.subplots(1, 2)
        for axes, (title, lines) in zip(drawn, panels, strict=True):
            for number, (column, name) in enumerate(lines):
                known = history[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
                if np.isfinite(known).any():
                    style = {"linestyle": ("-", "--", ":")[number], "color": OKABE_ITO[number]}
                    axes.plot(epochs, known, label=name, marker="osD"[number] if len(epochs) < 30 else None, **style)
            if chosen is not None:
                axes.axvline(chosen + 1, color="#777777", linewidth=1, linestyle="-.", label="epoch kept")
            axes.set(xlabel="epoch", title=title)
            _whole_numbers(axes)
            axes.grid(alpha=0.3)
            axes.legend(frameon=False, fontsize="small")
    return figure


def kept_by_class(history: pl.DataFrame, classes: tuple[str, ...]) -> Figure:
    """Return the share of each given class that network 1 kept, by epoch, from a history table."""
    shares = np.array(history["kept_share_by_class"].to_list(), dtype=np.float64)
    epochs = history["epoch"].to_numpy() + 1
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 3.0), layout="constrained")
        axes: Axes = figure.subplots()
        for number, name in enumerate(classes):
            style = ("-", "--", ":")[(number // 7) % 3]
            axes.plot(epochs, shares[:, number], style, color=OKABE_ITO[number % 7], label=name)
            axes.plot(epochs[-1:], shares[-1:, number], marker="osD^v<>"[number % 7], color=OKABE_ITO[number % 7])
        axes.set(xlabel="epoch", ylabel="share judged clean", ylim=(-0.02, 1.02))
        _whole_numbers(axes)
        axes.grid(alpha=0.3)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure


def curves(lines: dict[str, list[tuple[float, float]]], xlabel: str, ylabel: str) -> Figure:
    """Return named curves of (x, y) points; colour and marker both tell them apart."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes: Axes = figure.subplots()
        for number, (name, points) in enumerate(lines.items()):
            x, y = zip(*points, strict=True)
            axes.plot(x, y, marker="osD^v<>"[number % 7], color=OKABE_ITO[number % 7], label=name or ylabel)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.grid(alpha=0.3)
        if len(lines) > 1:
            axes.legend(frameon=False)
    return figure


def budget_curves(found: Findings) -> Figure:
    """Return the metric by budget, a line and a band an arm; controls dashed, all corrected as a level line."""
    controls = {held.control for held in found.against}
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        axes: Axes = figure.subplots()
        for number, arm in enumerate(found.arms):
            _budget_curve(axes, arm, number, arm.name in controls)
        if found.bound is not None:
            level = found.bound.value.value
            axes.axhline(level, color="#444444", linestyle=":", linewidth=1.4, label="all labels corrected")
        axes.set(xlabel=_BUDGETS[found.unit], ylabel=found.metric.replace("_", " "))
        axes.margins(x=0.03)
        axes.grid(alpha=0.25)
        entries = axes.get_legend_handles_labels()
        columns = 2 if max(len(arm.name) for arm in found.arms) <= _SHORT_NAME else 1
        figure.legend(*entries, loc="outside upper left", ncols=columns, frameon=False, fontsize=8)
    return figure


def _budget_curve(axes: Axes, arm: Arm, number: int, is_control: bool) -> None:
    """Draw one arm; colour, marker and line style all tell it from others."""
    budget = np.array([point.budget for point in arm.points])
    value = np.array([point.value.value for point in arm.points])
    low, high = np.array([[point.value.low, point.value.high] for point in arm.points]).T
    colour = ("black", "#777777")[number % 2] if is_control else OKABE_ITO[number % 6]
    style: Any = "--" if is_control else ("-", "-.", (0, (6, 1, 1, 1, 1, 1)))[number % 3]
    seeds = f" ({len(arm.seeds)} seeds)" if len(arm.seeds) > 1 else ""
    marker = "x+1234"[number % 6] if is_control else "osD^v<>"[number % 7]
    axes.plot(budget, value, color=colour, linestyle=style, marker=marker, markersize=4.5, label=f"{arm.name}{seeds}")
    if len(budget) > 1:
        axes.fill_between(budget, low, high, color=colour, alpha=0.08 if is_control else 0.14, linewidth=0)
        for edge in (low, high):
            axes.plot(budget, edge, color=colour, linestyle=style, linewidth=0.6, alpha=0.6)
    else:
        axes.errorbar(budget, value, [value - low, high - value], color=colour, capsize=3)


def judgement(table: pl.DataFrame) -> Figure:
    """Return precision and recall of "judged clean" by epoch, from the judgement table, a line a class."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.0, 3.4), layout="constrained")
        panels: Any = figure.subplots(1, 2, sharey=True)
        for axes, column in zip(panels, ("clean_precision", "clean_recall"), strict=True):
            for number, (name,) in enumerate(table.select("label").unique(maintain_order=True).rows()):
                line = table.filter(pl.col("label") == name).sort("epoch")
                everything = name == ALL
                axes.plot(
                    line["epoch"] + 1,
                    line[column].to_numpy(),
                    color="black" if everything else OKABE_ITO[(number - 1) % 6],
                    linestyle=("-", "--", ":")[0 if everything else ((number - 1) // 6) % 3],
                    linewidth=2.4 if everything else 1.3,
                    marker="osD^v<>"[number % 7] if table["epoch"].n_unique() < 30 else None,
                    markersize=3.5,
                    label=name,
                )
            axes.set(xlabel="epoch", title=column.replace("clean_", "").replace("_", " ") + ' of "judged clean"')
            axes.set_ylim(-0.02, 1.02)
            axes.grid(alpha=0.3)
            _whole_numbers(axes)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure


def reliability(found: Reliability) -> Figure:
    """Return a reliability diagram: accuracy against confidence, and how many samples are behind each point."""
    width = np.diff(found.edges)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.2, 4.4), layout="constrained")
        panels: Any = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        above, below = panels
        above.plot((0, 1), (0, 1), color="#777777", linestyle="--", linewidth=1, label="as sure as right")
        above.plot(found.confidence, found.accuracy, marker="o", color=OKABE_ITO[0], label="network")
        above.set(ylabel="share right", xlim=(0, 1), ylim=(0, 1))
        above.legend(frameon=False, loc="upper left")
        below.bar(found.edges[:-1], found.count, width=width, align="edge", color=OKABE_ITO[5], edgecolor="white")
        below.set(xlabel="confidence: posterior of the class said", ylabel="samples")
        for axes in panels:
            axes.grid(alpha=0.3)
    return figure


def per_class(table: pl.DataFrame) -> Figure:
    """Return sensitivity, precision and AUROC of each class with their intervals, from the per-class table."""
    names = table["label"].to_list()
    shown = (("recall", "sensitivity"), ("precision", "precision"), ("auroc", "AUROC"))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 1.2 + 0.42 * len(names)), layout="constrained")
        axes: Axes = figure.subplots()
        for number, (column, title) in enumerate(shown):
            known = table.with_row_index("row").filter(pl.col(column).is_not_null())
            height = known["row"].to_numpy().astype(np.float64) + 0.22 * (number - 1)
            colour, marker = OKABE_ITO[number], "osD"[number]
            axes.hlines(height, known[f"{column}_low"], known[f"{column}_high"], color=colour, linewidth=1.6)
            axes.plot(known[column], height, marker, color=colour, markersize=5, label=title)
        support = table["support"].to_list()
        axes.set_yticks(range(len(names)), [f"{name} ({count:,})" for name, count in zip(names, support, strict=True)])
        axes.invert_yaxis()
        axes.set(xlim=(-0.02, 1.02), xlabel="value, and its 95 % interval")
        axes.grid(axis="x", alpha=0.3)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure


def _whole_numbers(axes: Axes) -> None:
    """Let the ticks below stand at whole numbers: epochs are counted."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def as_svg(figure: Figure, name: str) -> str:
    """Return a figure as an SVG element for a page, the same bytes for the same numbers.

    What is black takes the colour of the page's text, and there is no ground, so that it goes with a dark page too; ids
    are the figure's own, so that several go in one page.
    """
    stream = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": f"alrctl {name}"}), _any_script():
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = _NAMED_GROUP.sub("<g", text[text.index("<svg") :])
    return text.replace("#000000", "currentColor")
