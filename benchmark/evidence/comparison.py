"""Compares two stores, cell by cell and row by row: what changed, and by what."""

from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import fmean

from benchmark.evidence.check import Line
from benchmark.evidence.gate import LOOK_AGAIN, Verdict, welch
from benchmark.evidence.pins import row_of
from benchmark.plan.suite import Planned
from benchmark.records.record import Record
from benchmark.records.store import Store

Replicates = dict[str, list[Record]]  # of each cell, newest last


def compare(ours: Store, theirs: Store, planned: Iterable[Planned] | None = None) -> Iterator[Line]:
    """Cell by cell: the same, or changed by code, environment, data, or by nothing that is recorded.

    Then row by row, over all seeds that each has: whether the difference is more than seeds make. With `planned`,
    only these cells.
    """
    wanted = None if planned is None else {p.id for p in planned}
    rows: dict[str, tuple[Replicates, Replicates]] = {}  # by what was asked without the seed: ours and theirs
    ended: tuple[dict[str, Record], dict[str, Record]] = ({}, {})
    for side, store in enumerate((ours, theirs)):
        for stored in store.all():
            record = stored.record
            if wanted is None or record.id in wanted:
                ended[side][record.id] = record  # the newest replicate
                if record.ending == "done":
                    rows.setdefault(row_of(record.cell), ({}, {}))[side].setdefault(record.id, []).append(record)
    for mine, others in rows.values():
        yield from (_difference(*_alike(records, others[id])) for id, records in mine.items() if id in others)
    yield from _one_sided(*ended)
    for mine, others in rows.values():
        if mine and others and _weights(mine) != _weights(others):
            yield _beyond_seeds(mine, others)


def _alike(mine: list[Record], others: list[Record]) -> tuple[Record, Record]:
    """The newest two of a cell's replicates that were run under the same conditions; else the newest two."""
    pairs = ((a, b) for a in reversed(mine) for b in reversed(others) if a.how.conditions == b.how.conditions)
    return next(pairs, (mine[-1], others[-1]))


def _one_sided(ours: dict[str, Record], theirs: dict[str, Record]) -> Iterator[Line]:
    """Cells that only one store has, or that diverged in one."""
    for where, mine, others in (("ours", ours, theirs), ("theirs", theirs, ours)):
        for id, record in mine.items():
            if id not in others:
                yield Line("against", record.cell.name, "not measured", f"only in {where}")
            elif record.ending == others[id].ending == "diverged" and where == "ours":
                yield Line("against", record.cell.name, "pass", "diverged in both")
            elif record.ending == "diverged" != others[id].ending:
                yield Line("against", record.cell.name, "regressed", f"diverged in {where} alone")


def _weights(cells: Replicates) -> set[str]:
    return {record.network.weights_hash for records in cells.values() for record in records}


def _beyond_seeds(mine: Replicates, others: Replicates) -> Line:
    name = next(iter(mine.values()))[0].cell.name.rpartition(" seed ")[0]
    ours, theirs = (
        Counter(c for rs in side.values() for c in {r.how.conditions for r in rs}) for side in (mine, others)
    )
    if not (shared := Counter({conditions: ours[conditions] for conditions in ours.keys() & theirs.keys()})):
        return Line("seeds", name, "not comparable", "no device, mode and data that both have")
    (conditions, _), *_ = sorted(shared.items(), key=lambda pair: (-pair[1], pair[0]))
    of_them = [
        [[r for r in records if r.how.conditions == conditions] for records in side.values()] for side in (mine, others)
    ]
    a, b = ([records[-1].outcome.top1 for records in side if records] for side in of_them)
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
        return Line("against", a.cell.name, *_of_equal_weights(a, b), numbers)
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


def _of_equal_weights(a: Record, b: Record) -> tuple[Verdict, str]:
    """Equal weights must give equal counts anywhere, and equal accuracies in the same environment."""
    counted = [{k: v for k, v in r.network.model_dump().items() if k not in ("latency", "path")} for r in (a, b)]
    if differ := [key for key, value in counted[0].items() if value != counted[1][key]]:
        return "regressed", f"equal weights, other {', '.join(differ)}"
    if a.outcome.top1 == b.outcome.top1:
        return "pass", "equal weights"
    off = f"equal weights, {a.outcome.top1 - b.outcome.top1:+.2f} points"
    if (a.how.fingerprint, a.how.conditions) == (b.how.fingerprint, b.how.conditions):
        return "regressed", f"{off} in the same environment"
    return "inconclusive", f"{off} in another environment"
