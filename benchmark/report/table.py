"""A table in the paper's shape, as Markdown, LaTeX or CSV. Equal records give equal bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from benchmark.errors import UserError
from benchmark.plan.cell import CHANNEL_KINDS
from benchmark.plan.suite import Planned
from benchmark.plan.suite_file import Suite
from benchmark.plan.suite_file import Table as TableSpec
from benchmark.records.flags import reached
from benchmark.records.rows import Row, rows_of, timed
from benchmark.records.store import Store
from benchmark.report.footnotes import Footnotes, in_latex, in_markdown
from benchmark.report.reported_columns import beside
from benchmark.report.table_csv import csv_of

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
        return csv_of(((t.suite, t.spec.name, t.spec.track, t.tier), row) for t in tables for row in t.rows)
    draw = _md_table if format == "md" else _tex_table
    return "\n".join(draw(table) for table in tables)


# ---- what is in the cells --------------------------------------------------------------------


def _columns(table: Table) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row.data, row.model) for row in table.rows))


def _grid(table: Table, notes: Footnotes, write: Callable[[str], str] = str) -> tuple[list[str], Grid]:
    """Rows: method × target. Columns: data set and model. Cells: mean ± deviation (n), and the letters of flags."""
    columns = _columns(table)
    at = {(row.data, row.model, row.label, row.kind, row.target): row for row in table.rows}
    lines = dict.fromkeys((row.kind, row.target, row.label) for row in table.rows)
    body: Grid = []
    for kind, target, label in sorted(lines, key=lambda line: (line[0], line[1], list(lines).index(line))):
        rows = [at.get((data, model, label, kind, target)) for data, model in columns]
        cells = [write(accuracy(row)) + (notes.mark(row.flags) if row else "") for row in rows]
        off = [row for row in rows if row and row.off_target]
        body.append([write(_removed(kind, target, off, named=len(columns) > 1)), write(label), *cells])
    return [write(head) for head in ("removed", "method", *(f"{model}, {data}" for data, model in columns))], body


def accuracy(row: Row | None) -> str:
    if row is None or not row.n:
        return NONE
    spread = f" ± {row.std:.2f}" if row.std is not None else ""
    return f"{row.top1:.2f}{spread} ({row.n})"


def removed(row: Row) -> str:
    return _removed(row.kind, row.target, [row] if row.off_target else [])


def _removed(kind: str, target: float, off: list[Row], *, named: bool = False) -> str:
    """What was asked to be removed. For rows that missed it, what was removed (and which row, if there are several)."""
    really = [reached(row.records) + (f" ({row.model}, {row.data})" if named else "") for row in off]
    return ", ".join([f"{100 * target:g} % {kind}" if kind else "nothing", *(f"reached {share}" for share in really)])


Column = tuple[str, Callable[[Row], str]]

ALWAYS: list[Column] = [
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


def _details(rows: list[Row], notes: Footnotes) -> Grid:
    """Head and lines, with the columns for the table's kind of target."""
    cuts = any(row.kind in CHANNEL_KINDS for row in rows)
    marked: Column = ("top-1 %", lambda row: accuracy(row) + notes.mark(row.flags))
    columns = [marked, *ALWAYS, *(CUT if cuts else MASKED), *HOURS, *(CUT_HOURS if cuts else [])]
    body = [["removed", "method", *(head for head, _ in columns), "flags"]]
    for row in sorted(rows, key=lambda r: (r.kind, r.target)):
        values = [of(row) for _, of in columns] if row.n else [marked[1](row), *[NONE] * (len(columns) - 1)]
        flags = "; ".join(f"{notes.mark([flag])} {flag}" for flag in row.flags)
        body.append([removed(row), row.label, *values, flags])
    return body


