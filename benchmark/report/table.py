"""A table in the paper's shape, as Markdown, LaTeX or CSV. Equal records give equal bytes."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from benchmark.cell import CHANNEL_KINDS
from benchmark.errors import UserError
from benchmark.report.beside import beside
from benchmark.report.rows import Row, rows_of, timed
from benchmark.store import Store
from benchmark.suite import Planned
from benchmark.suite_file import Suite
from benchmark.suite_file import Table as TableSpec

Grid = list[list[str]]
FORMATS = ("md", "tex", "csv")
NONE = "–"
PARTS = "= pretrain + train + search + recover"


@dataclass(frozen=True)
class Table:
    suite: str
    spec: TableSpec
    tier: str
    recipe: str
    rows: list[Row]


def tables_of(suite: Suite, planned: list[Planned], store: Store) -> list[Table]:
    tables = []
    for spec in suite.file.table:
        mine = [p for p in planned if p.table == spec.name]
        if rows := rows_of(mine, store):
            recipe = mine[0].cell.recipe
            text = (
                f"{recipe.epochs} epochs, batch {recipe.batch}, {recipe.optimizer.kind} {recipe.optimizer.lr:g}, "
                f"{recipe.lr.shape}, {recipe.precision}, validation {recipe.validation}"
            )
            tables.append(Table(suite.name, spec, mine[0].cell.tier, text, rows))
    return tables


def render(tables: list[Table], format: str) -> str:
    if format not in FORMATS:
        raise UserError(f"--format {format}: one of {', '.join(FORMATS)}")
    if format == "csv":
        return _csv(tables)
    draw = _md_table if format == "md" else _tex_table
    return "\n".join(draw(table) for table in tables)


# ---- what stands in the cells ----------------------------------------------------------------


def _columns(table: Table) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row.data, row.model) for row in table.rows))


def _grid(table: Table) -> tuple[list[str], Grid]:
    """Method × target down, data set and model across: mean ± deviation (n)."""
    columns = _columns(table)
    at = {(row.data, row.model, row.label, row.kind, row.target): row for row in table.rows}
    lines = dict.fromkeys((row.kind, row.target, row.label) for row in table.rows)
    body: Grid = []
    for kind, target, label in sorted(lines, key=lambda line: (line[0], line[1], list(lines).index(line))):
        cells = [accuracy(at.get((data, model, label, kind, target))) for data, model in columns]
        body.append([_removed(kind, target), label, *cells])
    return ["removed", "method", *(f"{model}, {data}" for data, model in columns)], body


def accuracy(row: Row | None) -> str:
    if row is None or not row.n:
        return NONE
    spread = f" ± {row.std:.2f}" if row.std is not None else ""
    return f"{row.top1:.2f}{spread} ({row.n})"


def removed(row: Row) -> str:
    return _removed(row.kind, row.target)


def _removed(kind: str, target: float) -> str:
    return f"{100 * target:g} % {kind}" if kind else "nothing"


Column = tuple[str, Callable[[Row], str]]

ALWAYS: list[Column] = [
    ("top-1 %", accuracy),
    ("drop", lambda row: _number(row.drop, "+.2f") if row.label != "dense" else NONE),
    ("MACs left", lambda row: _percent(row.macs_left)),
]
MASKED: list[Column] = [
    ("nonzero MACs", lambda row: _percent(row.macs_nonzero_left)),
    ("nonzero params", lambda row: _percent(row.params_left)),
]
CUT: list[Column] = [
    ("params left", lambda row: _percent(row.params_left)),
    ("best on test", lambda row: f"{fmean(row.values('outcome.best_top1')):.2f}"),
    ("cut at epoch", lambda row: _number(row.noted("stable_epoch"), ".1f")),
    ("× dense MACs to train", lambda row: _number(row.times_dense_macs, ".2f")),
    (PARTS, lambda row: _sum(row.macs_parts)),
]
HOURS: list[Column] = [("× dense hours", lambda row: _number(row.times_dense_hours, ".2f"))]
CUT_HOURS: list[Column] = [
    (PARTS, lambda row: _sum(_hours(row))),
    ("ms at batch 1, dense", lambda row: _latency(row, "1")),
    ("ms at batch 128, dense", lambda row: _latency(row, "128")),
    ("speed-up", lambda row: _number(row.speed_up, ".2f")),
]


def _details(rows: list[Row]) -> Grid:
    """Head and lines: the columns that the table's kind of target asks for."""
    cuts = any(row.kind in CHANNEL_KINDS for row in rows)
    columns = [*ALWAYS, *(CUT if cuts else MASKED), *HOURS, *(CUT_HOURS if cuts else [])]
    body = [["removed", "method", *(head for head, _ in columns), "flags"]]
    for row in sorted(rows, key=lambda r: (r.kind, r.target)):
        values = [of(row) for _, of in columns] if row.n else [NONE] * len(columns)
        body.append([removed(row), row.label, *values, ", ".join(row.flags)])
    return body


