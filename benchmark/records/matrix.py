"""Which cells are done, pending, stale or blocked. Imports no torch."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.plan.cell import Cell
from benchmark.plan.suite import Planned
from benchmark.records.code import code_of
from benchmark.records.record import Record
from benchmark.records.store import Store, Stored

State = Literal["done", "pending", "stale", "blocked"]


@dataclass
class Entry:
    """A cell of the matrix: one entry, even if it is in several tables."""

    id: str
    cell: Cell
    state: State
    why: str = ""
    hours: float | None = None
    basis: str = ""
    label: str = ""  # its label in its tables, if that is not the method's name
    seen: tuple[str, ...] = ()  # its records at this moment; a later one is from another launch

    @property
    def name(self) -> str:
        return f"{self.cell.name} ({self.label})" if self.label else self.cell.name


def matrix(
    planned: Iterable[Planned], store: Store, *, device: str, mode: str, methods_from: tuple[Path, ...] = ()
) -> list[Entry]:
    planned = list(planned)
    cells = {cell.id: cell for p in planned for cell in (*p.parents, p.cell)}  # parents before their children
    labels: dict[str, dict[str, None]] = {}
    for p in planned:
        if p.label != p.cell.method.name:
            labels.setdefault(p.id, {})[p.label] = None
    entries: dict[str, Entry] = {}
    for id, cell in cells.items():
        found = store.of(id)
        state, why = _state(cell, found, entries, store, device, mode, methods_from)
        label, seen = ", ".join(labels.get(id, ())), tuple(s.content for s in found)
        entries[id] = Entry(id, cell, state, why, label=label, seen=seen)
    for entry in entries.values():
        if entry.state == "pending" and "start" in entry.cell.parents:
            _needs_weights(entries[entry.cell.parents["start"]], store)
    return list(entries.values())


def _state(
    cell: Cell,
    found: list[Stored],
    earlier: dict[str, Entry],
    store: Store,
    device: str,
    mode: str,
    methods_from: tuple[Path, ...],
) -> tuple[State, str]:
    if recorded := _recorded(cell, found, store, device, mode, methods_from):
        return recorded
    for role, parent in cell.parents.items():
        ended = [s.record.ending for s in store.of(parent) if _fits(s.record, device, mode)]
        if ended and "done" not in ended:
            return "blocked", f"its parent {parent} ({role}) diverged"
        match earlier[parent].state if parent in earlier else "missing":
            case "pending":
                return "pending", f"after its parent {parent} ({role})"
            case "stale" | "blocked" | "missing" as state:
                return "blocked", f"its parent {parent} ({role}) is {state}"
    return "pending", ""


def _recorded(
    cell: Cell, found: list[Stored], store: Store, device: str, mode: str, methods_from: tuple[Path, ...]
) -> tuple[State, str] | None:
    """The state of a cell by its records; None if none of them was run as asked."""
    fitting = [s for s in found if _fits(s.record, device, mode)]
    if not fitting:
        return None
    code = code_of(cell, methods_from)
    ours = [s for s in fitting if s.record.code.same(code)]
    if any(_parents_are_current(s.record, store, methods_from) for s in ours):
        return "done", ""
    return "stale", "its parent's record is of other code" if ours else "its record is of other code"


def as_asked(
    cell: Cell, store: Store, device: str, mode: str, methods_from: tuple[Path, ...], besides: tuple[str, ...]
) -> Stored | None:
    """The newest finished record of the current code that was run as asked, without those in `besides`."""
    fitting = [s for s in store.of(cell.id) if s.content not in besides and _fits(s.record, device, mode)]
    code = code_of(cell, methods_from) if fitting else None
    ours = [s for s in fitting if code and s.record.code.same(code)]
    return next((s for s in reversed(ours) if _parents_are_current(s.record, store, methods_from)), None)


def _parents_are_current(record: Record, store: Store, methods_from: tuple[Path, ...]) -> bool:
    """A child is stale if its parent is. Without the parent's record the child counts as current."""
    for role, content in record.parents.items():
        parents = [s.record for s in store.of(record.cell.parents[role]) if s.content == content]
        if parents and not parents[0].code.same(code_of(parents[0].cell, methods_from)):
            return False
    return True


def _needs_weights(start: Entry, store: Store) -> None:
    """Nothing can start from a record published without weights, so the parent runs again."""
    kept = (store.weights(s.record.network.weights_hash).is_file() for s in store.of(start.id))
    if start.state == "done" and not any(kept):
        start.state, start.why = "pending", "its weights were not kept, and others start from them"


def _fits(record: Record, device: str, mode: str) -> bool:
    return record.how.mode == mode and device in ("auto", record.how.device)


def counts(entries: list[Entry]) -> str:
    """For people: how many are done, and so on."""
    found = Counter(entry.state for entry in entries)
    return ", ".join(f"{found[state]} {state}" for state in ("done", "pending", "stale", "blocked") if found[state])
