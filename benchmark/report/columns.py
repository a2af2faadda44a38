"""What the cells of a table say: the columns of the paper table and of the cost table, row by row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from benchmark.evidence.differences import Sample, Side, estimate_of
from benchmark.evidence.statistics import holm
from benchmark.plan.cell import CHANNEL_KINDS
from benchmark.records.flags import Flag, reached
from benchmark.records.record import Record
from benchmark.records.rows import Row

NONE = "–"
LEVEL = 0.05  # of the marks for best and second best
OF_HOURS = ("hours shared", "hours timed alone", "input-bound")  # flags that belong beside the hours
KINDS = {"weights": "weights", "macs": "FLOPs", "params": "parameters", "channels": "channels"}
Column = tuple[str, Callable[[Row], str]]


# ---- which rows are best ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Ranks:
    """Of one block and target: the rows that no other row beats, and those behind a single winner."""

    best: tuple[Row, ...] = ()
    second: tuple[Row, ...] = ()


def ranks(rows: Sequence[Row]) -> Ranks:
    """By accuracy. A row that is not significantly worse than the best one (Welch, corrected for their number by Holm)
    is marked with it. Rows that cannot be compared, or have one seed, take no part."""
    best: list[Row] = []
    second: list[Row] = []
    for _, group in groupby(sorted(rows, key=_target), key=_target):
        mine = [row for row in group if row.kind and row.n > 1 and not (row.unlike or row.off_target)]
        first = _unbeaten(mine)
        best += first
        if len(first) == 1:
            second += _unbeaten([row for row in mine if row not in first])
    return Ranks(tuple(best), tuple(second))


def _target(row: Row) -> tuple[str, float]:
    return row.kind, row.target


def _unbeaten(rows: list[Row]) -> list[Row]:
    if len(rows) < 2:
        return []
    top = max(rows, key=lambda row: row.top1)
    others = [row for row in rows if row is not top]
    worse, _ = holm([_p_worse(top, row) for row in others], LEVEL)
    return [top, *(row for row, is_worse in zip(others, worse, strict=True) if not is_worse)]


def _p_worse(top: Row, row: Row) -> float:
    """Two-sided, that the two differ."""
    sides = [Side(tuple(s.content for s in each.records), each.values("outcome.top1")) for each in (top, row)]
    difference = estimate_of(Sample([(sides[0], sides[1])]))
    return min(1.0, 2 * difference.p_above(0.0))


# ---- the paper table -------------------------------------------------------------------------------


def usual_n(rows: Sequence[Row]) -> int:
    """The number of seeds that most rows have: the caption tells it, a row that differs tells its own."""
    counts = [row.n for row in rows if row.n]
    return max(counts, key=lambda n: (counts.count(n), n), default=0)


def accuracy(row: Row | None, usual: int = -1) -> str:
    """Mean ± sample deviation, and the number of seeds where it is not the usual one."""
    if row is None or not row.n:
        return NONE
    spread = f" ± {row.std:.2f}" if row.std is not None else ""
    seeds = f" ({row.n})" if row.n != usual else ""
    return f"{row.top1:.2f}{spread}{seeds}"


def removed(row: Row) -> str:
    """What was to be removed, and what was where that is something else."""
    asked = f"{100 * row.target:g} % {KINDS[row.kind]}" if row.kind else "nothing"
    return f"{asked}, reached {reached(row.records)}" if row.off_target else asked


def paper_columns(rows: Sequence[Row], published: Callable[[Row], str] | None = None) -> list[Column]:
    """Behind the accuracy: what a paper's table has."""
    columns: list[Column] = []
    if any(row.data.startswith("imagenet") and None not in row.values("outcome.top5") for row in rows):
        columns.append(("Top-5 %", lambda row: f"{fmean(row.values('outcome.top5')):.2f}"))
    if published:
        columns.append(("Reported %", published))
    columns.append(("Δ", lambda row: number(-row.drop if row.drop is not None and row.kind else None, "+.2f")))
    if any(row.kind == "weights" for row in rows):
        columns.append(("Sparsity %", lambda row: f"{100 * row.reached:.1f}" if row.kind in ("weights", "") else NONE))
    if any(row.kind in CHANNEL_KINDS for row in rows):
        columns.append(("FLOPs ↓ %", lambda row: f"{100 * (1 - row.macs_left):.1f}"))
    columns.append(("Params ↓ %", lambda row: f"{100 * (1 - row.params_left):.1f}"))
    return [
        *columns,
        (f"Train ({unit(rows)})", lambda row: hours(row, unit(rows))),
        ("× dense", lambda row: number(row.times_dense_hours, ".2f")),
    ]


