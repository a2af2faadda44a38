"""Figures of a table: how each method removed, and what was left. Colour-blind safe, without a date.

The bytes depend only on the numbers in the picture and on matplotlib's version.
"""

import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.report.pictures import Bar, Choices, Comparison, Picture, Released, Traces, TradeOff, Widths

# Okabe and Ito's palette can be told apart with any colour vision; line styles also without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), "-")
MARKERS = "osD^"
FEW = 6  # rows that fit a small figure
STYLE: Any = {"svg.hashsalt": "prunebench", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}


NO_DATE = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}


def draw(pictures: dict[str, Picture], forms: tuple[str, ...] = ("svg",)) -> dict[str, bytes]:
    """File name -> its bytes."""
    out = {}
    with mpl.rc_context(STYLE):
        for stem, picture in pictures.items():
            figure = _figure(picture)
            for form in forms:
                buffer = io.BytesIO()
                figure.savefig(buffer, format=form, dpi=200, metadata=NO_DATE[form])
                out[f"{stem}.{form}"] = buffer.getvalue()
    return out


def _figure(picture: Picture) -> Figure:
    match picture:
        case Comparison():
            return _compared(picture)
        case Traces():
            return _traced(picture)
        case Choices():
            return _chosen(picture)
        case TradeOff():
            return _traded(picture)
        case Widths():
            return _widths(picture)
        case Released():
            return _released(picture)


def _traced(picture: Traces) -> Figure:
    """Above, what was noted; below, the accuracy. One line per seed, with a mark at the cut."""
    paths = picture.traces
    names = list(paths[0].noted)
    figure = Figure(figsize=(6.4, 1.9 * (1 + len(names))), layout="constrained")
    axes = figure.subplots(1 + len(names), 1, sharex=True, squeeze=False)
    for i, path in enumerate(paths):
        style: Any = {"color": COLOURS[i % len(COLOURS)], "linestyle": STYLES[i % len(STYLES)], "linewidth": 1.5}
        series = [*(path.noted[name] for name in names), path.test]
        for axis, points in zip(axes[:, 0], series, strict=True):
            axis.plot(*zip(*points, strict=True), label=f"seed {path.seed}", **style)
            for cut in {path.cuts[0], path.cuts[-1]} if path.cuts else ():
                axis.axvline(cut, color=style["color"], linewidth=0.8, linestyle=":")
    for axis, name in zip(axes[:, 0], [*names, "top-1 on test, %"], strict=True):
        axis.set_ylabel(name)
    axes[0, 0].legend(frameon=False, fontsize=8)
    axes[-1, 0].set_xlabel("epoch (dotted: the cut, or the first and the last)")
    figure.suptitle(picture.title, fontsize=10)
    return figure


def _chosen(picture: Choices) -> Figure:
    """How often each choice was made, one dot per seed; and the widths of the first seed, before and after."""
    paths = picture.traces
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
    figure.suptitle(picture.title, fontsize=10)
    return figure


def _widths(picture: Widths) -> Figure:
    """Grey: the dense network. A line for each row."""
    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    axis = figure.subplots()
    groups = list(picture.dense)
    axis.bar(range(len(groups)), list(picture.dense.values()), color="0.85", width=0.9, label="dense")
    for i, (label, left) in enumerate(picture.left.items()):
        how: Any = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i // len(COLOURS) % len(MARKERS)]}
        axis.plot(range(len(groups)), [left.get(name, picture.dense[name]) for name in groups], **how, markersize=4)
        axis.lines[-1].set_label(label)
    axis.set_xticks(range(len(groups)), groups, rotation=90, fontsize=6)
    axis.set_ylabel("channels (first seed)")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    figure.suptitle(picture.title, fontsize=10)
    return figure


