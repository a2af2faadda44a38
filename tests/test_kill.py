"""SIGKILL at random moments: the weights come out as if nothing had happened, and what was lost is known."""

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
from tests.conftest import make_desk, recipe, tiny

LAB = (Path(__file__).parent / "lab",)
METHODS = [*find.methods(), "lab:winding"]
KILLS = 6  # for each of seven methods: 42


@pytest.mark.parametrize("method", METHODS)
def test_killed_and_resumed_equals_undisturbed(method: str, tmp_path: Path, environment: Environment) -> None:
    cell = tiny(method, extra=LAB, recipe=recipe(epochs=8))
    started = time.monotonic()
    whole = execute(cell, make_desk(tmp_path / "whole", environment, methods_from=LAB)).record
    duration = time.monotonic() - started
    chance, kills = random.Random(method), 0
    while kills < KILLS:
        child = start(cell, tmp_path, environment)
        time.sleep(chance.uniform(0.15, 0.35) * duration)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "it finished before it could be killed"
        kills += 1
        if kills == KILLS:
            break
    _, status = os.waitpid(start(cell, tmp_path, environment), 0)
    assert status == 0
    store = make_desk(tmp_path / "killed", environment).store
    (stored,) = store.of(cell.id)
    assert stored.record.network.weights_hash == whole.network.weights_hash
    assert stored.record.outcome == whole.outcome
    assert stored.record.side == whole.side, "curves, journal and bits too"
    assert stored.record.how.attempts == KILLS + 1
    assert stored.record.cost.lost > 0


def start(cell: Cell, folder: Path, environment: Environment) -> int:
    """A child process with torch already loaded, on the cell; its checkpoints come often."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            execute(cell, make_desk(folder / "killed", environment, methods_from=LAB, save_every=0.25))
            code = 0
        finally:
            os._exit(code)
    return child
