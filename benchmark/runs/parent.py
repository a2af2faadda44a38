"""A finished cell whose weights or widths another cell takes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from benchmark.errors import UserError
from benchmark.plan.cell import Cell
from benchmark.records.code import code_of
from benchmark.records.store import Store, Stored
from benchmark.training.environment import Environment
from benchmark.training.weights import read_weights


@dataclass(frozen=True)
class Parent:
    """What a run needs from its parent. The weights are read only when they are needed."""

    content: str  # the name of its record
    epochs: int
    hours: float
    training_macs: int  # with its search and the training of its own parent
    widths: dict[str, int]
    weights: Callable[[], dict[str, Tensor]]


def find_parents(
    cell: Cell, store: Store, environment: Environment, methods_from: tuple[Path, ...]
) -> dict[str, Parent]:
    return {
        role: _parent(_record(role, id, store, environment, methods_from), store) for role, id in cell.parents.items()
    }


def _record(role: str, id: str, store: Store, environment: Environment, methods_from: tuple[Path, ...]) -> Stored:
    """The newest finished record of the current code, run on this kind of device in this mode."""
    how = (environment.device.type, environment.mode)
    fitting = [s for s in store.of(id) if s.record.ending == "done" and (s.record.how.device, s.record.how.mode) == how]
    current = [s for s in fitting if s.record.code.same(code_of(s.record.cell, methods_from))]
    if not current:
        diverged = any(s.record.ending == "diverged" for s in store.of(id))
        why = "it diverged" if diverged else "it has no finished record"
        why = "its record is of other code: run --stale redoes it" if fitting else why
        raise UserError(f"its parent {id} ({role}) cannot be used: {why}")
    return current[-1]


def _parent(stored: Stored, store: Store) -> Parent:
    record, path = stored.record, store.weights(stored.record.network.weights_hash)

    def weights() -> dict[str, Tensor]:
        if not path.is_file():
            raise UserError(f"{path}: the weights of its parent were not kept; run --force makes them anew")
        return read_weights(path)

    cost = stored.cost
    return Parent(
        content=stored.content,
        epochs=record.outcome.epochs_trained,
        hours=cost.hours,
        training_macs=cost.training_macs + cost.search_macs + cost.pretrain_macs,
        widths={name: len(kept) for name, kept in store.side(stored).get("kept", {}).items()},
        weights=weights,
    )
