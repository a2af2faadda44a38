"""The check: compares a store with the pins. Reads records and pins; imports no torch, trains nothing.

    counts        integers that no processor changes: MACs, parameters, the zeros of each layer after
                  each epoch, the target met, the last epoch reported. They must be equal, for every cell.
    smoke         suites of small cells, with `smoke = true`: equal weights if the environment is equal. Else the
                  accuracy must be within a tolerance, measured over processors and threads and kept beside the pins.
    statistical   every other suite: seeds against pinned seeds, as gate.py decides.

A record of other code is never judged; it is "not measured".
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import isinf
from statistics import fmean
from typing import Any

from benchmark.errors import Damaged
from benchmark.evidence.gate import FIRST, Look, Verdict, called, exit_code, look
from benchmark.evidence.pins import Pin, current, masked_path, meaning, row_of
from benchmark.evidence.tolerance import tolerances_of
from benchmark.plan.cell import CHANNEL_KINDS, Cell
from benchmark.plan.suite import Planned
from benchmark.records.flags import TOLERANCE, copied
from benchmark.records.record import Record
from benchmark.records.store import Store, Stored


@dataclass(frozen=True)
class Line:
    """One verdict, on a cell or on a row of cells."""

    tier: str
    what: str
    verdict: Verdict
    why: str
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    suite: str
    lines: list[Line]
    planned: int = 0  # cells
    pinned: int = 0  # of them

    @property
    def exit(self) -> int:
        return exit_code([line.verdict for line in self.lines])


def check(
    suite: str, planned: list[Planned], pins: list[Pin], store: Store, *, smoke: bool, whole: bool = True
) -> Report:
    """Every planned cell that is pinned or measured.

    Smoke suites are small and pinned whole, so a planned cell of one that is neither has lost its pin.
    Other suites are pinned row by row, as hours allow, so their plan does not show what was pinned. There a lost pin
    is found when its row is measured: a row without pins is "no pin", one with too few is "inconclusive".
    `whole` means that `planned` is all of the suite. A pin of anything else is then out of date.
    """
    tolerances = tolerances_of(suite) if smoke else {}
    cells = {p.id: p for p in planned}
    of_cell, of_row = _by(pins, "cell"), _by(pins, "row")
    measured = {id: current(p, store) for id, p in cells.items()}
    rows = {id: row_of(p.cell) for id, p in cells.items()}
    begun = {rows[id] for id, records in measured.items() if records}
    lines: list[Line] = []
    for id, p in cells.items():
        mine, records = of_cell.get(id, []), measured[id]
        seeds_decide = not smoke and rows[id] in begun  # then one seed may replace another
        if records and (fitting := mine or (of_row.get(rows[id], []) if seeds_decide else [])):
            candidate = _candidate(records, fitting)
            lines.append(_counts(p.cell, _pin_for(candidate, fitting), candidate, store, own=bool(mine)))
            if smoke:
                lines.append(_smoke(p.cell, mine, candidate, tolerances.get(p.cell.model)))
        elif records:
            lines.append(Line("counts", p.cell.name, "no pin", "measured, never pinned"))
        elif mine and not seeds_decide:
            lines.append(Line("counts", p.cell.name, "not measured", _why_not(p, store)))
    pinned = sum(id in of_cell for id in cells)
    lost = sum(id not in of_cell and not records for id, records in measured.items())
    if smoke and pins and lost:
        why = f"{lost} of {len(cells)} planned cells have no pin; run them, then `prunebench pin {suite}`"
        lines.append(Line("counts", suite, "no pin", why))
    if whole:
        asked = set(cells) if smoke else set(rows.values())
        gone = [pin for pin in pins if (pin.cell if smoke else pin.row) not in asked]
        lines += [Line("counts", pin.name, "not measured", "pinned, but no longer in the suite") for pin in gone]
    if not smoke:
        judged = {id: _candidate(records, of_row.get(rows[id], [])) for id, records in measured.items() if records}
        lines += _statistical(cells, rows, of_row, judged)
    if not lines:
        why = f"nothing is pinned and nothing measured; `prunebench run {suite}` first"
        lines = [Line("counts", suite, "not measured", why)]
    return Report(suite, lines, len(cells), pinned)


def _by(pins: list[Pin], name: str) -> dict[str, list[Pin]]:
    grouped: dict[str, list[Pin]] = {}
    for pin in pins:
        grouped.setdefault(getattr(pin, name), []).append(pin)
    return grouped


def _candidate(records: list[Stored], pins: list[Pin]) -> Stored:
    """The newest record that was run under the conditions of its pins; without one, the newest."""
    pinned = {pin.conditions for pin in pins}
    return ([s for s in records if s.record.how.conditions in pinned] or records)[-1]


def _pin_for(stored: Stored, pins: list[Pin]) -> Pin:
    """The pin to compare a record with: of the same weights, else of the same conditions, else any."""
    record = stored.record
    same = [pin for pin in pins if pin.weights == record.network.weights_hash]
    return (same or [pin for pin in pins if pin.conditions == record.how.conditions] or pins)[-1]


def _why_not(p: Planned, store: Store) -> str:
    there = store.of(p.id)
    if there and there[-1].record.ending == "diverged":
        return "it diverged"
    return "its record is of other code" if there else "no record of it"


# ---- counts ------------------------------------------------------------------------------------


def _counts(cell: Cell, pin: Pin, stored: Stored, store: Store, *, own: bool) -> Line:
    """Compare integers, and what a record says of itself. Without a pin of its own: what another seed's pin shows."""
    try:
        wrong = list(_wrong(cell, pin, stored, store, own=own))
    except Damaged as error:
        return Line("counts", cell.name, "not measured", str(error))
    verdict: Verdict = "regressed" if wrong else "pass"
    return Line("counts", cell.name, verdict, "; ".join(wrong) or "equal", {"record": stored.content})


