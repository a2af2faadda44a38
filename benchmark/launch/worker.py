"""One worker: takes a free cell, runs it, and repeats this until nothing is left for it.

Any number of workers may share the same cells, in one process or in many, on one machine or on
a shared folder. Each finds its next cell from the run folders alone.
"""

import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from benchmark.errors import NoData, Stopped, UserError
from benchmark.launch.distributed import Died, train_together
from benchmark.launch.lease import STALE, Holder, Lease, LeaseLost, Watch, last_number, state, why_failed
from benchmark.launch.progress import Display
from benchmark.launch.shutdown import StopAsked
from benchmark.launch.spec import Spec, is_due_afresh, note_begun, note_done
from benchmark.records.matrix import as_asked
from benchmark.records.record import Record
from benchmark.records.store import Store, Stored
from benchmark.runs import checkpoint
from benchmark.runs.execute import Context, execute
from benchmark.runs.run import Run

POLL = 0.5  # seconds until it looks again at a cell that another worker has
PATIENCE = 30.0  # seconds without work until it prints which worker it waits for
TRIES = 3  # workers that may die on one cell without progress before it counts as failed
Standing = Literal["done", "diverged", "failed", "blocked", "waits", "free"]


@dataclass
class Summary:
    """The end of a launch, by names of cells. `failed` holds the reasons."""

    done: list[str] = field(default_factory=list)
    diverged: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    stopped: str = ""


class Leased(Store):
    """Refuses the record of a worker that was paused after its last step and lost its cell to another meanwhile."""

    def __init__(self, root: Path, lease: Lease) -> None:
        super().__init__(root)
        self.lease = lease

    def add(self, record: Record, side: bytes, last_look: Callable[[], None] = lambda: None) -> Stored:
        return super().add(record, side, lambda: self.lease.beat(every=0.0))


def work(specs: list[Spec], context: Context, stop: StopAsked, display: Display, *, debug: bool = False) -> None:
    """Run the cells. In `specs` parents come before their children. A child waits until its parents are done."""
    watch = Watch()
    waiting = {spec.cell.id: spec for spec in specs}
    unusable: dict[str, str] = {}  # data set -> why; reported once, not tried again for each of its cells
    idle_since, told = time.monotonic(), set[str]()
    while waiting and not stop():
        moved = False
        for id, spec in list(waiting.items()):
            if stop():
                return
            try:
                standing, _ = standing_of(spec, context.store, waiting)
                if standing == "free" and (lease := _claim(spec, context.store, watch)):
                    moved = True
                    if standing_of(spec, context.store, waiting)[0] == "free":  # no other worker was faster
                        display.begin(len(specs) - len(waiting), spec.cell.name, context.store.run_folder(id))
                        _run(spec, context, lease, stop, display, unusable, debug)
                    else:
                        lease.give_back("not needed")
                elif standing not in ("waits", "free"):
                    moved = True
                    del waiting[id]
            except (UserError, OSError) as error:  # a full disk: the failure cannot be noted; other cells go on
                display.say(f"left     {spec.cell.name}: {error}")
                del waiting[id]
        if moved:
            idle_since = time.monotonic()
            continue
        if time.monotonic() - idle_since > PATIENCE:
            for spec in (spec for id, spec in waiting.items() if id not in told):
                told.add(spec.cell.id)
                _say_who_has(spec, context.store, display)
        time.sleep(POLL)


def _say_who_has(spec: Spec, store: Store, display: Display) -> None:
    now = state(store.run_folder(spec.cell.id))
    if now.taken and now.holder:
        who = f"process {now.holder.pid} on {now.holder.host or 'a machine unknown'} has it"
        display.say(f"waiting  {spec.cell.name}: {who}; taken over after {STALE / 60:.0f} min of silence")


