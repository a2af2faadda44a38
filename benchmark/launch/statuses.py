"""The present state of a matrix, read from the run folders: which worker has what, what waits, what failed and why."""

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.launch.lease import STALE, Holder, silent_for, state
from benchmark.records.matrix import Entry
from benchmark.records.store import Store

STATES = ("done", "running", "pending", "failed", "stale", "blocked")


@dataclass(frozen=True)
class Place:
    """One cell of the matrix, and what its run folder says."""

    entry: Entry
    state: str
    why: str
    holder: Holder | None = None
    now: dict[str, Any] | None = None  # what its worker last noted


def places(entries: list[Entry], store: Store) -> list[Place]:
    return [_place(entry, store) for entry in entries]


def _place(entry: Entry, store: Store) -> Place:
    folder = store.run_folder(entry.id)
    if (entry.state == "done" and not _just_now(folder)) or not folder.is_dir():
        return Place(entry, entry.state, entry.why)
    last = state(folder)
    if last.taken and last.holder and not last.holder.is_dead():
        if (silent := silent_for(folder, last)) > STALE:
            why = f"its worker on {last.holder.host} has been silent for {silent / 60:.0f} min"
            return Place(entry, entry.state, why)
        return Place(entry, "running", f"on {last.holder.host}", last.holder, _noted(store, entry.id))
    if last.ending == "failed" and entry.state != "done":
        return Place(entry, "failed", last.why)
    return Place(entry, entry.state, entry.why)


def _noted(store: Store, id: str) -> dict[str, Any] | None:
    path = store.run_folder(id) / "now.json"
    try:
        noted = json.loads(path.read_bytes())
    except (OSError, ValueError):  # its first step has not begun, or a power cut damaged the note
        return None
    return noted if isinstance(noted, dict) and isinstance(noted.get("left"), int | float) else None


def _just_now(folder: Path) -> bool:
    """Whether a step was noted in the last minute. A cell that is done may be running again."""
    try:
        return time.time() - (folder / "now.json").stat().st_mtime < 60
    except OSError:
        return False


def summary(found: list[Place]) -> str:
    counts = Counter(place.state for place in found)
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