def _wrong(cell: Cell, pin: Pin, stored: Stored, store: Store, *, own: bool) -> Iterator[str]:
    network, outcome = stored.record.network, stored.record.outcome
    counts = [
        ("MACs of the dense network", pin.macs_dense, network.macs_dense),
        ("parameters of the dense network", pin.params_dense, network.params_dense),
    ]
    cuts = cell.remove is not None and cell.remove.kind in CHANNEL_KINDS
    equal = network.weights_hash == pin.weights
    if not cuts or equal:  # counts are equal for masks on any processor, for cuts only with equal weights
        counts += [
            ("MACs", pin.macs, network.macs),
            ("parameters", pin.params, network.params),
            ("MACs without zeros", pin.macs_nonzero, network.macs_nonzero),
            ("MACs of its training", pin.training_macs, stored.record.cost.training_macs),
        ]
    if equal:
        counts.append(("parameters that are not zero", pin.nonzero, network.nonzero))
    for what, pinned, now in counts:
        if pinned != now:
            yield f"{what}: {now}, pinned {pinned}"
    if own and pin.path != (path := masked_path(stored, store) if pin.path else network.path):
        yield f"zeros of each layer after each epoch: {path}, pinned {pin.path}"
    if (
        cell.remove
        and cell.remove.kind == "macs"
        and abs(network.removed - (1 - network.macs / network.macs_dense)) > 1e-9
    ):
        yield f"removed: {network.removed:.4f}, by its MACs {1 - network.macs / network.macs_dense:.4f}"
    if cell.remove and cuts and not equal and abs(network.removed - cell.remove.amount) > TOLERANCE:
        reached = 1 - pin.macs / pin.macs_dense
        if cell.remove.kind == "macs" and abs(reached - cell.remove.amount) <= TOLERANCE:
            yield f"target: {network.removed:.4f} of {cell.remove.amount:g} removed, pinned {reached:.4f}"
    of_last = pin.top1 if equal else _last_test(stored, store)
    if of_last is not None and abs(of_last - outcome.top1) > 1e-5:  # a pin is rounded
        yield f"accuracy reported: {outcome.top1:g}, of the last epoch {of_last:g}"


