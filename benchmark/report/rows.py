"""From records to the rows of a table: one row a (data, model, method, target), a record a seed.

All derived columns (drop, ratio, shares) are computed here and nowhere typed. Rows hold what the
records say and nothing of the code or machine at hand, so equal records give equal bytes.
"""

from collections import Counter
from dataclasses import dataclass
from statistics import fmean, stdev

from benchmark.cell import Cell
from benchmark.record import Record
from benchmark.store import Store, Stored
from benchmark.suite import Planned

TOLERANCE = 0.005  # how far from its target a network may end, in shares


@dataclass(frozen=True)
class Row:
    data: str
    model: str
    label: str
    kind: str
    target: float
    asked: int  # seeds planned
    records: tuple[Stored, ...]  # one a seed, all of one device, mode, data and engine code
    dense: tuple[Stored, ...]  # the reference, under the same conditions
    flags: tuple[str, ...]

    @property
    def n(self) -> int:
        return len(self.records)

    def values(self, pick: str) -> list[float]:
        """`outcome.top1` and the like, in the order of the seeds."""
        part, _, name = pick.partition(".")
        return [getattr(getattr(s.record, part), name) for s in self.records]

    @property
    def top1(self) -> float:
        return fmean(self.values("outcome.top1"))

    @property
    def std(self) -> float | None:
        """The sample deviation over seeds; one seed has none."""
        return stdev(self.values("outcome.top1")) if self.n > 1 else None

    @property
    def drop(self) -> float | None:
        """Points below the dense network, mean against mean."""
        return fmean([s.record.outcome.top1 for s in self.dense]) - self.top1 if self.dense else None

    @property
    def hours(self) -> float:
        return fmean([s.record.cost.hours for s in self.records])

    @property
    def times_dense_hours(self) -> float | None:
        return self.hours / fmean([s.record.cost.hours for s in self.dense]) if self.dense else None

    @property
    def macs_left(self) -> float:
        return fmean([s.record.network.macs / s.record.network.macs_dense for s in self.records])

    @property
    def macs_nonzero_left(self) -> float:
        return fmean([s.record.network.macs_nonzero / s.record.network.macs_dense for s in self.records])

    @property
    def params_left(self) -> float:
        return fmean([s.record.network.nonzero / s.record.network.params_dense for s in self.records])


def rows_of(planned: list[Planned], store: Store) -> list[Row]:
    """Every row that has at least one record, in the order of the suite; dense first."""
    found: dict[str, list[Stored]] = {id: store.of(id) for id in {p.cell.id for p in planned}}
    dense = {key: ps for key, ps in _grouped(planned).items() if key[2] == "dense"}
    rows = []
    for key, places in _grouped(planned).items():
        data, model, label, kind, target = key
        candidates = [s for p in places for s in found[p.cell.id] if s.record.ending == "done"]
        diverged = sum(any(s.record.ending == "diverged" for s in found[p.cell.id]) for p in places)
        if not candidates and not diverged:
            continue
        reference = [s for p in dense[(data, model, "dense", "", 0.0)] for s in found[p.cell.id]]
        chosen = _one_a_seed(candidates)
        same = {_conditions(s.record) for s in chosen}
        against = _one_a_seed([s for s in reference if _conditions(s.record) in same]) if label != "dense" else chosen
        flags = _flags(places, chosen, against, len(candidates), diverged)
        rows.append(Row(data, model, label, kind, target, len(places), tuple(chosen), tuple(against), flags))
    return rows


def _grouped(planned: list[Planned]) -> dict[tuple[str, str, str, str, float], list[Planned]]:
    groups: dict[tuple[str, str, str, str, float], list[Planned]] = {}
    for p in planned:
        groups.setdefault((p.cell.data, p.cell.model, p.label, *_target(p.cell)), []).append(p)
    return groups


def _target(cell: Cell) -> tuple[str, float]:
    return (cell.remove.kind, cell.remove.amount) if cell.remove else ("", 0.0)


def _conditions(record: Record) -> tuple[str, str, str, str]:
    return (record.how.device, record.how.mode, record.how.data_hash, record.code.engine)


def _one_a_seed(candidates: list[Stored]) -> list[Stored]:
    """The conditions that most seeds share (the newest of equals), and of each seed its newest record."""
    if not candidates:
        return []
    seeds = Counter(c for c, _ in {(_conditions(s.record), s.record.seed) for s in candidates})
    newest = {_conditions(s.record): s.record.finished for s in sorted(candidates, key=lambda s: s.record.finished)}
    best = max(seeds, key=lambda c: (seeds[c], newest[c], c))
    ordered = sorted(candidates, key=lambda s: (s.record.finished, s.content))
    by_seed = {s.record.seed: s for s in ordered if _conditions(s.record) == best}
    return [by_seed[seed] for seed in sorted(by_seed)]


def _flags(
    places: list[Planned], chosen: list[Stored], dense: list[Stored], candidates: int, diverged: int
) -> tuple[str, ...]:
    flags = []
    if dense and fmean([s.record.outcome.top1 for s in dense]) < places[0].floor:
        flags.append("dense below floor")
    if not dense:
        flags.append("no dense reference")
    if any(
        s.record.cell.remove and abs(s.record.network.removed - s.record.cell.remove.amount) > TOLERANCE for s in chosen
    ):
        flags.append("target missed")
    if len(chosen) < len(places):
        flags.append(f"{len(chosen)} of {len(places)} seeds")
    if diverged:
        flags.append(f"{diverged} diverged")
    if any(s.record.code.dirty for s in chosen):
        flags.append("uncommitted code")
    if any(s.record.how.packed > 1 for s in chosen):
        flags.append("packed")
    return tuple(flags)
