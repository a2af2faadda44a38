"""What a worker must know of a cell. It is a file in the run folder, so only an id must be sent to the worker."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark.plan.cell import Cell
from benchmark.records.store import Store, write_safely


@dataclass(frozen=True)
class How:
    """How the cells of one launch are run. Paths are absolute: a worker may start anywhere."""

    device: str
    mode: str
    threads: int | None
    shared: int
    data: str
    methods: tuple[str, ...]
    launch: str  # one run of one command; it does not retry what failed in it
    save_every: float = 60.0  # seconds between checkpoints


@dataclass(frozen=True)
class Spec:
    cell: Cell
    how: How
    instead_of: tuple[str, ...] = ()  # existing records that are not what was asked for
    forced_by: str = ""  # the launch that asked for it with --force


def write_spec(spec: Spec, store: Store) -> None:
    text = {
        "cell": spec.cell.asked(),
        "how": asdict(spec.how),
        "instead_of": list(spec.instead_of),
        "forced_by": spec.forced_by,
    }
    write_safely(store.run_folder(spec.cell.id) / "spec.json", (json.dumps(text, indent=1) + "\n").encode())


def read_spec(id: str, store: Store) -> Spec:
    text = json.loads((store.run_folder(id) / "spec.json").read_text())
    how = text["how"] | {"methods": tuple(text["how"]["methods"])}
    cell = Cell.model_validate_json(json.dumps(text["cell"]))
    return Spec(cell, How(**how), tuple(text["instead_of"]), text["forced_by"])


def is_due_afresh(spec: Spec, folder: Path) -> bool:
    """Whether it was forced and has not begun since. Then any checkpoint there belongs to an earlier run."""
    return bool(spec.forced_by) and not _begun(spec, folder).exists()


def note_begun(spec: Spec, folder: Path) -> None:
    """Call after its first step. From here on any launch continues it."""
    if is_due_afresh(spec, folder):
        _begun(spec, folder).touch()


def note_done(spec: Spec, folder: Path) -> None:
    if spec.forced_by:
        _begun(spec, folder).unlink(missing_ok=True)


def _begun(spec: Spec, folder: Path) -> Path:
    return folder / f"begun.{spec.forced_by}"


def last_spec(id: str, store: Store) -> Spec | None:
    """The spec that the last launch wrote, if there is one that this version can read."""
    try:
        return read_spec(id, store)
    except (OSError, ValueError, KeyError, TypeError):
        return None
