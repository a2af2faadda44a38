"""The tries at one cell: when each began, how it ended, and what a killed one had done in vain."""

import json
import os
import platform
import time
from pathlib import Path
from typing import Any


class Attempts:
    """`attempts.jsonl` holds a line for each beginning and each end; a kill leaves no end."""

    def __init__(self, folder: Path) -> None:
        self.path, self.alive = folder / "attempts.jsonl", folder / "alive"
        self._last_beat = 0.0

    def begin(self, saved_at: float) -> int:
        """`saved_at`: when the checkpoint that this attempt goes on from was written, 0 for none."""
        lines = self.lines()
        lost = 0.0
        if lines and lines[-1]["event"] == "start" and self.alive.exists():
            lost = max(0.0, self.alive.stat().st_mtime - max(saved_at, lines[-1]["when"]))
        number: int = 1 + sum(line["event"] == "start" for line in lines)
        self._append({"event": "start", "attempt": number, "lost": round(lost, 3)})
        self.beat()
        return number

    def end(self, ending: str, why: str = "") -> None:
        self._append({"event": "end", "ending": ending, "why": why})

    def beat(self) -> None:
        """A sign of life, at most ten a second: the file's time is what counts."""
        if (now := time.time()) - self._last_beat >= 0.1:
            self.alive.touch()
            self._last_beat = now

    def lost_seconds(self) -> float:
        return sum(float(line.get("lost", 0.0)) for line in self.lines())

    def lines(self) -> list[dict[str, Any]]:
        """A line torn by a kill is passed over: it is the end of a file nobody else reads."""
        if not self.path.exists():
            return []
        out = []
        for line in self.path.read_text().splitlines():
            try:
                out.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return out

    def _append(self, line: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line |= {"when": time.time(), "host": platform.node(), "pid": os.getpid()}
        with self.path.open("a+b") as file:
            torn = file.tell() and self.path.read_bytes()[-1:] != b"\n"  # by a kill in the middle of a line
            file.write(b"\n" * torn + json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
