"""Figures of a table, as SVG: how each method removed, and what was left. Colour-blind safe, no date inside.

The bytes depend on the records and on matplotlib's version alone.
"""

import io
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmark.report.rows import Row
from benchmark.report.table import Table
from benchmark.store import Store

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

# Okabe and Ito's palette, told apart with any colour vision; line styles tell apart without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), "-")
STYLE: Any = {"svg.hashsalt": "prunebench", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}


def figures_of(tables: list[Table], store: Store) -> dict[str, bytes]:
    """File name -> SVG, one for each table, data set and model that has something removed."""
    out = {}
    for table in tables:
        for data, model in dict.fromkeys((row.data, row.model) for row in table.rows if row.kind and row.n):
            rows = [row for row in table.rows if (row.data, row.model) == (data, model) and row.n]
            name = "-".join((table.suite, table.spec.name, model, *(["small"] if table.tier == "small" else [])))
            out[f"{name}.svg"] = _draw(rows, f"{model}, {data}", store)
    return out


def _draw(rows: list[Row], title: str, store: Store) -> bytes:
    hardest = max(row.target for row in rows)
    pruned = [row for row in rows if row.target == hardest]
    dense = next((row for row in rows if row.label == "dense"), None)
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.1), width_ratios=(1.15, 1), layout="constrained")
        _paths(left, pruned, store)
        _outcomes(right, pruned, dense)
        figure.suptitle(f"{title}: {100 * hardest:g} % of {pruned[0].kind} removed", fontsize=10)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        plt.close(figure)
    return buffer.getvalue()


def _paths(axes: Axes, rows: list[Row], store: Store) -> None:
    """What was zero after each epoch; the path is the method's, so one seed shows it."""
    for i, row in enumerate(rows):
        curve = [point for point in store.side(row.records[0])["curves"] if point["kind"] == "train"]
        epochs, removed = [p["at"] + 1 for p in curve], [100 * p["removed"] for p in curve]
        style = STYLES[i % len(STYLES)]
        axes.plot(epochs, removed, color=COLOURS[i % len(COLOURS)], linestyle=style, linewidth=1.8, label=row.label)
    axes.set(xlabel="epoch", ylabel="removed by then, %")
    axes.legend(frameon=False, fontsize=8)


def _outcomes(axes: Axes, rows: list[Row], dense: Row | None) -> None:
    """Each seed a dot, the mean a bar with its sample deviation."""
    for i, row in enumerate(rows):
        values = row.values("outcome.top1")
        place = np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else np.zeros(1)
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(i + place, values, "o", markersize=4, color=colour, alpha=0.6, markeredgewidth=0)
        axes.errorbar(i, row.top1, yerr=row.std, fmt="_", markersize=22, color=colour, capsize=4, linewidth=1.6)
    if dense:
        axes.axhline(dense.top1, color="0.4", linewidth=1, linestyle=":")
        axes.annotate(f"dense {dense.top1:.2f}", (len(rows) - 0.5, dense.top1), ha="right", va="bottom", fontsize=8)
    axes.set_xticks(range(len(rows)), [row.label for row in rows], rotation=20, ha="right")
    axes.set(ylabel="top-1 accuracy, %", xlim=(-0.5, len(rows) - 0.5))
    axes.margins(y=0.15)
