"""Figures, as PNG and SVG, the same bytes for the same numbers; colours safe for the colour-blind."""

from __future__ import annotations

import io
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
from numpy.typing import NDArray

from schemas.judgement import ALL

_STYLE: Any = {
    "svg.hashsalt": "alrctl",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


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
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None, "Creator": None})


def confusion(matrix: NDArray[np.int64], classes: tuple[str, ...], title: str) -> Figure:
    """Return a confusion matrix (K, K), rows references: colour is the share of the row, numbers are counts."""
    size = max(3.2, 0.55 * len(classes) + 1.8)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(size + 0.8, size), layout="constrained")
        axes: Axes = figure.subplots()
        totals = matrix.sum(axis=1, keepdims=True)
        share = np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)
        shown = axes.imshow(share, cmap="cividis", vmin=0, vmax=1)
        for row, column in np.ndindex(*matrix.shape):
            colour = "white" if share[row, column] < 0.6 else "black"
            axes.text(column, row, f"{matrix[row, column]:,}", ha="center", va="center", color=colour)
        axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
        axes.set_yticks(range(len(classes)), classes)
        axes.set(xlabel="predicted", ylabel="reference", title=title)
        figure.colorbar(shown, ax=axes, label="share of the reference class", shrink=0.8)
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
            axes.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure


def as_svg(figure: Figure) -> str:
    """Return a figure as an SVG element for a page, the same bytes for the same numbers."""
    stream = io.StringIO()
    with mpl.rc_context(_STYLE), _any_script():
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]
