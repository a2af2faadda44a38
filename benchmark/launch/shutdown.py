"""When a launch must end early: a signal, a spent budget, a launcher that is gone."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

BUDGET_SPENT = "the budget is spent"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)  # USR2: Slurm is asked to send it before a time limit


class StopAsked:
    """True when it is time to write a checkpoint and stop."""

    def __init__(self, budget_seconds: float | None = None) -> None:
        self.why = ""
        self._deadline = None if budget_seconds is None else time.monotonic() + budget_seconds

    def __call__(self) -> bool:
        if not self.why and self._deadline is not None and time.monotonic() >= self._deadline:
            self.why = BUDGET_SPENT
        return bool(self.why)

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        def handler(number: int, frame: FrameType | None) -> None:
            self.why = signal.Signals(number).name

        old = {number: signal.signal(number, handler) for number in SIGNALS}
        try:
            yield
        finally:
            for number, previous in old.items():
                signal.signal(number, previous)

    def when_closed(self, pipe: TextIO) -> None:
        """A launcher holds the other end of this pipe. When it dies, its workers stop at a checkpoint."""

        def stop() -> None:
            self.why = self.why or "its launcher is gone"

        at_the_end_of(pipe, stop)


def at_the_end_of(pipe: TextIO, do: Callable[[], None]) -> None:
    """Call `do` once the holder of the other end is gone, for any reason."""
    end = pipe.fileno()  # not `pipe` itself: reading it holds its lock, and a process forked meanwhile waits for that

    def wait() -> None:
        while os.read(end, 4096):
            pass
        do()

    threading.Thread(target=wait, daemon=True).start()
