"""Figures of a table: how each method removed, and what was left. Colour-blind safe, no date inside.

The bytes depend on the records and on matplotlib's version alone.
"""

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.report.rows import Row
from benchmark.report.table import Table
from benchmark.store import Store, Stored

# Okabe and Ito's palette, told apart with any colour vision; line styles tell apart without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), "-")
FEW = 6  # rows that fit a small figure
SEEDS = 5  # paths drawn into one figure
DOTS = 50  # seeds drawn one by one
STYLE: Any = {"svg.hashsalt": "prunebench", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}


NO_DATE = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}


def figures_of(tables: list[Table], store: Store, forms: tuple[str, ...] = ("svg",)) -> dict[str, bytes]:
    """File name -> its bytes, one for each table, data set and model that has something removed."""
    out = {}
    with mpl.rc_context(STYLE):
        for stem, figure in _figures(tables, store):
            for form in forms:
                buffer = io.BytesIO()
                figure.savefig(buffer, format=form, dpi=200, metadata=NO_DATE[form])
                out[f"{stem}.{form}"] = buffer.getvalue()
    return out


def _figures(tables: list[Table], store: Store) -> Iterator[tuple[str, Figure]]:
    for table in tables:
        for data, model in dict.fromkeys((row.data, row.model) for row in table.rows if row.kind and row.n):
            rows = [row for row in table.rows if (row.data, row.model) == (data, model) and row.n]
            name = "-".join((table.suite, table.spec.name, model, *(["small"] if table.tier == "small" else [])))
            yield name, _draw(rows, f"{model}, {data}", store)
            for row in rows:
                if paths := [path for path in (_Path.of(stored, store) for stored in row.records[:SEEDS]) if path]:
                    label = "".join(c if c.isalnum() else "-" for c in row.label)
                    yield f"{name}-{label}-{100 * row.target:g}", _draw_paths(row, paths)
                    if paths[0].choices:
                        yield f"{name}-{label}-{100 * row.target:g}-choices", _draw_choices(row, paths)


@dataclass(frozen=True)
class _Path:
    """What a method noted along one run, with the accuracy beside it and its cuts."""

    seed: int
    noted: dict[str, list[tuple[int, float]]]
    choices: dict[str, Counter[str]]  # what was noted in words, and how often
    widths: dict[str, tuple[int, int]]  # of each group, dense and at the end
    test: list[tuple[int, float]]
    cuts: list[int]

    @classmethod
    def of(cls, stored: Stored, store: Store) -> "_Path | None":
        """None where nothing was noted more than twice: single values are no curve."""
        if (side := store.side_or_none(stored)) is None:
            return None
        noted: dict[str, list[tuple[int, float]]] = {}
        words: dict[str, Counter[str]] = {}
        for entry in side["journal"]:
            if entry["call"] == "note":
                for name, value in entry["result"].items():
                    if isinstance(value, int | float):
                        noted.setdefault(name, []).append((entry["epoch"], value))
                    elif isinstance(value, str):
                        words.setdefault(name, Counter())[value] += 1
        curves = {name: points for name, points in noted.items() if len(points) > 2}
        if not curves:
            return None
        test = [(p["at"] + 1, p["test"]) for p in side["curves"] if p["kind"] == "train" and "test" in p]
        cuts = [entry["epoch"] for entry in side["journal"] if entry["call"] == "cut"]
        choices = {name: counts for name, counts in words.items() if counts.total() > 2}
        widths = {name: (dense, len(side["kept"][name])) for name, dense in side.get("dense_widths", {}).items()}
        return cls(stored.record.seed, curves, choices, widths, test, cuts)


def _draw_paths(row: Row, paths: list[_Path]) -> Figure:
    """Above what was noted, below the accuracy, one line a seed; a mark where it cut."""
    names = list(paths[0].noted)
    figure = Figure(figsize=(6.4, 1.9 * (1 + len(names))), layout="constrained")
    axes = figure.subplots(1 + len(names), 1, sharex=True, squeeze=False)
    for i, path in enumerate(paths):
        style: Any = {"color": COLOURS[i % len(COLOURS)], "linestyle": STYLES[i % len(STYLES)], "linewidth": 1.5}
        series = [*(path.noted[name] for name in names), path.test]
        for axis, points in zip(axes[:, 0], series, strict=True):
            axis.plot(*zip(*points, strict=True), label=f"seed {path.seed}", **style)
            for cut in path.cuts:
                axis.axvline(cut, color=style["color"], linewidth=0.8, linestyle=":")
    for axis, name in zip(axes[:, 0], [*names, "top-1 on test, %"], strict=True):
        axis.set_ylabel(name)
    axes[0, 0].legend(frameon=False, fontsize=8)
    axes[-1, 0].set_xlabel("epoch (dotted: the cut)")
    figure.suptitle(f"{row.label}, {row.model}, {row.data}: {100 * row.target:g} % of {row.kind} removed", fontsize=10)
    return figure