def _printed(table: Table, rows: list[Row]) -> Grid:
    """Reported beside measured, with the gap or with what forbids one."""
    body = [["removed", "method", "here", "printed", "gap", "unlike ours in", "where"]]
    for row in sorted(rows, key=lambda r: (r.kind, r.target)):
        for each in beside(row, table.spec, table.tier):
            there = each.reported
            best = " (best on test)" if there.metric == "top1_best" else ""
            values = [f"{each.measured:.2f}{best}", f"{there.value:g}", _number(each.gap, "+.2f")]
            unlike = ", ".join(each.unlike) or NONE
            body.append([removed(row), row.label, *values, unlike, f"{there.source}, {there.place}"])
    return body


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _hours(row: Row) -> tuple[float, ...] | None:
    """What they went into, as parts of the dense network's."""
    if (dense := row.dense_hours) is None:
        return None
    return tuple(row.cost(part) / dense for part in ("pretrain", "train", "search", "recover"))


def _sum(parts: tuple[float, ...] | None) -> str:
    return " + ".join(f"{part:.2f}" for part in parts) if parts else NONE


def _latency(row: Row, batch: str) -> str:
    """Median ± quartile range; then the dense network's, of the same turns."""
    mine, dense = row.latency(batch), row.latency(f"dense {batch}")
    return f"{mine[0]:.2f} ± {mine[1]:.2f}, {dense[0]:.2f} ± {dense[1]:.2f}" if mine and dense else NONE


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else f"{round(value, 6) + 0.0:{form}}"  # no -0.00


def _about(table: Table, rows: list[Row]) -> str:
    records = [s.record for row in rows for s in row.records]
    if not records:
        return "Every cell diverged."
    dense = next((row.dense for row in rows if row.dense), ())
    devices = ", ".join(sorted({f"{r.how.device_name} ({r.how.device}, {r.how.mode})" for r in records}))
    macs = f"{records[0].network.macs_dense:,}"
    hours = fmean([s.cost.hours for s in timed(dense)]) if dense else None
    company = ", beside other runs" if any(s.shared for s in timed(dense)) else ""
    cost = f"; dense training {hours * 60:.1f} min{company}" if hours is not None else ""
    inputs = (dense[0].record if dense else records[0]).cost.inputs
    files = f" Images from files, first run: {inputs}." if inputs else ""
    return f"Dense network {macs} MACs, {records[0].network.params_dense:,} parameters{cost}; on {devices}.{files}"


CUT_NOTE = (
    "MACs to train count the parent's, the search's and all recoveries; controls get their widths for nothing. "
    "Latencies: median ± quartile range of this run's network, then the dense network's median in the same turns. "
    "`best on test` picks its epoch on the test set."
)

PACKED_NOTE = (
    "Rows marked `packed` shared their machine: their hours compare with nothing until `prunebench hours` has timed "
    "them alone."
)


# ---- Markdown ----------------------------------------------------------------------------------


