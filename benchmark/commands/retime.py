"""`retime`: times runs that shared a machine again, alone."""

from pathlib import Path

from benchmark.errors import UserError
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.store import Store


def time_suite(
    name: str, *, only: str, sets: tuple[str, ...], tier: str, again: bool, out: Path, data: Path | None,
    methods_from: tuple[Path, ...],
) -> int:  # fmt: skip
    """Print a line for each record that shared its machine: its time then, and alone. Parents come first."""
    from benchmark.data.images import data_root
    from benchmark.launch.setup import context_for
    from benchmark.launch.spec import How
    from benchmark.runs.retime import time_alone
    from benchmark.training.training import Diverged

    store, methods = Store(out), tuple(map(str, methods_from))
    cells = {cell.id: None for p in plan(read(name, sets, methods_from), tier, only) for cell in (*p.parents, p.cell)}
    ended = [s for id in cells for s in store.of(id) if s.record.ending == "done" and s.record.how.packed > 1]
    due = [s for s in ended if again or not s.alone]
    if not due:
        raise UserError(f"{out}: nothing to time again")
    refused = 0
    for i, stored in enumerate(due):
        how = stored.record.how
        as_then = How(how.device, how.mode, how.threads, 1, str(data_root(data)), methods, launch="")
        try:
            context = context_for(as_then, store)
            for _ in range(1 if i else 2):  # the first pays what a process does only once, so it is timed twice
                alone = time_alone(stored, context)
        except (UserError, Diverged) as error:
            print(f"left out: {error}", flush=True)
            refused += 1
            continue
        store.add_alone(stored, alone)
        now = next(s for s in store.of(stored.record.id) if s.content == stored.content)
        then, takes = 60 * stored.record.cost.hours, 60 * now.cost.hours
        print(f"{then:8.2f} min then, {takes:8.2f} alone  {now.record.cell.name}", flush=True)
    return 1 if refused else 0
