"""What a run that shared its machine would take alone: its method again, with a few steps of each kind, scaled.

A rehearsal follows the journal of a finished run. It makes the same cuts, searches in full, and takes its answers from
the journal. Each network in between is trained for some steps. The first steps include what a new network costs once
(a graph recorded, kernels compiled or looked up); later ones give the time of all others. Only its hours are used; its
other numbers mean nothing.
"""

import datetime
import platform
import time
from collections.abc import Callable
from typing import Any

from benchmark.errors import UserError
from benchmark.plan import discovery
from benchmark.plan.canonical import digest
from benchmark.pruning.cuts import Kept
from benchmark.records.code import code_of
from benchmark.records.record import Alone
from benchmark.records.store import Stored
from benchmark.runs.execute import Context, begun
from benchmark.runs.run import MethodChanged, Run
from benchmark.runs.work import Progress
from benchmark.training.build import build
from benchmark.training.latency import latencies

STEPS, FEW = 40, 10  # steps of the two timed pieces of a long epoch
PARTS = 10  # of the schedule, timed separately if there are callbacks
Step = tuple[str, ...]  # its role, its callbacks, the part of the schedule


class Rehearsal(Run):
    """Replays the run that left `journal`. Its meter reads as if all of it had been done."""

    def __init__(self, run: Run, journal: list[dict[str, Any]]) -> None:
        super().__init__(run.cell, run.trainer, macs=run.macs, channels=run.channels)
        self.progress = Progress(journal=journal)
        self.begun: set[Step] = set()  # kinds of step that the present network has done
        self.paces: dict[Step, float] = {}  # seconds per step

    def start_from_dense(self) -> None:
        self._call("start from dense", [], lambda: None)  # other weights take the same time

    def architecture(self) -> Any:
        return self._call("architecture", [], lambda: None)

    def _call(self, name: str, args: Any, work: Callable[[], Any]) -> Any:
        if self._calls == len(self.progress.journal):
            raise MethodChanged(f"call {self._calls + 1}, {name!r}, is one more than the run made that is rehearsed")
        self.progress.journal[self._calls]["args"] = digest(args)  # the code is equal; options may have been added
        work()
        return super()._call(name, args, work)  # it is in the journal, so its old answer is returned

    def _cut(self, kept: Kept, momentum: str) -> dict[str, Any]:
        self.begun, self.paces = set(), {}
        return super()._cut(kept, momentum)

    def _train(self, kind: str, count: int, place: Callable[[int], int], **callbacks: Any) -> None:
        self.trainer.recipe = self.cell.recipe.stretched(self.epochs)
        given = [name for name, callback in callbacks.items() if callback]
        for at in map(place, range(count)):
            part = PARTS * at // self.epochs if given else 0  # a callback may take longer along the schedule
            self.meter.add(kind, self._epoch((kind, *given, str(part)), at, callbacks))

    def _epoch(self, step: Step, at: int, callbacks: dict[str, Any]) -> float:
        """Seconds. This network's first and second epoch of a kind are timed; all others count as the second."""
        if step in self.paces:
            return self.paces[step]
        first = self._seconds(at, callbacks)
        if step in self.begun:
            self.paces[step] = min(first, self._seconds(at, callbacks))
        self.begun.add(step)
        return first

    def _seconds(self, at: int, callbacks: dict[str, Any]) -> float:
        """Seconds of an epoch. Of a long one, two pieces are timed: they separate the time per step and per epoch."""
        steps = self.trainer.batches.steps
        if steps <= STEPS + FEW:
            return self._piece(steps, at, callbacks)
        more, few = self._piece(STEPS, at, callbacks), self._piece(FEW, at, callbacks)
        return more + max(0.0, more - few) / (STEPS - FEW) * (steps - STEPS)

    def _piece(self, some: int, at: int, callbacks: dict[str, Any]) -> float:
        self.trainer.step = self.trainer.batches.steps - some
        start = time.perf_counter()
        self.trainer.epoch(at, **callbacks)  # ends by waiting for the device
        return time.perf_counter() - start


def time_alone(stored: Stored, context: Context) -> Alone:
    """Time a run alone. Nothing else may run on the machine meanwhile."""
    record, environment = stored.record, context.environment
    cell = record.cell.model_copy(update={"parents": {}})  # parents take no time here
    code = code_of(record.cell, context.methods_from)
    why = _unlike(stored, context) or ("other code" if not record.code.same(code) else "")
    if why:
        raise UserError(f"{record.cell.name} [{stored.content}]: it was run {why}; its hours cannot be timed here")
    rehearsal = Rehearsal(begun(cell, context, None, code), context.store.side(stored)["journal"])
    found = discovery.pick("method", cell.method.name, discovery.methods(context.methods_from))
    discovery.load(found)(rehearsal, **discovery.options(found, cell.method.config, rehearsal.kind))
    trainer = rehearsal.trainer
    dense = build(cell, trainer.batches.classes)
    return Alone(
        record=stored.content,
        train=rehearsal.meter.hours("train"),
        search=rehearsal.meter.hours("search"),
        recover=rehearsal.meter.hours("recover"),
        latency=latencies(trainer.network, dense, cell.recipe, trainer.batches) if record.network.latency else None,
        device_name=environment.device_name,
        threads=environment.threads,
        fingerprint=environment.fingerprint,
        host=platform.node(),
        commit=code.commit,
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _unlike(stored: Stored, context: Context) -> str:
    """The reason against a timing, as the end of "it was run …"."""
    how, here = stored.record.how, context.environment
    if stored.record.ending != "done":
        return "to no end"
    if stored.record.cell.gpus > 1:
        return "by several processes"
    then, now = (how.device_name, how.mode, how.threads), (here.device_name, here.mode, here.threads)
    return "" if then == now else f"on {how.device_name}, {how.mode}, with {how.threads} threads"
