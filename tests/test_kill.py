"""SIGKILL at random moments: the weights come out as if nothing had happened, and what was lost is known."""

import mmap
import os
import random
import signal
import time
from pathlib import Path

import pytest

from benchmark import find
from benchmark.cell import Cell
from benchmark.engine.environment import Environment
from benchmark.execute import execute
from benchmark.run import Run
from tests.conftest import make_desk, recipe, tiny

LAB = (Path(__file__).parent / "lab",)
METHODS = [*find.methods(), "lab:winding"]
KILLS = 6  # for each of seven methods: 42
EPOCHS = 18  # of four steps: more than six attempts can do before they are killed
MOST_STEPS = 5


@pytest.mark.parametrize("method", METHODS)
def test_killed_and_resumed_equals_undisturbed(method: str, tmp_path: Path, environment: Environment) -> None:
    cell = tiny(method, extra=LAB, recipe=recipe(epochs=EPOCHS))
    whole = execute(cell, make_desk(tmp_path / "whole", environment, methods_from=LAB)).record
    chance = random.Random(method)
    for _ in range(KILLS):
        child, steps = start(cell, tmp_path, environment)
        enough = chance.randint(1, MOST_STEPS)
        while steps[0] < enough:  # so many steps of this attempt, and a moment more
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
    child, _ = start(cell, tmp_path, environment)
    _, status = os.waitpid(child, 0)
    assert status == 0
    (stored,) = make_desk(tmp_path / "killed", environment).store.of(cell.id)
    assert stored.record.network.weights_hash == whole.network.weights_hash
    assert stored.record.outcome == whole.outcome
    assert stored.record.side == whole.side, "curves, journal and bits too"
    assert stored.record.how.attempts == KILLS + 1
    assert stored.record.cost.lost > 0


def start(cell: Cell, folder: Path, environment: Environment) -> tuple[int, mmap.mmap]:
    """A child process with torch already loaded, on the cell; it counts its steps where we can see them."""
    steps = mmap.mmap(-1, 1)

    def watch(run: Run) -> None:
        steps[0] = min(steps[0] + 1, 255)

    child = os.fork()
    if child == 0:
        code = 1
        try:
            execute(cell, make_desk(folder / "killed", environment, methods_from=LAB, save_every=0.1, watch=watch))
            code = 0
        finally:
            os._exit(code)
    return child, steps
