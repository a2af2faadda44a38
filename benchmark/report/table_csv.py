"""CSV: one line per row of a table, with every number and the records behind it."""

import csv
import io
from collections.abc import Iterable
from statistics import fmean

from benchmark.records.rows import Row

PLACE = ["suite", "table", "track", "tier"]
CSV = [
    *PLACE, "data", "model", "method", "kind", "target", "reached", "n", "asked",
    "top1_mean", "top1_std", "best_top1_mean", "mean_class", "dense_mean", "drop",
    "macs", "macs_left", "macs_nonzero_left", "params_left", "hours", "times_dense_hours",
    "pretrain_hours", "train_hours", "search_hours", "recover_hours",
    "times_dense_macs", "of_pretrain", "of_train", "of_search", "of_recover",
    "stable_epoch", "latency_1_ms", "latency_128_ms", "dense_latency_1_ms", "dense_latency_128_ms",
    "spread_1_ms", "spread_128_ms", "dense_spread_1_ms", "dense_spread_128_ms", "speed_up",
    "device", "threads", "mode", "flags", "flag_texts", "records",
]  # fmt: skip


LATENCIES = ("1", "128", "dense 1", "dense 128")


def csv_of(lines: Iterable[tuple[Iterable[str], Row]]) -> str:
    """The CSV of rows, each with its suite, table, track and tier."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV)
    writer.writerows([*place, *_values(row)] for place, row in lines)
    return out.getvalue()


def _values(row: Row) -> list[str]:
    reached = f"{row.reached:.6g}" if row.kind and row.n else ""
    base = [row.data, row.model, row.label, row.kind, f"{row.target:g}", reached, str(row.n), str(row.asked)]
    flags = ["; ".join(flag.name for flag in row.flags), "; ".join(str(flag) for flag in row.flags)]
    if not row.n:
        return [*base, *[""] * (len(CSV) - len(PLACE) - len(base) - len(flags) - 1), *flags, ""]
    dense = fmean([s.record.outcome.top1 for s in row.dense]) if row.dense else None
    numbers: list[float | None] = [
        row.top1, row.std, fmean(row.values("outcome.best_top1")), fmean(row.values("outcome.mean_class")),
        dense, row.drop,
        fmean(row.values("network.macs")), row.macs_left, row.macs_nonzero_left, row.params_left,
        row.hours, row.times_dense_hours,
        *(row.cost(part) for part in ("pretrain", "train", "search", "recover")),
        row.times_dense_macs, *(row.macs_parts or [None] * 4), row.noted("stable_epoch"),
        *((row.latency(key) or (None, None))[i] for i in (0, 1) for key in LATENCIES), row.speed_up,
    ]  # fmt: skip
    how = row.records[0].record.how
    names = " ".join(s.content for s in row.records)
    shown = ["" if v is None else f"{v:.6g}" if abs(v) < 1e6 else f"{v:.0f}" for v in numbers]
    return [*base, *shown, how.device, str(how.threads), how.mode, *flags, names]