def _printed(table: Table, rows: list[Row], notes: Footnotes) -> Grid:
    """Reported beside measured numbers, with the gap or the reason for none."""
    body = [["removed", "method", "here", "printed", "gap", "unlike ours in", "where"]]
    for row in sorted(rows, key=lambda r: (r.kind, r.target)):
        for each in beside(row, table.spec, table.tier):
            there = each.reported
            best = " (best on test)" if there.metric == "top1_best" else ""
            values = [
                f"{each.measured:.2f}{best}{notes.mark(row.flags)}",
                f"{there.value:g}",
                _number(each.gap, "+.2f"),
            ]
            unlike = ", ".join(each.unlike) or NONE
            body.append([removed(row), row.label, *values, unlike, f"{there.source}, {there.place}"])
    return body


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _hours(row: Row) -> tuple[float, ...] | None:
    """The hours by their use, as parts of the dense network's hours."""
    if (dense := row.dense_hours) is None:
        return None
    return tuple(row.cost(part) / dense for part in ("pretrain", "train", "search", "recover"))


def _sum(parts: tuple[float, ...] | None) -> str:
    return " + ".join(f"{part:.2f}" for part in parts) if parts else NONE


def _latency(row: Row, batch: str) -> str:
    """Median ± quartile range; then those of the dense network, in the same turns."""
    mine, dense = row.latency(batch), row.latency(f"dense {batch}")
    return f"{mine[0]:.2f} ± {mine[1]:.2f}, {dense[0]:.2f} ± {dense[1]:.2f}" if mine and dense else NONE


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else f"{round(value, 6) + 0.0:{form}}"  # no -0.00


def _about(table: Table, rows: list[Row]) -> str:
    rows = [row for row in rows if not row.unlike]
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

SHARED_NOTE = "Hours of runs that shared a machine do not compare until `prunebench retime` has measured them alone."


# ---- Markdown ----------------------------------------------------------------------------------


def _md_table(table: Table) -> str:
    notes = Footnotes(in_markdown)
    head, body = _grid(table, notes)
    lines = [f"## {table.spec.name}: {table.suite}, track {table.spec.track}, tier {table.tier}", ""]
    if table.spec.about:
        lines += [table.spec.about, ""]
    lines += [f"Recipe: {table.recipe}. Top-1 accuracy in % after the last epoch, mean ± sample deviation (seeds)."]
    if table.tier == "small":
        lines += ["The small tier runs at a small scale. It settles no claim of a paper."]
    lines += ["", *md_grid(head, body), *md_notes(notes)]
    for data, model in _columns(table):
        rows = [row for row in table.rows if (row.data, row.model) == (data, model)]
        lines += ["", f"### {model}, {data}", "", _about(table, rows), "", *md_grid(*_split(_details(rows, notes)))]
        if len(printed := _printed(table, rows, notes)) > 1:
            lines += ["", "What papers print beside it; a gap only where both followed one protocol:", ""]
            lines += md_grid(*_split(printed))
    if any(row.kind in CHANNEL_KINDS for row in table.rows):
        lines += ["", CUT_NOTE]
    if any(row.flagged("hours shared") for row in table.rows):
        lines += ["", SHARED_NOTE]
    note = "Zero weights save no time on dense kernels: `nonzero MACs` counts what is left, not what is saved."
    if any(row.kind == "weights" for row in table.rows):
        lines += ["", note]
    return "\n".join(lines) + "\n"


def md_notes(notes: Footnotes) -> list[str]:
    """The text of every letter so far, as a paragraph below the grid."""
    return (
        ["", "; ".join(f"{in_markdown([letter])} {text}" for letter, text in texts) + "."]
        if (texts := notes.texts())
        else []
    )


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
    notes = Footnotes(in_latex)
    head, body = _grid(table, notes, _tex)
    lines = [
        f"% {table.spec.name}: {table.suite}, track {table.spec.track}, tier {table.tier}; needs booktabs",
        f"% {table.recipe}",
        rf"\begin{{tabular}}{{ll{'r' * (len(head) - 2)}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *(" & ".join(line) + r" \\" for line in body),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if texts := notes.texts():
        words = "; ".join(f"{in_latex([letter])} {_tex(text)}" for letter, text in texts)
        lines += [rf"\par\smallskip{{\footnotesize {words}.\par}}"]
    return "\n".join(lines) + "\n"
