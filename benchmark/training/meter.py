"""What the seconds were spent on. A meter's readings are in the checkpoint, so they survive a kill."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

WITHIN = {"waiting", "decoding"}  # roles whose time is part of another's, or passes at the same time


class Meter:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running: list[str] = []
        self._since = 0.0

    @contextmanager
    def on(self, role: str) -> Iterator[None]:
        """Count time for `role`. An enclosing role pauses meanwhile."""
        self._bank()
        self._running.append(role)
        try:
            yield
        finally:
            self._bank()
            self._running.pop()

    def add(self, role: str, seconds: float) -> None:
        """Add time of a role in WITHIN."""
        self.seconds[role] = self.seconds.get(role, 0.0) + seconds

    def readings(self) -> dict[str, float]:
        self._bank()
        return dict(self.seconds)

    def hours(self, role: str) -> float:
        return self.readings().get(role, 0.0) / 3600

    def _bank(self) -> None:
        now = time.perf_counter()
        if self._running:
            role = self._running[-1]
            self.seconds[role] = self.seconds.get(role, 0.0) + now - self._since
        self._since = now


def spent(seconds: dict[str, float]) -> float:
    """The sum of a meter's readings."""
    return sum(each for role, each in seconds.items() if role not in WITHIN)
