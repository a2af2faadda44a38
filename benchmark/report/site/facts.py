"""The content of the pages, as plain values: a row of the leaderboard, and the facts of one run."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from benchmark.evidence.ledger import Entry
from benchmark.plan.canonical import digest
from benchmark.records.flags import reached
from benchmark.records.rows import Row, conditions
from benchmark.records.store import Stored
from benchmark.report.columns import accuracy, beside_accuracy, beside_hours, hours, own_unit
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
    marks_of_accuracy: str  # letters of its flags
    marks_of_hours: str
    claims: tuple[Entry, ...]  # those that were judged with one of its runs
    block: str = ""  # the heading it stands under
    order: int = 0  # of its block

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
        of = f" of {self.row.kind}" if self.row.kind else ""
        return f"{self.asked}{of}, reached {self.reached}" if self.reached else f"{self.asked}{of}"

    @property
    def title(self) -> str:
        return title(self.row.label)

    @property
    def accuracy(self) -> str:
        return accuracy(self.row, self.row.n)

    @property
    def flops(self) -> float:
        """Percent removed; of masked weights all that belong to zeros."""
        row = self.row
        return 100 - 100 * (row.macs_nonzero_left if row.kind == "weights" else row.macs_left)

    @property
    def params(self) -> float:
        return 100 - 100 * self.row.params_left

    @property
    def hours(self) -> str:
        """With their unit: the board holds rows of GPUs and of CPUs."""
        of = own_unit(self.row)
        return f"{hours(self.row, of)} {of.removeprefix('CPU ')}"

    @property
    def flags(self) -> str:
        return "; ".join(map(str, self.row.flags))

    @property
    def printed(self) -> list[Beside]:
        return beside(self.row, self.table.spec, self.table.tier)

    @property
    def drawn(self) -> list[Stored]:
        return list(self.row.records[:CURVES])

    def values(self) -> dict[str, Any]:
        """What the plots and the comparison need."""
        row, first = self.row, self.row.records[0].record
        return {
            "page": self.page, "title": self.title, "method": row.label, "block": self.block,
            "data": row.data, "model": row.model, "track": self.track, "removed": self.removed,
            "target": f"{row.kind} {row.target:g}", "recipe": digest(first.cell.recipe.model_dump(mode="json")),
            "conditions": conditions(first), "devices": sorted({s.record.how.device_name for s in row.records}),
            "seeds": [(s.record.seed, s.record.outcome.top1, s.content) for s in row.records],
            "images": first.outcome.n, "accuracy": self.accuracy, "top1": round(row.top1, 4),
            "sd": round(row.std, 4) if row.std is not None else None,
            "flops": round(self.flops, 4), "params": round(self.params, 4), "hours": row.hours, "train": self.hours,
            "timesMacs": row.times_dense_macs, "shared": row.flagged("hours shared"), "unlike": row.unlike,
            "flags": self.flags, "reported": [_hollow(each) for each in self.printed if row.kind == "macs"],
        }  # fmt: skip


def _hollow(each: Beside) -> dict[str, Any]:
    there = each.reported
    unlike = f" (unlike here: {', '.join(each.unlike)})" if each.unlike else ""
    return {
        "flops": 100 * (there.target or 0.0),
        "top1": there.value,
        "where": f"{there.source}, {there.place}{unlike}",
    }


def lines_of(tables: list[Table], notes: Footnotes, claims: Iterable[Entry] = ()) -> list[Line]:
    """Every row, once, block by block: one network, one data set, one recipe. The dense row of several tables that
    share it is shown for the first of them."""
    judged: dict[str, dict[str, Entry]] = {}  # record -> the claims that it decided
    for claim in claims:
        for content in (content for place in claim.places for content in place.records):
            judged.setdefault(content, {})[claim.id] = claim
    blocks: dict[tuple[str, ...], list[Line]] = {}
    shown: set[tuple[str, ...]] = set()
    taken: dict[str, int] = {}
    for table in tables:
        for row in (row for row in table.rows if row.n):
            same = (row.label, *(stored.content for stored in row.records))
            if same in shown:
                continue
            shown.add(same)
            words = (table.suite, table.spec.name, table.tier, row.data, row.model, row.label, f"{100 * row.target:g}")
            page = f"rows/{_new_name('-'.join(words), taken)}.html"
            marks = notes.mark(beside_accuracy(row)), notes.mark(beside_hours(row))
            about = {id: entry for s in row.records for id, entry in judged.get(s.content, {}).items()}
            recipe = row.records[0].record.cell.recipe.model_dump_json()
            block = (row.data, row.model, table.spec.track, table.tier, recipe)
            blocks.setdefault(block, []).append(Line(table, row, page, *marks, tuple(about.values())))
    return list(_in_blocks(blocks.values()))


def _new_name(words: str, taken: dict[str, int]) -> str:
    """A file name, with a number if it is the name of another row too."""
    stem = "".join(c if c.isalnum() else "-" for c in words).strip("-")
    taken[stem] = taken.get(stem, 0) + 1
    return f"{stem}-{taken[stem]}" if taken[stem] > 1 else stem


def _in_blocks(blocks: Iterable[list[Line]]) -> Iterable[Line]:
    """Each with its heading; blocks that would be called alike are told apart by their first table."""
    taken: set[str] = set()
    for order, block in enumerate(blocks):
        first = block[0]
        heading = f"{first.row.model} on {first.row.data}, {first.track}: {first.table.recipe}"
        if heading in taken:
            heading += f" ({first.table.suite}, {first.table.spec.name})"
        taken.add(heading)
        for line in sorted(block, key=lambda line: (line.row.kind, line.row.target)):
            yield replace(line, block=heading, order=order)


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
