"""The content of the pages, as plain values: a row of the leaderboard, and the facts of one run."""

from dataclasses import dataclass
from typing import Any

from benchmark.records.flags import reached
from benchmark.records.rows import Row
from benchmark.records.store import Stored
from benchmark.report.columns import hours, own_unit
from benchmark.report.footnotes import Footnotes
from benchmark.report.names import title
from benchmark.report.reported_columns import Beside, beside
from benchmark.report.table import Table

CURVES = 8  # seeds drawn on a row's page; all of them are listed
Facts = dict[str, str]


@dataclass(frozen=True)
class Line:
    """A row of a table, with its place on the site."""

    table: Table
    row: Row
    page: str
    mark: str  # letters of its flags on the board

    @property
    def track(self) -> str:
        return f"{self.table.spec.track}, {self.table.tier}"

    @property
    def asked(self) -> str:
        return f"{100 * self.row.target:g} %" if self.row.kind else "nothing"

    @property
    def reached(self) -> str:
        """What was removed, if that is not what was asked."""
        return reached(self.row.records) if self.row.off_target else ""

    @property
    def removed(self) -> str:
        return f"{self.asked}, reached {self.reached}" if self.reached else self.asked

    @property
    def epochs(self) -> int:
        return self.row.records[0].record.cell.recipe.epochs

    @property
    def title(self) -> str:
        return title(self.row.label)

    @property
    def hours(self) -> str:
        """With their unit: the board holds rows of GPUs and of CPUs."""
        of = own_unit(self.row)
        return f"{hours(self.row, of)} {of}"

    @property
    def devices(self) -> list[str]:
        return sorted({s.record.how.device_name for s in self.row.records})

    @property
    def flags(self) -> str:
        return "; ".join(map(str, self.row.flags))

    @property
    def printed(self) -> list[Beside]:
        return beside(self.row, self.table.spec, self.table.tier)

    @property
    def drawn(self) -> list[Stored]:
        return list(self.row.records[:CURVES])

    def point(self) -> dict[str, Any]:
        """The values that the plots need."""
        row = self.row
        return {
            "data": row.data, "model": row.model, "kind": row.kind or "nothing", "track": self.track,
            "method": row.label, "removed": self.removed, "n": row.n, "page": self.page, "devices": self.devices,
            "top1": round(row.top1, 4), "sd": round(row.std, 4) if row.std is not None else None,
            "macs": round(100 * (row.macs_left if row.kind != "weights" else row.macs_nonzero_left), 4),
            "hours": row.hours, "unlike": row.unlike,
        }  # fmt: skip


def lines_of(tables: list[Table], notes: Footnotes) -> list[Line]:
    """Every row, once: one that several tables share, as they share their dense row, is shown for the first of them.

    Its page is named by its content, with a number if two names are equal.
    """
    lines: list[Line] = []
    shown: set[tuple[str, ...]] = set()
    taken: dict[str, int] = {}
    for table in tables:
        for row in (row for row in table.rows if row.n):
            same = (row.label, *(stored.content for stored in row.records))
            if same in shown:
                continue
            shown.add(same)
            words = (table.suite, table.spec.name, table.tier, row.data, row.model, row.label, f"{100 * row.target:g}")
            stem = "".join(c if c.isalnum() else "-" for c in "-".join(words)).strip("-")
            taken[stem] = taken.get(stem, 0) + 1
            number = f"-{taken[stem]}" if taken[stem] > 1 else ""
            lines.append(Line(table, row, f"rows/{stem}{number}.html", notes.mark(row.flags)))
    return lines


def run_facts(stored: Stored) -> dict[str, Facts]:
    """Everything in a record, in groups, in words."""
    record, cost, alone = stored.record, stored.cost, stored.alone
    cell, outcome, network, how, code = record.cell, record.outcome, record.network, record.how, record.code
    return {
        "Asked": {
            "cell": record.id,
            "data set": cell.data,
            "model": cell.model,
            "method": f"{cell.method.name}, version {cell.method.version}",
            **{f"method.{key}": _text(value) for key, value in cell.method.config.items()},
            "to remove": f"{100 * cell.remove.amount:g} % of {cell.remove.kind}" if cell.remove else "nothing",
            **{f"recipe.{key}": _text(value) for key, value in cell.recipe.model_dump(mode="json").items()},
            "seed": str(cell.seed),
        },
        "Outcome": {
            "ending": record.ending,
            "top-1, last epoch": f"{outcome.top1:.2f} %",
            "top-5": _percent(outcome.top5),
            "mean over classes": f"{outcome.mean_class:.2f} %",
            "validation": _percent(outcome.validation),
            "best on test (for comparison only)": f"{outcome.best_top1:.2f} % at epoch {outcome.best_epoch}",
            "test images": str(outcome.n),
            "epochs trained": str(outcome.epochs_trained),
            **{f"noted: {key}": _text(value) for key, value in record.notes.items()},
        },
        "Network": {
            "MACs": f"{network.macs:,} of {network.macs_dense:,}",
            "MACs of nonzero weights": f"{network.macs_nonzero:,}",
            "parameters": f"{network.params:,} of {network.params_dense:,}, {network.nonzero:,} not zero",
            "removed": f"{100 * network.removed:.3f} %",
            "weights": network.weights_hash,
            **{f"latency, batch {k}": f"{m:.2f} ± {q:.2f} ms" for k, (m, q) in (stored.latency or {}).items()},
        },
        "Cost": {
            "hours": f"{cost.hours:.4f}",
            **({"timed alone": f"{alone.finished} on {alone.host}; {record.cost.hours:.4f} h then"} if alone else {}),
            **{
                part: f"{getattr(cost, part):.4f} h"
                for part in ("pretrain", "train", "search", "recover", "evaluate", "lost")
            },
            "MACs to train": f"{cost.training_macs:.4g}",
            "MACs to search": f"{cost.search_macs:.4g}",
            **({"images from files": cost.inputs} if cost.inputs else {}),
            "peak memory": f"{cost.peak_memory / 2**30:.2f} GiB",
        },
        "Environment": {
            "device": f"{how.device_name} ({how.device})",
            "mode": how.mode,
            "threads": str(how.threads),
            "runs sharing the machine": str(how.packed),
            "fingerprint": how.fingerprint,
            "Python": how.python,
            **how.versions,
            "images decoded by": how.decoder,
            "hash of the images": how.data_hash,
            "attempts": str(how.attempts),
            "finished": record.finished,
        },
        "Code": {
            **({"prunebench": code.version} if code.version else {}),
            "commit": code.commit + (" and changes not committed" if code.dirty else ""),
            **{part: getattr(code, part) for part in ("engine", "method", "model", "data")},
            **{f"parent, {role}": content for role, content in record.parents.items()},
        },
    }


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items() if each is not None)
    if isinstance(value, list | tuple):
        return ", ".join(_text(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f} %"
