"""The check: what lies in a store against what is pinned. Reads records and pins; imports no torch, trains nothing.

    counts        integers that no processor changes: MACs, parameters, what is zero in each layer after
                  each epoch, the target met, the last epoch reported. Equality, for every cell.
    smoke         small cells: equal weights where the environment is equal, else the accuracy within a tolerance
                  that was measured over processors and threads and stands beside the pins.
    statistical   every other suite: seeds against pinned seeds, as gate.py decides.

A record of other code is never judged: "not measured".
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from benchmark.canonical import digest
from benchmark.cell import CHANNEL_KINDS, Cell
from benchmark.errors import UserError
from benchmark.evidence.gate import FIRST, LOOK_AGAIN, Look, Verdict, called, exit_code, look, welch
from benchmark.evidence.pins import Pin, current, masked_path, meaning
from benchmark.evidence.tolerance import tolerances_of
from benchmark.record import Record
from benchmark.report.rows import TOLERANCE
from benchmark.store import Store, Stored
from benchmark.suite import Planned


@dataclass(frozen=True)
class Line:
    """One judgement: of a cell, or of a row of cells."""

    tier: str
    what: str
    verdict: Verdict
    why: str
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    suite: str
    lines: list[Line]

    @property
    def exit(self) -> int:
        return exit_code([line.verdict for line in self.lines])


def check(suite: str, planned: list[Planned], pins: list[Pin], store: Store) -> Report:
    """Every planned cell that is pinned or measured; a cell that is neither is nobody's business."""
    tolerances = tolerances_of(suite)
    of_cell: dict[str, list[Pin]] = {}
    for pin in pins:
        of_cell.setdefault(pin.cell, []).append(pin)
    lines: list[Line] = []
    judged: dict[str, Stored] = {}
    for p in {p.id: p for p in planned}.values():
        cell, mine, records = p.cell, of_cell.get(p.id, []), current(p, store)
        if records:
            judged[p.id] = records[-1]
        if not mine and not records:
            continue
        if not mine:
            lines.append(Line("counts", cell.name, "no pin", "measured, never pinned"))
        elif not records:
            why = "its record is of other code" if store.of(p.id) else "no record of it"
            lines.append(Line("counts", cell.name, "not measured", why))
        else:
            lines.append(_counts(cell, mine[-1], records[-1], store))
            if tolerances:
                lines.append(_smoke(cell, mine, records[-1], tolerances.get(cell.model)))
    if not tolerances:
        lines += _statistical(planned, of_cell, judged, store)
    if not lines:
        raise UserError(f"{suite}: nothing is pinned and nothing measured; `prunebench run {suite}` first")
    return Report(suite, lines)


# ---- counts ------------------------------------------------------------------------------------


def _counts(cell: Cell, pin: Pin, stored: Stored, store: Store) -> Line:
    """Integers, and what a record says of itself."""
    network, outcome = stored.record.network, stored.record.outcome
    wrong: list[str] = []
    for what, pinned, now in (
        ("MACs of the dense network", pin.macs_dense, network.macs_dense),
        ("parameters of the dense network", pin.params_dense, network.params_dense),
        (
            "zeros of each layer after each epoch",
            pin.path,
            masked_path(stored, store) if pin.path else stored.record.network.path,
        ),
    ):
        if pinned != now:
            wrong.append(f"{what}: {now}, pinned {pinned}")
    if cell.remove is None or cell.remove.kind not in CHANNEL_KINDS:
        if network.macs != pin.macs:
            wrong.append(f"MACs: {network.macs}, pinned {pin.macs}")
    elif abs(network.removed - cell.remove.amount) > TOLERANCE and network.weights_hash != pin.weights:
        reached = 1 - pin.macs / pin.macs_dense
        if cell.remove.kind == "macs" and abs(reached - cell.remove.amount) <= TOLERANCE:
            wrong.append(f"target: {network.removed:.4f} of {cell.remove.amount:g} removed, pinned {reached:.4f}")
    of_last = _last_test(stored, store) if network.weights_hash != pin.weights else pin.top1
    if of_last is not None and abs(of_last - outcome.top1) > 1e-5:  # a pin is rounded
        wrong.append(f"accuracy reported: {outcome.top1:g}, of the last epoch {of_last:g}")
    return Line(
        "counts", cell.name, "regressed" if wrong else "pass", "; ".join(wrong) or "equal", {"record": stored.content}
    )


def _last_test(stored: Stored, store: Store) -> float | None:
    """The accuracy that the last epoch's curve shows."""
    last = [point for point in store.side(stored)["curves"] if "test" in point]
    return float(last[-1]["test"]) if last and last[-1]["kind"] == "train" else None


# ---- smoke -------------------------------------------------------------------------------------