def _released(picture: Released) -> Figure:
    """On the line, a network is as accurate as printed."""
    figure = Figure(figsize=(8.2, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    printed, seen = zip(*picture.pairs, strict=True)
    ends = min(printed + seen) - 0.3, max(printed + seen) + 0.3
    left.plot(ends, ends, color="0.6", linewidth=1, linestyle=":")
    left.plot(printed, seen, "o", markersize=4, color=COLOURS[0], alpha=0.6, markeredgewidth=0)
    left.set(xlabel="printed top-1, %", ylabel="evaluated here, %")
    right.hist(picture.gains, bins=12, color=COLOURS[5])
    right.axvline(float(np.mean(picture.gains)), color=COLOURS[1], linewidth=1.5)
    right.set(xlabel="best epoch on the test set minus last epoch, points", ylabel="runs")
    figure.suptitle(f"{picture.title}: {len(picture.pairs)} with a printed accuracy", fontsize=10)
    return figure


def _traded(picture: TradeOff) -> Figure:
    """Accuracy against cost. A line joins a method's targets. Grey: the best accuracy at each cost."""
    panels = list(picture.offers[0].takes)
    figure = Figure(figsize=(2.2 + 3.3 * len(panels), 3.4), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        points = [(x, -y) for offer in picture.offers for x, y in zip(offer.takes[name], offer.top1, strict=True)]
        places, worse = zip(*sorted(points), strict=True)
        axis.step(places, -np.minimum.accumulate(worse), where="post", color="0.8", linewidth=4, zorder=0)
        axis.axhline(picture.dense, color="0.4", linewidth=1, linestyle=":")
        for i, offer in enumerate(picture.offers):
            how: Any = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i // len(COLOURS) % len(MARKERS)]}
            how |= {"label": offer.label} if name == panels[0] else {}
            spread = [std or 0.0 for std in offer.std]
            axis.errorbar(offer.takes[name], offer.top1, spread, **how, markersize=5, linewidth=1)
        axis.set_xlabel(name)
    figure.axes[0].set_ylabel("top-1 accuracy, % (dotted: dense)")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    figure.suptitle(picture.title, fontsize=10)
    return figure


def _compared(picture: Comparison) -> Figure:
    figure = (_lines if len(picture.bars) <= FEW else _strips)(picture.bars, picture.dense)
    figure.suptitle(picture.title, fontsize=10)
    return figure


def _lines(bars: list[Bar], dense: float | None) -> Figure:
    """For a few methods: their paths as lines, beside the accuracy."""
    figure = Figure(figsize=(8.2, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    for i, bar in enumerate(bars):
        left.plot(*bar.removed, color=COLOURS[i], linestyle=STYLES[i], linewidth=1.8, label=bar.label)
    left.set(xlabel="epoch", ylabel="removed by then, %")
    left.legend(frameon=False, fontsize=8)
    _outcomes(right, bars, dense)
    return figure


def _strips(bars: list[Bar], dense: float | None) -> Figure:
    """For many methods: one strip each, darker where more is removed, beside the accuracy."""
    size = (9.5, 1.2 + 0.3 * len(bars))
    figure = Figure(figsize=size, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.1))
    paths = [bar.removed for bar in bars]
    last = max((epochs[-1] for epochs, _ in paths if epochs), default=1)
    grid = np.full((len(bars), last), np.nan)
    for line, (epochs, removed) in zip(grid, paths, strict=True):
        line[np.array(epochs, dtype=int) - 1] = removed
    edges = np.arange(len(bars) + 1) - 0.5
    strips = left.pcolormesh(np.arange(last + 1) + 0.5, edges, grid, cmap="Blues", vmin=0, edgecolor="face", lw=1.0)
    left.hlines(edges, 0.5, last + 0.5, color="white", linewidth=5)
    left.set(xlabel="epoch", ylim=(len(bars) - 0.5, -0.5))
    left.set_yticks(range(len(bars)), [bar.label for bar in bars])
    left.tick_params(axis="y", length=0)
    figure.colorbar(strips, ax=left, label="removed by then, %", location="top", shrink=0.7, aspect=40)
    _outcomes(right, bars, dense, upright=False)
    return figure


def _outcomes(axes: Axes, bars: list[Bar], dense: float | None, *, upright: bool = True) -> None:
    """Each seed is a dot (the first fifty). The mean is a bar with its sample deviation."""
    for i, each in enumerate(bars):
        values = each.values
        place = i + (np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else np.zeros(1))
        colour = COLOURS[i if upright else 0]
        dots, bar = ((place, values), (i, each.mean)) if upright else ((values, place), (each.mean, i))
        spread: Any = {"yerr" if upright else "xerr": each.std, "fmt": "_" if upright else "|"}
        axes.plot(*dots, "o", markersize=4, color=colour, alpha=0.6, markeredgewidth=0)
        axes.errorbar(*bar, **spread, markersize=22 if upright else 12, color=colour, capsize=3, linewidth=1.5)
    if dense is not None:
        (axes.axhline if upright else axes.axvline)(dense, color="0.4", linewidth=1, linestyle=":")
        end = (len(bars) - 0.5, dense) if upright else (dense, -0.5)
        axes.annotate(f"dense {dense:.2f}", end, ha="right", va="bottom", fontsize=8)
    if upright:
        axes.set_xticks(
            range(len(bars)), [each.label for each in bars], rotation=20, ha="right", rotation_mode="anchor"
        )
        axes.set(ylabel="top-1 accuracy, %", xlim=(-0.5, len(bars) - 0.5))
    else:
        axes.set(xlabel="top-1 accuracy, %")
        axes.grid(axis="y", color="0.9", linewidth=0.8)
        axes.tick_params(axis="y", length=0)
    axes.margins(y=0.15 if upright else None, x=None if upright else 0.15)
