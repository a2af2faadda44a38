"""`retime`: times runs that shared a machine again, alone. `run -j` does so with its own runs at its end."""

import time
from collections.abc import Callable
from math import inf
from pathlib import Path

from benchmark.errors import UserError
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.store import Store, Stored


def time_suite(
    name: str, *, only: str, sets: tuple[str, ...], tier: str, again: bool, out: Path, data: Path | None,
    methods_from: tuple[Path, ...],
) -> int:  # fmt: skip
    """Print a line for each record that shared its machine: its time then, and alone. Parents come first."""
    store = Store(out)
    cells = {cell.id: None for p in plan(read(name, sets, methods_from), tier, only) for cell in (*p.parents, p.cell)}
    due = [s for id in cells for s in store.of(id) if _shared(s) and (again or not s.alone)]
    if not due:
        raise UserError(f"{out}: nothing to time again")

    def tell(line: str) -> None:
        print(line, flush=True)

    return 0 if time_again(due, store, data, methods_from, tell) == len(due) else 1


def due_among(ids: list[str], store: Store) -> list[Stored]:
    """The newest record of each of these cells, where it shared its machine and has not been timed since."""
    newest = [records[-1] for id in ids if (records := store.of(id))]
    return [stored for stored in newest if _shared(stored) and not stored.alone and stored.record.cell.gpus == 1]


def _shared(stored: Stored) -> bool:
    return stored.record.ending == "done" and stored.record.how.packed > 1


def time_again(
    due: list[Stored], store: Store, data: Path | None, methods_from: tuple[Path, ...], tell: Callable[[str], None],
    *, seconds: float = inf,
) -> int:  # fmt: skip
    """How many of them were timed. None is begun once so many seconds have passed."""
    from benchmark.data.images import data_root
    from benchmark.launch.setup import context_for
    from benchmark.launch.spec import How
    from benchmark.runs.retime import time_alone
    from benchmark.training.training import Diverged

    done, begun, warm, methods = 0, time.monotonic(), False, tuple(map(str, methods_from))
    for stored in due:
        if time.monotonic() - begun >= seconds:
            break
        how = stored.record.how
        as_then = How(how.device, how.mode, how.threads, 1, str(data_root(data)), methods, launch="")
        try:
            context = context_for(as_then, store)
            for _ in range(1 if warm else 2):  # the first pays what a process does only once, so it is timed twice
                alone = time_alone(stored, context)
        except (UserError, Diverged) as error:
            tell(f"left out: {error}")
            continue
        done, warm = done + 1, True
        store.add_alone(stored, alone)
        now = next(s for s in store.of(stored.record.id) if s.content == stored.content)
        then, takes = 60 * stored.record.cost.hours, 60 * now.cost.hours
        tell(f"{then:8.2f} min then, {takes:8.2f} alone  {now.record.cell.name}")
    return done
