"""SIGKILL at random moments: the weights come out as if nothing had happened, and what was lost is known.

A child kills itself after a random number of steps, or in the middle of a random write, so that no
moment depends on how busy the machine is.
"""

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.plan import discovery
from benchmark.plan.cell import Cell
from benchmark.runs.execute import execute
from benchmark.runs.run import Run
from benchmark.training.environment import Environment
from tests.conftest import make_context, planned, recipe, tiny
from tests.runs.forked import end_of, in_child

LAB = (Path(__file__).parents[1] / "lab",)
METHODS = [*discovery.methods(), "lab:winding"]
KILLS = 6  # for each method, one that makes every kind of call among them
EPOCHS = 16  # of four steps: more than six attempts can do before they are killed


@pytest.mark.parametrize("method", METHODS)
def test_killed_and_resumed_equals_undisturbed(method: str, tmp_path: Path, environment: Environment) -> None:
    """Cells that can cut are cut, so most of these kills lie before, in or after a cut."""
    kind = "macs" if "macs" in discovery.methods(LAB)[method].facts.get("removes", ()) else "weights"
    cell, parents = planned(method, extra=LAB, recipe=recipe(epochs=EPOCHS), kind=kind)
    for parent in parents:
        execute(parent, make_context(tmp_path / "whole", environment, methods_from=LAB))
    if parents:  # one and the same record for both
        shutil.copytree(tmp_path / "whole" / "results", tmp_path / "killed" / "results")
    whole = execute(cell, make_context(tmp_path / "whole", environment, methods_from=LAB)).record
    chance = random.Random(method)
    for number in range(KILLS):
        if number % 2:
            kill = in_a_write(chance.randint(2, 16))  # a checkpoint a step, two syncs a checkpoint
            save_every = 0.0
        else:
            kill = after_steps(chance.randint(1, 8))
            save_every = chance.choice([0.0, 0.02, 1e9])
        assert attempt(cell, tmp_path, environment, kill, save_every) == -signal.SIGKILL, "it was to be killed"
    assert attempt(cell, tmp_path, environment) == 0
    (stored,) = make_context(tmp_path / "killed", environment).store.of(cell.id)
    assert stored.record.network.weights_hash == whole.network.weights_hash
    assert stored.record.outcome == whole.outcome
    assert stored.record.side == whole.side, "curves, journal and bits too"
    assert stored.record.how.attempts == KILLS + 1


def test_lost_work_is_counted(tmp_path: Path, environment: Environment) -> None:
    cell = tiny("one_cycle", recipe=recipe(epochs=EPOCHS))
    attempt(cell, tmp_path, environment, after_steps(30), save_every=1e9)
    assert attempt(cell, tmp_path, environment) == 0
    (stored,) = make_context(tmp_path / "killed", environment).store.of(cell.id)
    assert stored.record.cost.lost > 0
    assert stored.record.cost.train > 0


def attempt(
    cell: Cell,
    folder: Path,
    environment: Environment,
    kill: Callable[[], Callable[[Run], None]] = lambda: lambda run: None,
    save_every: float = 0.02,
) -> int:
    """A child process on the cell; how it ended."""

    def do() -> None:
        context = make_context(folder / "killed", environment, methods_from=LAB, save_every=save_every, watch=kill())
        execute(cell, context)

    return end_of(in_child(do))


def after_steps(count: int) -> Callable[[], Callable[[Run], None]]:
    """Dies as soon as this attempt has done so many steps."""

    def arm() -> Callable[[Run], None]:
        steps = iter(range(1, count + 1))

        def watch(run: Run) -> None:
            if next(steps) == count:
                os.kill(os.getpid(), signal.SIGKILL)

        return watch

    return arm


def in_a_write(count: int) -> Callable[[], Callable[[Run], None]]:
    """Dies at the so-many-th sync: bytes written but not renamed, or renamed but not yet on the folder's disk."""

    def arm() -> Callable[[Run], None]:
        syncs, sync = iter(range(1, count + 1)), os.fsync

        def fsync(handle: int) -> None:
            if next(syncs) == count:
                os.kill(os.getpid(), signal.SIGKILL)
            sync(handle)

        os.fsync = fsync  # in the child alone
        return lambda run: None

    return arm
