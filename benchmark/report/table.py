"""A table in the paper's shape, as cells that each format writes in its own way. Equal records give equal bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from benchmark.plan.cell import CHANNEL_KINDS
from benchmark.plan.suite import Planned
from benchmark.plan.suite_file import Suite
from benchmark.plan.suite_file import Table as TableSpec
from benchmark.records.flags import Flag
from benchmark.records.rows import Row, rows_of
from benchmark.records.store import Store
from benchmark.report.columns import (
    NONE,
    Column,
    Ranks,
    accuracy,
    beside_accuracy,
    beside_hours,
    cost_columns,
    number,
    paper_columns,
    ranks,
    removed,
    unit,
    usual_n,
)
from benchmark.report.names import title
from benchmark.report.reported_columns import beside

Grid = list[list[str]]


@dataclass(frozen=True)
class Cell:
    """What one cell of a table says; each format writes it in its own way."""

    text: str
    flags: tuple[Flag, ...] = ()  # whose letters stand beside it
    rank: int = 0  # 1: best, 2: second best
    cite: str = ""  # the method whose paper is cited


@dataclass(frozen=True)
class Block:
    """The rows of one data set and network."""

    table: "Table"
    data: str
    model: str
    rows: list[Row]

    @cached_property
    def sorted(self) -> list[Row]:
        """By target, in the order of the suite."""
        return sorted(self.rows, key=lambda row: (row.kind, row.target))

    @cached_property
    def n(self) -> int:
        return usual_n(self.rows)

    @cached_property
    def marks(self) -> Ranks:
        """Only rows that were trained by one recipe are ranked."""
        return ranks(self.rows) if self.table.spec.track == "matched" else Ranks()

    def paper(self) -> tuple[list[str], list[list[Cell]]]:
        """Head and lines of the paper table."""
        published = _reported(self.table) if self.table.spec.track == "published" else None
        columns = paper_columns([row for row in self.rows if row.n], published)
        body = []
        for row in self.sorted:
            rank = 1 if row in self.marks.best else 2 if row in self.marks.second else 0
            top1 = Cell(accuracy(row, self.n), tuple(beside_accuracy(row)), rank)
            body.append([Cell(removed(row)), Cell(title(row.label), cite=row.label), top1, *_values(row, columns)])
        return ["Removed", "Method", "Top-1 %", *(head for head, _ in columns)], body

    def cost(self) -> tuple[list[str], list[list[Cell]]]:
        """Head and lines of the cost table."""
        columns = cost_columns([row for row in self.rows if row.n])
        body = [[Cell(removed(row)), Cell(title(row.label)), *_values(row, columns)] for row in self.sorted]
        return ["Removed", "Method", *(head for head, _ in columns)], body

    def printed(self) -> Grid:
        """Reported beside measured, with the gap or with what forbids one."""
        body = []
        for row in self.sorted:
            for each in beside(row, self.table.spec, self.table.tier):
                there = each.reported
                best = " (best on test)" if there.metric == "top1_best" else ""
                values = [f"{each.measured:.2f}{best}", f"{there.value:g}", number(each.gap, "+.2f")]
                unlike = ", ".join(each.unlike) or NONE
                body.append([removed(row), title(row.label), *values, unlike, f"{there.source}, {there.place}"])
        return body

    def caption(self) -> str:
        """What holds for all of its rows."""
        rows = [row for row in self.rows if not row.unlike]
        records = [s.record for row in rows for s in row.records]
        if not records:
            return "Every cell diverged."
        devices = ", ".join(sorted({f"{r.how.device_name} ({r.how.device}, {r.how.mode})" for r in records}))
        seeds = f"mean ± sample deviation over {self.n} seeds" if self.n > 1 else "one seed"
        dense = next((row.dense for row in rows if row.dense), ())
        inputs = (dense[0].record if dense else records[0]).cost.inputs
        return " ".join(
            [
                f"Top-1 accuracy after the last epoch, {seeds}.",
                f"The dense network has {records[0].network.macs_dense:,} FLOPs (multiply-accumulates of one image)",
                f"and {records[0].network.params_dense:,} parameters.",
                f"{unit(rows)} on {devices}, all of a row's training included.",
                *([f"Images from files, first run: {inputs}."] if inputs else []),
            ]
        )


@dataclass(frozen=True)
class Table:
    suite: str
    spec: TableSpec
    tier: str
    recipe: str
    rows: list[Row]

    @cached_property
    def blocks(self) -> list[Block]:
        places = dict.fromkeys((row.data, row.model) for row in self.rows)
        return [Block(self, *place, [r for r in self.rows if (r.data, r.model) == place]) for place in places]

    @property
    def notes(self) -> list[str]:
        """What must be known of the table as a whole."""
        kinds = {row.kind for row in self.rows}
        told = {
            BEST: any(block.marks.best for block in self.blocks),
            SECOND: any(block.marks.second for block in self.blocks),
            SHARED: any(row.flagged("hours shared") for row in self.rows),
            CUT: bool(kinds & set(CHANNEL_KINDS)),
            MASKED: "weights" in kinds,
        }
        return [note for note, holds in told.items() if holds]


BEST = "Bold: the best row of a target, with every row that is not significantly worse (Welch, 5 %, corrected by Holm)."
SECOND = "Underlined: the same, behind a single best row."
SHARED = "Hours in brackets were shared with other runs. `prunebench retime` measures them alone."
CUT = (
    "MACs to train include the parent's, the search's and all recoveries; controls get their widths for nothing. "
    "Latencies: median ± quartile range of the cut network, then of the dense one in the same turns."
)
MASKED = "Zero weights save no time on dense kernels: nonzero FLOPs are what is left, not what is saved."


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
            tables.append(Table(suite.name, spec, mine[0].tier, text, rows))
    return tables


def _values(row: Row, columns: list[Column]) -> list[Cell]:
    if not row.n:
        return [Cell(NONE) for _ in columns]
    return [Cell(of(row), tuple(beside_hours(row)) if head.startswith("Train") else ()) for head, of in columns]


def _reported(table: Table) -> Callable[[Row], str]:
    """The number that the paper of the recipe prints for a row."""

    def of(row: Row) -> str:
        found = [each for each in beside(row, table.spec, table.tier) if each.reported.metric == "top1"]
        return f"{found[0].reported.value:g}" if found else NONE

    return of