def _smoke(cell: Cell, pins: list[Pin], stored: Stored, tolerance: float | None) -> Line:
    record = stored.record
    off = record.outcome.top1 - pins[-1].top1
    verdict, why = _judge_smoke(pins, record, off, tolerance)
    numbers = {"now": record.outcome.top1, "pinned": pins[-1].top1, "tolerance": tolerance}
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
    planned: list[Planned], of_cell: dict[str, list[Pin]], judged: dict[str, Stored], store: Store
) -> list[Line]:
    """One look a row: all its pinned runs against all its new ones."""
    rows: dict[tuple[str, ...], dict[str, None]] = {}
    for p in planned:
        remove = f"{p.cell.remove.kind} {p.cell.remove.amount:g}" if p.cell.remove else ""
        rows.setdefault((p.cell.data, p.cell.model, p.label, remove), {})[p.id] = None
    names, looks = [], []
    for key, ids in rows.items():
        pins = [pin for id in ids for pin in of_cell.get(id, [])]
        new = [judged[id] for id in ids if id in judged]
        if pins and new:
            names.append(" ".join(filter(None, key)))
            looks.append(_look(pins, new))
    return [_line(name, each) for name, each in zip(names, called(looks), strict=True)]


def _look(pins: list[Pin], new: list[Stored]) -> Look:
    conditions = {pin.conditions for pin in pins}
    fitting = [s for s in new if s.record.how.conditions in conditions]
    if not fitting:
        return Look("not comparable", "other device, mode or data than the pins", len(pins), len(new))
    pinned = {(pin.cell, pin.weights) for pin in pins}
    if all((s.record.id, s.record.network.weights_hash) in pinned for s in fitting):
        return Look("pass", "equal weights", len(pins), len(fitting))
    values = [s.record.outcome.top1 for s in sorted(fitting, key=lambda s: s.record.seed)]
    found = look([pin.top1 for pin in pins], values)
    if found.verdict == "inconclusive" and len(values) < FIRST:
        off = fmean(values) - fmean([pin.top1 for pin in pins])
        return replace(found, why=f"{found.why}; so far {off:+.2f} points")
    return found


def _line(name: str, each: Look) -> Line:
    numbers = {
        key: value for key, value in each.__dict__.items() if key not in ("verdict", "why") and value is not None
    }
    return Line("statistical", name, each.verdict, each.why, numbers)


# ---- what changed between two stores -----------------------------------------------------------


def compare(ours: Store, theirs: Store) -> Iterable[Line]:
    """Cell by cell: the same, or changed by code, environment, data, or by nothing that is recorded.

    Then row by row, over whatever seeds each has: is the difference more than seeds make?
    """
    rows: dict[str, tuple[dict[str, Record], dict[str, Record]]] = {}  # by what was asked but the seed: ours and theirs
    for side, store in enumerate((ours, theirs)):
        for stored in store.all():
            if stored.record.ending == "done":  # of replicates the newest
                rows.setdefault(_row_of(stored.record.cell), ({}, {}))[side][stored.record.id] = stored.record
    for mine, others in rows.values():
        yield from (_difference(record, others[id]) for id, record in mine.items() if id in others)
    for mine, others in rows.values():
        if mine and others and _weights(mine) != _weights(others):
            yield _beyond_seeds(list(mine.values()), list(others.values()))


def _row_of(cell: Cell) -> str:
    return digest({key: value for key, value in cell.asked().items() if key not in ("seed", "parents")})


def _weights(records: dict[str, Record]) -> set[str]:
    return {record.network.weights_hash for record in records.values()}


def _beyond_seeds(mine: list[Record], others: list[Record]) -> Line:
    a, b = ([record.outcome.top1 for record in side] for side in (mine, others))
    name = mine[0].cell.name.rpartition(" seed ")[0]
    off, sizes = fmean(a) - fmean(b), f"{len(a)} against {len(b)} seeds"
    if min(len(a), len(b)) < 2:
        return Line("seeds", name, "inconclusive", f"{off:+.2f} points, {sizes}: one seed has no spread")
    seen = welch(b, a)
    numbers = {
        "ours": fmean(a),
        "theirs": fmean(b),
        "ours_std": seen.new_std,
        "theirs_std": seen.pinned_std,
        "p": seen.p,
    }
    if (seen.p or 0.0) >= LOOK_AGAIN:
        return Line("seeds", name, "pass", f"{off:+.2f} points, {sizes}: no more than seeds make", numbers)
    return Line("seeds", name, "inconclusive", f"{off:+.2f} points, {sizes}: more than seeds make", numbers)


def _difference(a: Record, b: Record) -> Line:
    off = a.outcome.top1 - b.outcome.top1
    numbers = {"ours": a.outcome.top1, "theirs": b.outcome.top1}
    if a.network.weights_hash == b.network.weights_hash:
        return Line("against", a.cell.name, "pass", "equal weights", numbers)
    causes = [
        name
        for name, differs in (
            ("code", not a.code.same(b.code)),
            ("data", a.how.data_hash != b.how.data_hash),
            ("environment", a.how.fingerprint != b.how.fingerprint),
        )
        if differs
    ]
    why = f"{off:+.2f} points; {' and '.join(causes) or 'nothing recorded'} differs"
    return Line("against", a.cell.name, "inconclusive" if causes else "regressed", why, numbers)