def unit(rows: Sequence[Row]) -> str:
    """Hours of GPUs, or of CPU cores: of the rows that compare with each other."""
    return _unit({_how(row).how.device for row in rows if row.n and not row.unlike})


def own_unit(row: Row) -> str:
    return _unit({_how(row).how.device})


def _unit(devices: set[str]) -> str:
    return "CPU core h" if devices == {"cpu"} else "GPU h"


def hours(row: Row, of: str) -> str:
    """All of it: pretraining, training, search and recoveries. In brackets where it compares with nothing: the machine
    was shared, or is of another kind than the other rows'."""
    value = row.hours * _cores(row)
    own = own_unit(row)
    text = f"{value:.2f}" if value >= 0.1 else f"{value:.3f}" if value >= 0.001 else f"{value:.2g}"
    if row.unlike and own != of:
        return f"({text} {own.removeprefix('CPU ')})"
    return f"({text})" if row.flagged("hours shared") or row.unlike else text


def _cores(row: Row) -> int:
    """Hours of a run on a CPU are those of its threads; hours on GPUs are counted by the record itself."""
    how = _how(row).how
    return how.threads if how.device == "cpu" else 1


def _how(row: Row) -> Record:
    return row.records[0].record


def beside_accuracy(row: Row) -> list[Flag]:
    return [flag for flag in row.flags if flag.name not in OF_HOURS]


def beside_hours(row: Row) -> list[Flag]:
    return [flag for flag in row.flags if flag.name in OF_HOURS]


# ---- the cost table --------------------------------------------------------------------------------


def cost_columns(rows: Sequence[Row]) -> list[Column]:
    masks, cuts = (any(row.kind in kinds for row in rows) for kinds in (("weights",), CHANNEL_KINDS))
    columns: list[Column] = [
        (f"pretrain + train + search + recover, {unit(rows)}", lambda row: _parts(row, unit(rows))),
        ("the same in MACs, × dense", lambda row: _sum(row.macs_parts)),
        ("peak GiB", lambda row: _memory(row)),
    ]
    if masks:
        columns.append(("nonzero FLOPs %", lambda row: f"{100 * row.macs_nonzero_left:.1f}"))
    if cuts:
        columns += [
            ("cut at epoch", lambda row: number(row.noted("stable_epoch"), ".1f")),
            ("ms at batch 1, dense", lambda row: _latency(row, "1")),
            ("ms at batch 128, dense", lambda row: _latency(row, "128")),
            ("speed-up", lambda row: number(row.speed_up, ".2f")),
        ]
    return columns


def _parts(row: Row, of: str) -> str:
    parts = [row.cost(part) * _cores(row) for part in ("pretrain", "train", "search", "recover")]
    text = " + ".join("0" if part == 0 else f"{part:.2g}" for part in parts)
    return f"({text})" if hours(row, of).startswith("(") else text


def _memory(row: Row) -> str:
    """Of the GPU; on a CPU of the process."""
    peaks = [s.record.cost.peak_memory for s in row.records]
    return f"{max(peaks) / 2**30:.2f}" if any(peaks) else NONE


def _sum(parts: tuple[float, ...] | None) -> str:
    return " + ".join("0" if part == 0 else f"{part:.2f}" for part in parts) if parts else NONE


def _latency(row: Row, batch: str) -> str:
    """Median ± quartile range; then the dense network's, of the same turns."""
    mine, dense = row.latency(batch), row.latency(f"dense {batch}")
    return f"{mine[0]:.2f} ± {mine[1]:.2f}, {dense[0]:.2f} ± {dense[1]:.2f}" if mine and dense else NONE


def number(value: float | None, form: str) -> str:
    return NONE if value is None else f"{round(value, 6) + 0.0:{form}}"  # no -0.00
