"""Records made from a real one: with the accuracy, cost and conditions that a test wants."""

from pathlib import Path

from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.record import Record
from benchmark.records.store import Store, pack_side

HOW = ("device", "packed", "data_hash", "threads")
TOP1 = {"dense": (90.0, 92.0), "one_cycle": (85.0, 86.0), "one_shot": (80.0, 84.0)}


def fill(store: Store, suite: Path, template: Record, **changes: object) -> None:
    """A record for every cell of the suite, with the accuracies of TOP1."""
    for planned in plan(read(str(suite))):
        top1 = TOP1[planned.cell.method.name][planned.cell.seed]
        add(store, template, planned.cell, top1, **changes)


def add(store: Store, template: Record, cell, top1: float, *, hours: float = 2.0, **how: object) -> None:  # type: ignore[no-untyped-def]
    curve = [{"kind": "train", "at": at, "removed": at * 0.45, "test": top1} for at in range(3)]
    side, packed = pack_side({"curves": curve, "journal": [], "bits": ""})
    removed = cell.remove.amount + float(str(how.get("beyond", 0.0))) if cell.remove else 0.0
    cost = template.cost.model_copy(update={"train": 1.0 if cell.method.name == "dense" else hours})
    code = template.code.model_copy(
        update={"dirty": False} | {k: v for k, v in how.items() if k in ("engine", "method")}
    )
    record = template.model_copy(
        update={
            "id": cell.id,
            "cell": cell,
            "side": side,
            "outcome": template.outcome.model_copy(update={"top1": top1}),
            "network": template.network.model_copy(update={"removed": removed, "weights_hash": f"{cell.id} {top1}"}),
            "cost": cost,
            "code": code,
            "how": template.how.model_copy(update={k: v for k, v in how.items() if k in HOW}),
            "ending": str(how.get("ending", "done")),
            "finished": str(how.get("finished", "2026-01-01T00:00:00+00:00")),
        }
    )
    store.add(record, packed)