def standing_of(spec: Spec, store: Store, among: Iterable[str] = ()) -> tuple[Standing, str]:
    """The state of a cell for this launch, and why. It waits for parents that are `among` those still to run."""
    if found := finished(spec, store):
        return ("done" if found.record.ending == "done" else "diverged"), ""
    if (why := why_failed(store.run_folder(spec.cell.id), spec.how.launch)) is not None:
        return "failed", why
    for role, parent in spec.cell.parents.items():
        if parent in among:
            return "waits", f"for its parent {parent} ({role})"
        endings = {s.record.ending for s in store.of(parent)}
        if "done" not in endings:
            return "blocked", f"its parent {parent} ({role}) {'diverged' if endings else 'failed'}"
    return "free", ""


def unsettled(spec: Spec, store: Store) -> bool:
    """Whether its launch still has something to do for it."""
    return standing_of(spec, store)[0] in ("free", "waits")


def finished(spec: Spec, store: Store) -> Stored | None:
    """The record that was asked for: a current one, or a new one if the old were not enough."""
    how = spec.how
    return as_asked(spec.cell, store, how.device, how.mode, tuple(map(Path, how.methods)), spec.instead_of)


def _claim(spec: Spec, store: Store, watch: Watch) -> Lease | None:
    folder = store.run_folder(spec.cell.id)
    return watch.claim(folder, Holder.me(spec.how.launch, checkpoint.newest(folder)))


def _run(
    spec: Spec, context: Context, lease: Lease, stop: StopAsked, display: Display, unusable: dict[str, str], debug: bool
) -> None:
    """Run a cell under its lease, from claim to record or to the reason why there is none."""
    cell = spec.cell
    context.store.sweep(cell.id)
    if cell.data in unusable:
        lease.give_back("failed", unusable[cell.data])
        return
    if lease.deaths_before() >= TRIES:
        lease.give_back("failed", f"{TRIES} workers died on it, none got any further; out of memory?")
        return

    folder = context.store.run_folder(cell.id)

    def alive(run: Run) -> None:
        lease.beat()
        note_begun(spec, folder)
        display.watch(run)

    force = is_due_afresh(spec, folder)
    try:
        if cell.gpus > 1:
            train_together(cell, context.environment.device.type, context.store, lease, stop, force)
            if not (stored := finished(spec, context.store)):
                raise RuntimeError("its processes ended well and left no record")
        else:
            leased = Leased(context.store.root, lease)
            stored = execute(cell, replace(context, store=leased, stop=stop, say=display.say, watch=alive), force=force)
    except Died as died:
        lease.give_back("died", str(died))
        display.say(f"died     {cell.name}: {died}; continuing from its checkpoint")
    except LeaseLost as lost:
        display.say(f"left     {cell.name}: {lost}")
    except Stopped:
        lease.give_back("interrupted")
    except Exception as error:
        if last_number(folder) != lease.number:  # another worker has it and swept this one's files while it was paused
            display.say(f"left     {cell.name}: taken over by another worker")
            return
        if isinstance(error, NoData):
            unusable[cell.data] = _why(error, folder)
        lease.give_back("failed", _why(error, folder))
        display.say(f"failed   {cell.name}: {_why(error, folder)}")
        if debug:
            display.say(traceback.format_exc())
    else:
        note_done(spec, folder)
        lease.give_back(stored.record.ending)
        cost = stored.record.cost
        display.say(
            f"{stored.record.ending:8} {cell.name}: {stored.record.outcome.top1:.2f} %, {cost.hours * 60:.1f} min"
            + (f"; {cost.inputs}" if cost.inputs else "")
        )


def _why(error: Exception, folder: Path) -> str:
    """The error in one line. If it is not written for users, with the last line of our code that it passed."""
    if isinstance(error, UserError):
        return str(error)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "site-packages" not in f.filename]
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    if isinstance(error, OSError) and error.strerror:  # of the system; a failed write names no file
        return f"{error.filename or folder}: {error.strerror}{where}"
    return f"{type(error).__name__}: {error}{where}"
