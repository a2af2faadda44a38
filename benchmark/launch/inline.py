"""Runs cells one after the other in this process. A failing cell never stops the others."""

import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType

from benchmark.errors import NoData, UserError
from benchmark.execute import Desk, Stopped, execute
from benchmark.launch.progress import Display
from benchmark.matrix import Entry


@dataclass
class Summary:
    done: list[str] = field(default_factory=list)
    diverged: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    stopped: str = ""


class StopAsked:
    """True once a signal came or the budget is spent."""

    def __init__(self, budget_seconds: float | None) -> None:
        self.why = ""
        self._deadline = None if budget_seconds is None else time.monotonic() + budget_seconds

    def __call__(self) -> bool:
        if not self.why and self._deadline is not None and time.monotonic() >= self._deadline:
            self.why = "the budget is spent"
        return bool(self.why)

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        def handler(number: int, frame: FrameType | None) -> None:
            self.why = signal.Signals(number).name

        old = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, previous in old.items():
                signal.signal(number, previous)


def run_cells(
    entries: list[Entry],
    desk: Desk,
    *,
    budget: float | None = None,
    force: bool = False,
    debug: bool = False,
    to_stderr: bool = False,
) -> Summary:
    """`budget` in seconds: cheapest cells first, and a clean stop at a checkpoint when it is spent."""
    summary, stop = Summary(), StopAsked(budget)
    unusable: dict[str, str] = {}  # data set -> why: said once, not tried for each of its cells
    if budget is not None:
        entries = sorted(entries, key=lambda e: (round(e.hours or 0.0, 3), e.cell.seed))
    with Display(len(entries), to_stderr=to_stderr) as display, stop.on_signals():
        desk = replace(desk, stop=stop, say=display.say, watch=display.watch)
        for position, entry in enumerate(entries):
            if stop():
                summary.left += [e.cell.name for e in entries[position:]]
                break
            if entry.cell.data in unusable:
                summary.failed[entry.cell.name] = unusable[entry.cell.data]
                continue
            display.begin(position, entry.cell.name)
            try:
                stored = execute(entry.cell, desk, force=force)
            except Stopped:
                summary.left += [e.cell.name for e in entries[position:]]
                break
            except Exception as error:
                summary.failed[entry.cell.name] = _why(error)
                if isinstance(error, NoData):
                    unusable[entry.cell.data] = _why(error)
                display.say(f"failed   {entry.cell.name}: {_why(error)}")
                if debug:
                    display.say(traceback.format_exc())
                continue
            record = stored.record
            display.say(
                f"{record.ending:8} {entry.cell.name}: {record.outcome.top1:.2f} %, {record.cost.hours * 60:.1f} min"
            )
            (summary.done if record.ending == "done" else summary.diverged).append(entry.cell.name)
    summary.stopped = stop.why
    return summary


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
