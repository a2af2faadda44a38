"""From records to the rows of a table: one row for each (data, model, method, target), one record for each seed.

All derived columns (drop, ratio, shares) are computed here, never typed. Rows hold what the records
say and nothing of the present code or machine, so equal records give equal bytes.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev

from benchmark.plan.cell import CHANNEL_KINDS
from benchmark.plan.suite import Planned
from benchmark.records.flags import Facts, Flag, flags_of, unlike
from benchmark.records.record import Record
from benchmark.records.store import Store, Stored


@dataclass(frozen=True)
class Row:
    data: str
    model: str
    label: str
    kind: str
    target: float
    asked: int  # seeds planned
    records: tuple[Stored, ...]  # one per seed, all of one device, mode, data and code
    dense: tuple[Stored, ...]  # the reference, under the same conditions
    flags: tuple[Flag, ...]
    recover_macs: float | None = None  # of recoveries, part of training_macs; None if no curve shows them

    @property
    def n(self) -> int:
        return len(self.records)

    def flagged(self, name: str) -> bool:
        return any(flag.name == name for flag in self.flags)

    @property
    def unlike(self) -> bool:
        """Made under other conditions than the rest of its block: it is shown, and compared with nothing."""
        return self.flagged("unlike conditions")

    @property
    def off_target(self) -> bool:
        return self.flagged("target missed") or self.flagged("target passed")

    def values(self, pick: str) -> list[float]:
        """`outcome.top1` and the like, in the order of the seeds."""
        part, _, name = pick.partition(".")
        return [getattr(getattr(s.record, part), name) for s in self.records]

    @cached_property
    def top1(self) -> float:
        return fmean(self.values("outcome.top1"))

    @cached_property
    def std(self) -> float | None:
        """The sample deviation over seeds; None for one seed."""
        return stdev(self.values("outcome.top1")) if self.n > 1 else None

    @cached_property
    def drop(self) -> float | None:
        """Points below the dense network, over the seeds that both have."""
        dense = {s.record.seed: s.record.outcome.top1 for s in self.dense}
        both = [(dense[s.record.seed], s.record.outcome.top1) for s in self.records if s.record.seed in dense]
        return fmean(before - after for before, after in both) if both else None

    @cached_property
    def timed(self) -> tuple[Stored, ...]:
        """The seeds whose hours were not shared with other runs, or all seeds if all were shared."""
        return timed(self.records)

    @cached_property
    def hours(self) -> float:
        return self.cost("hours")

    def cost(self, part: str) -> float:
        return fmean([getattr(s.cost, part) for s in self.timed])

    @cached_property
    def times_dense_hours(self) -> float | None:
        """None unless everything ran alone, on one kind of machine and in one way."""
        dense = timed(self.dense)
        facing = (*self.timed, *dense)
        if not dense or any(s.shared for s in facing) or len({s.timed_on for s in facing}) > 1:
            return None
        return self.hours / fmean([s.cost.hours for s in dense])

    @cached_property
    def times_dense_macs(self) -> float | None:
        """Everything that was computed, search and parents included, divided by the dense network's training."""
        if not self.dense:
            return None
        costs = [s.record.cost for s in self.records]
        spent = fmean([c.training_macs + c.search_macs + c.pretrain_macs for c in costs])
        return spent / fmean([s.record.cost.training_macs for s in self.dense])

    @cached_property
    def macs_parts(self) -> tuple[float, ...] | None:
        """The same in its parts: pretrain, train, search, recover."""
        if not self.dense or self.recover_macs is None:
            return None
        pretrain, both, search = (fmean(self.values(f"cost.{of}_macs")) for of in ("pretrain", "training", "search"))
        dense = fmean([s.record.cost.training_macs for s in self.dense])
        return tuple(part / dense for part in (pretrain, both - self.recover_macs, search, self.recover_macs))

    def noted(self, name: str) -> float | None:
        """The mean over seeds of a number that the method noted."""
        values = [s.record.notes[name] for s in self.records if name in s.record.notes]
        numbers = [value for value in values if isinstance(value, int | float)]
        return fmean(numbers) if numbers else None

    def latency(self, key: str) -> tuple[float, float] | None:
        """Median and quartile range in ms, each averaged over seeds."""
        found = [s.latency[key] for s in self.timed if s.latency]
        return (fmean([m for m, _ in found]), fmean([q for _, q in found])) if found else None

    @cached_property
    def speed_up(self) -> float | None:
        mine, dense = self.latency("128"), self.latency("dense 128")
        return dense[0] / mine[0] if mine and mine[0] and dense else None

    @cached_property
    def reached(self) -> float:
        """The share that was really removed, in the target's unit."""
        return fmean(self.values("network.removed"))

    @cached_property
    def macs_left(self) -> float:
        return fmean([s.record.network.macs / s.record.network.macs_dense for s in self.records])

    @cached_property
    def macs_nonzero_left(self) -> float:
        return fmean([s.record.network.macs_nonzero / s.record.network.macs_dense for s in self.records])

    @cached_property
    def params_left(self) -> float:
        """After a cut, the parameters that remain. For single weights, those that are not zero."""
        networks = [s.record.network for s in self.records]
        left = [n.params if self.kind in CHANNEL_KINDS else n.nonzero for n in networks]
        return fmean([count / n.params_dense for count, n in zip(left, networks, strict=True)])


