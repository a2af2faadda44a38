"""`compare`: two rows of a suite, or one row of two stores."""

from math import isfinite
from pathlib import Path
from typing import Any

from benchmark.errors import UnknownName, UserError
from benchmark.evidence.pairs import Pair, compare
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.rows import Row, rows_of
from benchmark.records.store import Store
from benchmark.report.columns import hours, number, removed, unit
from benchmark.report.markdown import md_grid

FORMATS = ("md", "json")


def compare_rows(
    name: str,
    a: str,
    b: str,
    *,
    stores: tuple[Path, Path],
    tier: str = "full",
    only: str = "",
    methods_from: tuple[Path, ...] = (),
) -> list[Pair]:
    """Every target and network for which both rows have records."""
    suite = read(name, (), methods_from)
    planned = plan(suite, tier, only)
    opened = (Store(stores[0]), Store(stores[1]))
    sides = []
    for label, store in zip((a, b), opened, strict=True):
        labels = sorted({p.label for p in planned})
        if label not in labels:
            raise UnknownName("row", label, labels)
        found: dict[tuple[Any, ...], Row] = {}
        for table in dict.fromkeys(
            p.table for p in planned
        ):  # one row may stand in several tables: the first one counts
            for row in rows_of([p for p in planned if p.table == table], store):
                if row.label == label:
                    found.setdefault((row.data, row.model, row.kind, row.target, _recipe(row)), row)
        if not found:
            raise UserError(f"{store.root}: no records of {label} in {suite.name}" + (f" with {only}" if only else ""))
        sides.append(found)
    common = [place for place in sides[0] if place in sides[1]]
    if not common:
        raise UserError(f"{a} and {b} have no data set, model, target and recipe in common; --only may be too narrow")
    return [compare(sides[0][place], sides[1][place], opened) for place in common]


def _recipe(row: Row) -> str:
    return row.records[0].record.cell.recipe.model_dump_json() if row.records else ""


def as_json(pairs: list[Pair]) -> list[dict[str, Any]]:
    return [
        {
            "data": pair.a.data,
            "model": pair.a.model,
            "kind": pair.a.kind,
            "target": pair.a.target,
            "a": pair.a.label,
            "b": pair.b.label,
            "top1": [pair.a.top1, pair.b.top1],
            "difference": pair.difference,
            "interval": [pair.low, pair.high] if isfinite(pair.low) else None,
            "p": pair.p,
            "test": pair.how,
            "seeds": list(pair.seeds),
            "more_seeds": pair.more_seeds,
            "images": vars(pair.agreement) if pair.agreement else None,
            "hours": [pair.a.hours, pair.b.hours],
            "records": [[s.content for s in row.records] for row in (pair.a, pair.b)],
        }
        for pair in pairs
    ]


def as_markdown(pairs: list[Pair]) -> str:
    return "\n".join(_text(pair) for pair in pairs)


def _text(pair: Pair) -> str:
    a, b = pair.a, pair.b
    lines = [f"## {a.label} against {b.label}: {removed(a)}, {a.model}, {a.data}", ""]
    interval = f" ({pair.low:+.2f} to {pair.high:+.2f})" if isfinite(pair.low) else ""
    p = f", p = {pair.p:.2g}" if pair.p is not None else ""
    lines.append(f"{pair.difference:+.2f} points{interval}{p}; {pair.how}, {pair.seeds[0]} and {pair.seeds[1]} seeds.")
    if pair.more_seeds:
        lines.append(f"About {pair.more_seeds} more seeds of each would decide a difference of this size.")
    if (seen := pair.agreement) is not None:
        lines.append(
            f"Test images: both right {seen.both:,}, only {a.label} {seen.only_a:,}, only {b.label} {seen.only_b:,}, "
            f"neither {seen.neither:,}; McNemar's p = {seen.p:.2g} (over images of these seeds, not over trainings)."
        )
    of = unit([a, b])
    body = [
        [
            row.label,
            f"{row.top1:.2f}",
            hours(row, of),
            number(row.times_dense_macs, ".2f"),
            f"{100 * _left(row):.1f}",
        ]
        for row in (a, b)
    ]
    head = ["", "top-1 %", f"training, {of}", "MACs to train, × dense", "nonzero FLOPs left %"]
    flags = [f"{row.label}: {flag}" for row in (a, b) for flag in row.flags]
    return "\n".join([*lines, "", *md_grid(head, body), *(["", "; ".join(flags) + "."] if flags else []), ""])


def _left(row: Row) -> float:
    return row.macs_nonzero_left if row.kind == "weights" else row.macs_left
