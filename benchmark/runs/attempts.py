"""The attempts at one cell: when each began, how it ended, and how much work a kill lost."""

import os
import platform
import time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError

Seconds = Annotated[float, Field(ge=0, lt=1e11, allow_inf_nan=False)]


class Line(BaseModel):
    """The beginning or the end of an attempt."""

    event: Literal["start", "end"]
    when: Seconds
    host: str
    pid: int
    attempt: int = 0
    lost: Seconds = 0.0  # work of the previous attempt that this one does again
    ending: str = ""
    why: str = ""


class Attempts:
    """`attempts.jsonl` holds a line for each beginning and each end. A killed attempt has no end."""

    def __init__(self, folder: Path) -> None:
        self.path, self.alive = folder / "attempts.jsonl", folder / "alive"
        self._last_beat = 0.0

    def begin(self, saved_at: float, thrown_away: float = 0.0) -> int:
        """`saved_at`: when the newest checkpoint was written, 0 for none. `thrown_away`: its seconds of work, if
        this attempt does not continue from it."""
        before, lost = self.lines(), thrown_away
        if before and before[-1].event == "start" and self.alive.exists():
            lost += max(0.0, self.alive.stat().st_mtime - max(saved_at, before[-1].when))
        number = 1 + starts(before)
        self._append(event="start", attempt=number, lost=round(lost, 3))
        self.beat()
        return number

    def end(self, ending: str, why: str = "") -> None:
        self._append(event="end", ending=ending, why=why)

    def beat(self) -> None:
        """A sign of life, at most ten per second. The time of the file shows it."""
        if (now := time.time()) - self._last_beat >= 0.1:
            self.alive.touch()
            self._last_beat = now

    def lost_seconds(self) -> float:
        return sum(line.lost for line in self.lines())

    def lines(self) -> list[Line]:
        """The valid lines. A line torn by a kill, or any other that is not ours, is skipped."""
        text = self.path.read_bytes() if self.path.exists() else b""
        return [line for raw in text.splitlines() if (line := _read(raw))]

    def _append(self, **facts: str | float) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = Line.model_validate(facts | {"when": time.time(), "host": platform.node(), "pid": os.getpid()})
        with self.path.open("a+b") as file:
            torn = file.tell() and self.path.read_bytes()[-1:] != b"\n"  # by a kill in the middle of a line
            file.write(b"\n" * torn + line.model_dump_json(exclude_defaults=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def starts(lines: list[Line]) -> int:
    return sum(line.event == "start" for line in lines)


def _read(raw: bytes) -> Line | None:
    try:
        return Line.model_validate_json(raw)
    except ValidationError:
        return None