def _md_table(table: Table) -> str:
    head, body = _grid(table)
    lines = [f"## {table.spec.name}: {table.suite}, track {table.spec.track}, tier {table.tier}", ""]
    if table.spec.about:
        lines += [table.spec.about, ""]
    lines += [f"Recipe: {table.recipe}. Top-1 accuracy in % after the last epoch, mean ± sample deviation (seeds)."]
    if table.tier == "small":
        lines += ["Tier small is indicative, never a verdict on a paper."]
    lines += ["", *md_grid(head, body)]
    for data, model in _columns(table):
        rows = [row for row in table.rows if (row.data, row.model) == (data, model)]
        lines += ["", f"### {model}, {data}", "", _about(table, rows), "", *md_grid(*_split(_details(rows)))]
        if len(printed := _printed(table, rows)) > 1:
            lines += ["", "What papers print beside it; a gap only where both followed one protocol:", ""]
            lines += md_grid(*_split(printed))
    if any(row.kind in CHANNEL_KINDS for row in table.rows):
        lines += ["", CUT_NOTE]
    if any("packed" in row.flags for row in table.rows):
        lines += ["", PACKED_NOTE]
    note = "Zero weights save no time on dense kernels: `nonzero MACs` counts what is left, not what is saved."
    if any(row.kind == "weights" for row in table.rows):
        lines += ["", note]
    return "\n".join(lines) + "\n"


def _split(grid: Grid) -> tuple[list[str], Grid]:
    return grid[0], grid[1:]


def md_grid(head: list[str], body: Grid) -> list[str]:
    head, *body = [[" ".join(cell.split()).replace("|", r"\|") for cell in line] for line in [head, *body]]
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return [line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, body)]


# ---- LaTeX -------------------------------------------------------------------------------------

TEX = {
    **{letter: rf"\{letter}" for letter in "%_&#${}"},
    **{"–": "--", "×": r"$\times$", "±": r"$\pm$", "\n": " "},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
}


def _tex(text: str) -> str:
    return "".join(TEX.get(letter, letter) for letter in text)


def _tex_table(table: Table) -> str:
    head, body = _grid(table)
    lines = [
        f"% {table.spec.name}: {table.suite}, track {table.spec.track}, tier {table.tier}; needs booktabs",
        f"% {table.recipe}",
        rf"\begin{{tabular}}{{ll{'r' * (len(head) - 2)}}}",
        r"\toprule",
        " & ".join(_tex(cell) for cell in head) + r" \\",
        r"\midrule",
        *(" & ".join(_tex(cell) for cell in line) + r" \\" for line in body),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


# ---- CSV: one line a row, everything, and the records it comes from ------------------------------

CSV = [
    "suite", "table", "track", "tier", "data", "model", "method", "kind", "target", "n", "asked",
    "top1_mean", "top1_std", "best_top1_mean", "mean_class", "dense_mean", "drop",
    "macs", "macs_left", "macs_nonzero_left", "params_left", "hours", "times_dense_hours",
    "pretrain_hours", "train_hours", "search_hours", "recover_hours",
    "times_dense_macs", "of_pretrain", "of_train", "of_search", "of_recover",
    "stable_epoch", "latency_1_ms", "latency_128_ms", "dense_latency_1_ms", "dense_latency_128_ms",
    "spread_1_ms", "spread_128_ms", "dense_spread_1_ms", "dense_spread_128_ms", "speed_up",
    "device", "threads", "mode", "flags", "records",
]  # fmt: skip


LATENCIES = ("1", "128", "dense 1", "dense 128")


def _csv(tables: list[Table]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV)
    for table in tables:
        for row in table.rows:
            writer.writerow([table.suite, table.spec.name, table.spec.track, table.tier, *_csv_row(row)])
    return out.getvalue()


def _csv_row(row: Row) -> list[str]:
    base = [row.data, row.model, row.label, row.kind, f"{row.target:g}", str(row.n), str(row.asked)]
    if not row.n:
        return [*base, *[""] * (len(CSV) - len(base) - 2), "; ".join(row.flags), ""]
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
    return [*base, *shown, how.device, str(how.threads), how.mode, "; ".join(row.flags), names]