def timed(records: tuple[Stored, ...] | list[Stored]) -> tuple[Stored, ...]:
    return tuple(s for s in records if not s.shared) or tuple(records)


def rows_of(planned: list[Planned], store: Store) -> list[Row]:
    """Every row that has at least one record, in the order of the suite; dense first."""
    found: dict[str, list[Stored]] = {id: store.of(id) for id in {p.id for p in planned}}
    blocks: dict[tuple[str, str], list[Planned]] = {}
    for p in planned:
        blocks.setdefault((p.cell.data, p.cell.model), []).append(p)
    return [row for places in blocks.values() for row in _rows_of_block(places, found, store)]


def _rows_of_block(places: list[Planned], found: dict[str, list[Stored]], store: Store) -> list[Row]:
    """One data set and model: all rows under the same conditions, so that they can be compared.

    A row without records under these shows those it has, flagged, with a dense reference of their own conditions.
    """
    done = {p.id: [s for s in found[p.id] if s.record.ending == "done"] for p in places}
    prevailing = _prevailing([s for each in done.values() for s in each], conditions)
    all_dense = [s for p in places if p.label == "dense" for s in done[p.id]]
    rows = []
    for (label, kind, target), mine in _lines(places).items():
        of_line = [s for p in mine for s in done[p.id]]
        condition = prevailing
        if not any(conditions(s.record) == prevailing for s in of_line):
            condition = _prevailing(of_line, conditions) or prevailing
        records = _one_a_seed([s for s in of_line if conditions(s.record) == condition])
        dense = _one_a_seed([s for s in all_dense if conditions(s.record) == condition])
        diverged = sum(any(s.record.ending == "diverged" for s in found[p.id]) for p in mine)
        if records or diverged:
            newest = max((s.record.finished for s in records), default="")
            left_out = any(s.record.finished > newest for s in of_line)
            other = unlike(condition, prevailing) if condition and prevailing else ""
            flags = flags_of(Facts(mine, records, dense, timed(records), diverged, left_out, other))
            cell, recovered = mine[0].cell, _mean([_recover_macs(s, store) for s in records])
            of = (cell.data, cell.model, label, kind, target)
            rows.append(Row(*of, len(mine), tuple(records), tuple(dense), flags, recovered))
    return rows


def _recover_macs(stored: Stored, store: Store) -> float | None:
    """The MACs of recovery epochs. Such an epoch costs what its network costs, as any other epoch does."""
    if not stored.record.cost.recover:
        return 0.0
    if (side := store.side_or_none(stored)) is None:
        return None
    epochs = [point["macs"] for point in side["curves"]]
    recovering = [point["macs"] for point in side["curves"] if point["kind"] == "recover"]
    return float(stored.record.cost.training_macs * sum(recovering) / sum(epochs))


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _lines(places: list[Planned]) -> dict[tuple[str, str, float], list[Planned]]:
    lines: dict[tuple[str, str, float], list[Planned]] = {}
    for p in places:
        kind, target = (p.cell.remove.kind, p.cell.remove.amount) if p.cell.remove else ("", 0.0)
        lines.setdefault((p.label, kind, target), []).append(p)
    return lines


def conditions(record: Record) -> tuple[str, ...]:
    engine, _, model, data = record.code.meaning
    return (*record.how.conditions, engine, model, data)


def _method_code(record: Record) -> tuple[str, ...]:
    return (record.code.meaning[1],)


def _prevailing(candidates: list[Stored], of: Callable[[Record], tuple[str, ...]]) -> tuple[str, ...] | None:
    """The conditions that most cells share; in a tie, those of the newest record."""
    cells = Counter(value for value, _ in {(of(s.record), s.record.id) for s in candidates})
    newest = {of(s.record): s.record.finished for s in sorted(candidates, key=lambda s: s.record.finished)}
    return max(cells, key=lambda value: (cells[value], newest[value], value), default=None)


def _one_a_seed(candidates: list[Stored]) -> list[Stored]:
    """The newest record of each seed, all of one method's code."""
    code = _prevailing(candidates, _method_code)
    ordered = sorted(candidates, key=lambda s: (s.record.finished, s.content))
    by_seed = {s.record.seed: s for s in ordered if _method_code(s.record) == code}
    return [by_seed[seed] for seed in sorted(by_seed)]
