"""`hours`: time again, alone, what shared its machine."""

from pathlib import Path

from benchmark.errors import UserError
from benchmark.store import Store
from benchmark.suite import plan
from benchmark.suite_file import read


def time_suite(
    name: str, *, only: str, sets: tuple[str, ...], tier: str, device: str, mode: str, threads: int | None,
    again: bool, out: Path, data: Path | None, methods_from: tuple[Path, ...],
) -> None:  # fmt: skip
    """A line a record that shared its machine: what it took then, and takes alone. Parents come first."""
    from benchmark.alone import time_alone
    from benchmark.data.images import data_root
    from benchmark.engine.environment import prepare
    from benchmark.execute import Desk

    store = Store(out)
    planned = plan(read(name, sets, methods_from), tier, only)
    cells = {cell.id: cell for p in planned for cell in (*p.parents, p.cell)}
    due = [s for id in cells for s in store.of(id)[-1:] if s.shared or (again and s.alone)]
    if not due:
        raise UserError(f"{out}: no record of these cells shared its machine and waits for its hours")
    environment = prepare(device, "fast" if mode == "fast" else "repeatable", threads or due[0].record.how.threads)
    desk = Desk(store, environment, data_root(data), methods_from)
    for stored in due:
        alone = time_alone(stored, desk)
        store.add_alone(stored, alone)
        took, takes = stored.record.cost.hours, store.of(stored.record.id)[-1].cost.hours
        print(f"{60 * took:8.2f} min then, {60 * takes:8.2f} alone  {stored.record.cell.name}", flush=True)
