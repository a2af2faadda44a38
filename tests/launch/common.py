"""What the tests of launching share: cells as specs, a worker in this process, a tiny matrix as a command."""

import os
import subprocess
import sys
from pathlib import Path

from benchmark.launch.progress import Display
from benchmark.launch.shutdown import StopAsked
from benchmark.launch.spec import How, Spec, write_spec
from benchmark.launch.worker import work
from benchmark.plan.cell import Cell
from benchmark.plan.discovery import ROOT
from benchmark.records.store import Store
from benchmark.runs.execute import Context
from tests.conftest import recipe

HOW = How(device="cpu", mode="repeatable", threads=1, shared=1, data="", methods=(), launch="a")
SHORT = {"recipe": recipe(epochs=1, epoch_images=128)}


def go(specs: list[Spec], context: Context, stop: StopAsked | None = None) -> None:
    with open(os.devnull, "w") as nowhere, Display(len(specs)) as display:  # noqa: PTH123
        display.console.file = nowhere
        work(specs, context, stop or StopAsked(), display)


def asked(cells: list[Cell], store: Store, how: How = HOW) -> list[Spec]:
    specs = [Spec(cell, how) for cell in cells]
    for spec in specs:
        write_spec(spec, store)
    return specs


MATRIX = """\
about = "tiny"
data = "digits"
seeds = "0-{last}"
threads = 1

[recipe.matched]
epochs = {epochs}
batch = 128
sgd = {{ lr = 0.1, momentum = 0.9 }}
lr = {{ shape = "warm_cosine" }}
validation = 100
epoch_images = 256

[[table]]
name = "first"
recipe = "matched"
models = {{ resnet_tiny = 10.0 }}
methods = ["one_cycle", "one_shot", "agp"]
remove = {{ weights = [0.9] }}
"""


def launched(folder: Path, *more: str, out: str = "results", **surroundings: str) -> subprocess.Popen[str]:
    env = os.environ | surroundings
    command = [sys.executable, "-m", "benchmark", "run", str(folder / "mine.toml"), "--out", str(folder / out), *more]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)


def weights(store: Store) -> dict[str, str]:
    return {stored.record.id: stored.record.network.weights_hash for stored in Store(store.root).all()}


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(number) for number in path.read_text().split()] if path.exists() else []