def _last_test(stored: Stored, store: Store) -> float | None:
    """The accuracy in the curve of the last epoch."""
    last = [point for point in store.side(stored)["curves"] if "test" in point]
    return float(last[-1]["test"]) if last and last[-1]["kind"] == "train" else None


# ---- smoke -------------------------------------------------------------------------------------


def _smoke(cell: Cell, pins: list[Pin], stored: Stored, tolerance: float | None) -> Line:
    record, pin = stored.record, _pin_for(stored, pins)
    off = record.outcome.top1 - pin.top1
    verdict, why = _judge_smoke(pins, record, off, tolerance)
    numbers = {"now": record.outcome.top1, "pinned": pin.top1, "tolerance": tolerance}
    return Line("smoke", cell.name, verdict, why, numbers)


def _judge_smoke(pins: list[Pin], record: Record, off: float, tolerance: float | None) -> tuple[Verdict, str]:
    here = [pin for pin in pins if pin.fingerprint == record.how.fingerprint]
    if any(pin.weights == record.network.weights_hash for pin in pins):
        return "pass", "equal weights"
    if any(pin.code == meaning(record.code) for pin in here):
        return "regressed", "other weights in the same environment, by the same code"
    if here:
        return "inconclusive", f"{off:+.2f} points; other code, other weights, and nothing shows the codes equal"
    if record.how.conditions not in {pin.conditions for pin in pins}:
        return "not comparable", "other device, mode or data than the pins"
    if tolerance is None:
        return (
            "not comparable",
            f"{off:+.2f} points in another environment; no tolerance was measured for {record.cell.model}",
        )
    if abs(off) <= tolerance:
        return "pass", f"{off:+.2f} points in another environment, within {tolerance:g}"
    return ("regressed" if off < 0 else "better"), f"{off:+.2f} points in another environment; at most {tolerance:g}"


# ---- statistical -------------------------------------------------------------------------------


def _statistical(
    cells: dict[str, Planned], rows: dict[str, str], of_row: dict[str, list[Pin]], judged: dict[str, Stored]
) -> list[Line]:
    """One look per row: all its pinned runs, of any seeds, against all its new ones."""
    new_of: dict[str, list[Stored]] = {}
    for id, stored in judged.items():
        new_of.setdefault(rows[id], []).append(stored)
    names, looks = [], []
    for row, new in new_of.items():
        if pins := of_row.get(row):
            p = cells[new[0].record.id]
            names.append(f"{p.table}: {p.label}, {p.cell.name.rpartition(' seed ')[0]}")
            looks.append(_look(pins, new))
    return [_line(name, each) for name, each in zip(names, called(looks), strict=True)]


def _look(pins: list[Pin], new: list[Stored]) -> Look:
    """Look at runs of one set of conditions: shared by pins and new runs, and most frequent among the new ones."""
    shared = Counter(c for s in new if (c := s.record.how.conditions) in {pin.conditions for pin in pins})
    if not shared:
        return Look("not comparable", "other device, mode or data than the pins", len(pins), len(new))
    (conditions, _), *_ = shared.most_common()
    pins = [pin for pin in pins if pin.conditions == conditions]
    fitting = sorted((s for s in new if s.record.how.conditions == conditions), key=lambda s: s.record.seed)
    if copies := copied(fitting):
        return Look("not comparable", f"one network under seeds {copies}", len(pins), len(fitting))
    pinned = {(pin.cell, pin.weights) for pin in pins}
    if all((s.record.id, s.record.network.weights_hash) in pinned for s in fitting):
        return Look("pass", "equal weights", len(pins), len(fitting))
    values = [s.record.outcome.top1 for s in fitting]
    found = look([pin.top1 for pin in pins], values)
    if found.verdict == "inconclusive" and len(values) < FIRST:
        off = fmean(values) - fmean([pin.top1 for pin in pins])
        return replace(found, why=f"{found.why}; so far {off:+.2f} points")
    return found


def _line(name: str, each: Look) -> Line:
    numbers = {
        key: value
        for key, value in each.__dict__.items()
        if key not in ("verdict", "why") and value is not None and not (isinstance(value, float) and isinf(value))
    }
    return Line("statistical", name, each.verdict, each.why, numbers)
