"""What the cells that are not done will cost: from records of similar cells, else from a few timed steps.

Imports torch only for the timed steps.
"""

import os
import sys
from pathlib import Path

from benchmark.plan.cell import Cell
from benchmark.records.matrix import Entry
from benchmark.records.store import Store

DEVICES = Path("/dev")


def estimate(
    entries: list[Entry], store: Store, *, device: str = "auto", threads: int | None = None, data: Path | None = None
) -> None:
    """Hours of each cell that is not done: from the newest similar record, else from a few timed steps."""
    known = known_hours(entries, store, likely(device), threads)
    timed: set[tuple[str, str]] = set()
    for entry in entries:
        cell = entry.cell
        if entry.id in known:
            entry.hours, entry.basis = known[entry.id], "records"
            continue
        from benchmark.runs.calibrate import hours_per_epoch

        if (cell.model, cell.recipe.precision) not in timed:
            print(f"timing a few steps of {cell.model} …", file=sys.stderr, flush=True)
            timed.add((cell.model, cell.recipe.precision))
        per_epoch = hours_per_epoch(cell, device, threads, data)
        if per_epoch is not None:
            entry.hours, entry.basis = per_epoch * cell.recipe.epochs, "a few timed steps"


def likely(device: str) -> str:
    """The device that `auto` will most likely be here, found without torch. Hours on a GPU do not hold for a CPU."""
    if device != "auto":
        return device
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1")
    return "cuda" if any(DEVICES.glob("nvidia[0-9]*")) and not hidden else "cpu"


def known_hours(
    entries: list[Entry], store: Store, device: str = "auto", threads: int | None = None
) -> dict[str, float]:
    """Hours by cell, for cells with a record of a similar run."""
    per_epoch: dict[tuple[object, ...], float] = {}
    for stored in store.all():
        record = stored.record
        if device in ("auto", record.how.device) and threads in (None, record.how.threads):
            spent = record.cost.train + record.cost.recover + record.cost.evaluate + record.cost.search
            per_epoch[_like(record.cell)] = spent / record.cell.recipe.epochs
    likes = ((entry, _like(entry.cell)) for entry in entries)
    return {entry.id: per_epoch[like] * entry.cell.recipe.epochs for entry, like in likes if like in per_epoch}


def _like(cell: Cell) -> tuple[object, ...]:
    """A key: cells with an equal key cost the same per epoch."""
    recipe = cell.recipe
    return (cell.data, cell.model, recipe.batch, recipe.precision, recipe.size, recipe.epoch_images)