def _draw_choices(row: Row, paths: list[_Path]) -> Figure:
    """How often what was chosen, a dot a seed; and the widths of the first seed, before and after."""
    (name, _), *_ = paths[0].choices.items()
    options = sorted({option for path in paths for option in path.choices.get(name, {})})
    figure = Figure(figsize=(9.5, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 2.2))
    counts = np.array([[path.choices[name][option] for option in options] for path in paths])
    left.bar(range(len(options)), counts.mean(0), color=COLOURS[5], width=0.6)
    for line in counts:
        left.plot(range(len(options)), line, "o", color=COLOURS[0], markersize=4)
    left.set_xticks(range(len(options)), options, rotation=30, ha="right", rotation_mode="anchor")
    left.set_ylabel(f"{name}, times (dots: seeds)")
    dense, now = zip(*paths[0].widths.values(), strict=True)
    right.bar(range(len(dense)), dense, color="0.85", width=0.9, label="dense")
    right.bar(range(len(now)), now, color=COLOURS[0], width=0.6, label=f"seed {paths[0].seed}")
    right.set_xticks(range(len(dense)), list(paths[0].widths), rotation=90, fontsize=6)
    right.set_ylabel("channels")
    right.legend(frameon=False, fontsize=8)
    figure.suptitle(f"{row.label}, {row.model}, {row.data}: {100 * row.target:g} % of {row.kind}", fontsize=10)
    return figure


def _draw(rows: list[Row], title: str, store: Store) -> Figure:
    hardest = max(row.target for row in rows)
    pruned = [row for row in rows if row.target == hardest]
    dense = next((row for row in rows if row.label == "dense"), None)
    figure = _lines(pruned, dense, store) if len(pruned) <= FEW else _strips(pruned, dense, store)
    figure.suptitle(f"{title}: {100 * hardest:g} % of {pruned[0].kind} removed", fontsize=10)
    return figure


def _path(row: Row, store: Store) -> tuple[list[int], list[float]]:
    """What was removed after each epoch; the path is the method's, so one seed shows it."""
    sides = (side for stored in row.records if (side := store.side_or_none(stored)))
    curve = [point for point in next(sides, {"curves": []})["curves"] if point["kind"] == "train"]
    return [p["at"] + 1 for p in curve], [100 * p["removed"] for p in curve]


def _lines(rows: list[Row], dense: Row | None, store: Store) -> Figure:
    """A few methods: their paths as lines, beside what was left."""
    figure = Figure(figsize=(8.2, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    for i, row in enumerate(rows):
        left.plot(*_path(row, store), color=COLOURS[i], linestyle=STYLES[i], linewidth=1.8, label=row.label)
    left.set(xlabel="epoch", ylabel="removed by then, %")
    left.legend(frameon=False, fontsize=8)
    _outcomes(right, rows, dense)
    return figure


def _strips(rows: list[Row], dense: Row | None, store: Store) -> Figure:
    """Many methods: a strip each, darker the more is removed, in line with what was left."""
    size = (9.5, 1.2 + 0.3 * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.1))
    paths = [_path(row, store) for row in rows]
    last = max((epochs[-1] for epochs, _ in paths if epochs), default=1)
    grid = np.full((len(rows), last), np.nan)
    for line, (epochs, removed) in zip(grid, paths, strict=True):
        line[np.array(epochs, dtype=int) - 1] = removed
    edges = np.arange(len(rows) + 1) - 0.5
    strips = left.pcolormesh(np.arange(last + 1) + 0.5, edges, grid, cmap="Blues", vmin=0, edgecolor="none")
    left.hlines(edges, 0.5, last + 0.5, color="white", linewidth=5)
    left.set(xlabel="epoch", ylim=(len(rows) - 0.5, -0.5))
    left.set_yticks(range(len(rows)), [row.label for row in rows])
    left.tick_params(axis="y", length=0)
    figure.colorbar(strips, ax=left, label="removed by then, %", location="top", shrink=0.7, aspect=40)
    _outcomes(right, rows, dense, upright=False)
    return figure


def _outcomes(axes: Axes, rows: list[Row], dense: Row | None, *, upright: bool = True) -> None:
    """Each seed a dot (the first fifty), the mean a bar with its sample deviation."""
    for i, row in enumerate(rows):
        values = row.values("outcome.top1")[:DOTS]
        place = i + (np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else np.zeros(1))
        colour = COLOURS[i if upright else 0]
        dots, bar = ((place, values), (i, row.top1)) if upright else ((values, place), (row.top1, i))
        spread: Any = {"yerr" if upright else "xerr": row.std, "fmt": "_" if upright else "|"}
        axes.plot(*dots, "o", markersize=4, color=colour, alpha=0.6, markeredgewidth=0)
        axes.errorbar(*bar, **spread, markersize=22 if upright else 12, color=colour, capsize=3, linewidth=1.5)
    if dense:
        (axes.axhline if upright else axes.axvline)(dense.top1, color="0.4", linewidth=1, linestyle=":")
        end = (len(rows) - 0.5, dense.top1) if upright else (dense.top1, -0.5)
        axes.annotate(f"dense {dense.top1:.2f}", end, ha="right", va="bottom", fontsize=8)
    if upright:
        axes.set_xticks(range(len(rows)), [r.label for r in rows], rotation=20, ha="right", rotation_mode="anchor")
        axes.set(ylabel="top-1 accuracy, %", xlim=(-0.5, len(rows) - 0.5))
    else:
        axes.set(xlabel="top-1 accuracy, %")
        axes.grid(axis="y", color="0.9", linewidth=0.8)
        axes.tick_params(axis="y", length=0)
    axes.margins(y=0.15 if upright else None, x=None if upright else 0.15)
