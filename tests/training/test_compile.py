"""torch.compile as a setting of the recipe: another experiment, as repeatable as any."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.errors import Stopped
from benchmark.plan.cell import Recipe
from benchmark.plan.discovery import ROOT
from benchmark.runs.execute import execute
from benchmark.training.environment import prepare
from tests.conftest import make_context, recipe, tiny


def test_what_was_asked_before_keeps_its_name() -> None:
    assert "compile" not in recipe().model_dump(mode="json")
    assert Recipe(**(recipe().model_dump() | {"compile": True})).model_dump(mode="json")["compile"] is True
    assert tiny(recipe=recipe(compile=True)).id != tiny(recipe=recipe()).id


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler; `apt-get install g++`")
def test_stopped_over_a_cut_a_compiled_run_ends_in_the_same_bits(tmp_path: Path) -> None:
    # In a process of its own: one that has compiled has threads, and other tests fork theirs.
    script = f"from tests.training.test_compile import *; stopped_over_a_cut(Path({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def stopped_over_a_cut(tmp_path: Path) -> None:
    environment = prepare("cpu", threads=1)
    cell = tiny("one_shot", kind="macs", amount=0.4, recipe=recipe(epochs=4, compile=True))
    whole = execute(cell, make_context(tmp_path / "whole", environment)).record
    eager = execute(
        tiny("one_shot", kind="macs", amount=0.4, recipe=recipe(epochs=4)), make_context(tmp_path, environment)
    )
    assert whole.network.weights_hash != eager.record.network.weights_hash, "it was compiled"
    counted = 0

    def now_and_then() -> bool:
        nonlocal counted
        counted += 1
        return counted % 9 == 0

    context = make_context(tmp_path / "pieces", environment, stop=now_and_then)
    for _ in range(20):
        try:
            pieces = execute(cell, context).record
            break
        except Stopped:
            continue
    assert pieces.how.attempts > 1
    assert pieces.network.weights_hash == whole.network.weights_hash
