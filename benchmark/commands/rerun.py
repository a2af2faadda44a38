"""`rerun`: trains one record's cell again, exactly as it was asked, and compares."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmark.data.images import data_root
from benchmark.errors import UserError
from benchmark.launch.local import run_here
from benchmark.launch.spec import How, Spec
from benchmark.launch.worker import finished
from benchmark.plan.cell import Cell
from benchmark.records.record import Record
from benchmark.records.store import Store
from benchmark.runs.verify import find_record


def rerun_record(
    id: str, records: Path, *, device: str, threads: int | None, shared: int, out: Path, data: Path | None,
    methods_from: tuple[Path, ...], to_stderr: bool,
) -> tuple[dict[str, Any], bool]:  # fmt: skip
    """The report, and whether the promise is kept: equal weights and numbers from equal code on an equal
    machine."""
    store = Store(records)
    old = find_record(store, id)
    how = old.record.how
    here = Store(out)
    launch = uuid4().hex
    asked = How(
        device=device or how.device, mode=how.mode, threads=threads or how.threads, shared=shared,
        data=str(data_root(data)), methods=tuple(map(str, methods_from)), launch=launch,
    )  # fmt: skip
    cells = {cell.id: cell for cell in _family(old.record.cell, store)}
    specs = [Spec(cell, asked, tuple(s.content for s in here.of(cell.id)), launch) for cell in cells.values()]
    summary = run_here(specs, here, budget=None, debug=False, to_stderr=to_stderr)
    if summary.failed or summary.left:
        raise UserError("; ".join(summary.failed.values()) or f"stopped ({summary.stopped}): {summary.left[0]}")
    new = finished(specs[-1], here)
    assert new, "it is in the summary"
    return _compared(old.record, new.record) | {"new record": str(new.path)}, _kept(old.record, new.record)


def _family(cell: Cell, store: Store) -> Iterator[Cell]:
    """Its parents (theirs first), then the cell. A parent's spec is in its own record."""
    for role, parent in cell.parents.items():
        known = store.of(parent)
        if not known:
            raise UserError(f"{store.root} has no record of its parent {parent} ({role}); run the suite it is from")
        yield from _family(known[-1].record.cell, store)
    yield cell


def _compared(old: Record, new: Record) -> dict[str, Any]:
    same = old.network.weights_hash == new.network.weights_hash
    return {
        "cell": old.cell.name,
        "weights": "equal, bit for bit" if same else f"{new.network.weights_hash}, were {old.network.weights_hash}",
        "top-1": f"{new.outcome.top1:.2f} %, was {old.outcome.top1:.2f} %",
        "other numbers": ", ".join(_unlike(old, new)) or "equal",
        "hours": f"{new.cost.hours:.4f}, were {old.cost.hours:.4f}",
        "code": "means the same" if new.code.same(old.code) else f"another than that of commit {old.code.commit[:12]}",
        "environment": "the same" if new.how.fingerprint == old.how.fingerprint else "another: bits may differ",
    }


def _unlike(old: Record, new: Record) -> list[str]:
    """Numbers that differ and must not if weights are equal: accuracies, counts, MACs of the training."""
    told = [_numbers(record) for record in (old, new)]
    return [f"{name} {told[1][name]}, was {value}" for name, value in told[0].items() if told[1][name] != value]


def _numbers(record: Record) -> dict[str, Any]:
    named = record.network.model_dump()
    counts = {name: named[name] for name in named.keys() - {"latency", "path", "weights_hash"}}
    macs = {name: getattr(record.cost, name) for name in ("training_macs", "search_macs")}
    return {"ending": record.ending} | record.outcome.model_dump() | dict(sorted(counts.items())) | macs


def _kept(old: Record, new: Record) -> bool:
    promised = new.code.same(old.code) and new.how.fingerprint == old.how.fingerprint
    return not promised or (new.network.weights_hash == old.network.weights_hash and not _unlike(old, new))
