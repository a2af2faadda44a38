"""What papers print for a row of ours, beside what was measured here. Subtracted only if both mean the same."""

from dataclasses import dataclass
from functools import cache
from statistics import fmean

from benchmark.evidence.reported import Reported, read_all
from benchmark.plan.suite_file import Table
from benchmark.records.rows import Row

NEAR = 0.03  # a printed target of 52.5 % is shown beside one of 50 %
OWN = {"top1": "outcome.top1", "top1_best": "outcome.best_top1", "top5": "outcome.top5"}  # metric -> where ours is


@dataclass(frozen=True)
class Beside:
    reported: Reported
    measured: float
    unlike: tuple[str, ...]  # what differs between the two protocols

    @property
    def gap(self) -> float | None:
        """Measured minus reported, in points; None if the two do not measure the same thing."""
        return None if self.unlike else self.measured - self.reported.value


def beside(row: Row, table: Table, tier: str) -> list[Beside]:
    """Every printed accuracy of this method on this network at about this target."""
    if not row.n:
        return []
    return [
        Beside(each, fmean(values), _unlike(row, each, table, tier))
        for each in _printed()
        if _same_row(row, each) and (values := _values(row, each.metric))
    ]


@cache
def _printed() -> list[Reported]:
    return [row for row in read_all() if row.metric in OWN]


def _same_row(row: Row, printed: Reported) -> bool:
    if (printed.method, printed.model) != (row.label, row.model) or printed.data not in (
        row.data,
        row.data.partition("-")[0],
    ):
        return False
    if not row.kind:
        return printed.target is None
    return printed.target_kind == row.kind and abs((printed.target or 0.0) - row.target) <= NEAR


def _values(row: Row, metric: str) -> list[float]:
    part, _, name = OWN[metric].partition(".")
    found = (getattr(getattr(s.record, part), name) for s in row.records)
    return [value for value in found if value is not None]


def _unlike(row: Row, printed: Reported, table: Table, tier: str) -> tuple[str, ...]:
    as_printed = (
        table.track == "published" and tier == "full" and table.paper and printed.source.startswith(table.paper)
    )
    differs = {
        "data set": row.data != printed.data,
        "recipe": not as_printed,
        "counter": row.kind == "macs" and "count" in printed.protocol,
        "target": row.kind != ""
        and abs((printed.target or 0.0) - row.target) > 0.005 + 1e-9,  # as floats, .53 - .525 is more than .005
    }
    return tuple(name for name, is_so in differs.items() if is_so)
