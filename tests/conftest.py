"""What the tests share: tiny cells, a context in a temporary folder, one thread."""

import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.data.images import Images
from benchmark.plan import discovery
from benchmark.plan.cell import Cell, Recipe, Remove, Sgd, WarmCosine
from benchmark.plan.suite import configured, plan, with_parents
from benchmark.plan.suite_file import read
from benchmark.records.record import Record
from benchmark.records.store import Store, Stored
from benchmark.runs.execute import Context, execute
from benchmark.training.batches import Batches
from benchmark.training.environment import Environment, prepare

torch.set_num_threads(1)


LACKING = (
    "no Slurm",
    "a Slurm of one's own",
    "needs the right to mount",
    "no Chromium",
    "no pdflatex",
    "torch.compile needs",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI (PRUNEBENCH_MUST) nothing is skipped because the machine lacks it: that would look like a pass."""
    report = yield
    why = str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
    if report.skipped and os.environ.get("PRUNEBENCH_MUST") and why.startswith(LACKING):
        report.outcome, report.longrepr = "failed", f"must run here, and was skipped: {why}"
    return report


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--methods", action="append", default=[], help="contract tests for the methods of this folder too")


@pytest.fixture(scope="session")
def environment() -> Environment:
    return prepare("cpu", threads=1)


@pytest.fixture
def context(tmp_path: Path, environment: Environment) -> Context:
    return make_context(tmp_path, environment)


def make_context(root: Path, environment: Environment, **options: Any) -> Context:
    return Context(Store(root / "results"), environment, root / "data", say=lambda line: None, **options)


def recipe(**changes: Any) -> Recipe:
    base: dict[str, Any] = {
        "epochs": 2,
        "batch": 128,
        "optimizer": Sgd(lr=0.1, momentum=0.9, nesterov=True, decay=5e-4),
        "lr": WarmCosine(shape="warm_cosine"),
        "augment": ("crop4", "flip"),
        "validation": 100,
        "epoch_images": 512,
    }
    return Recipe(**(base | changes))


# Options that fit a schedule of a few epochs, for methods whose own speak of hundreds.
SHORT: dict[str, dict[str, Any]] = {
    "ocspruner": {"monitor": 0, "sl_start": 0, "sl_end": 1},
    "laasp": {"start": 1, "images": 64, "step": 0.1, "every": 1.0},
}


def planned(method: str = "dense", *, extra: tuple[Path, ...] = (), **changes: Any) -> tuple[Cell, tuple[Cell, ...]]:
    """A cell of a second or so, and its parents. `config`, `recipe`, `kind`, `amount` may be given, and cell fields."""
    removes = discovery.methods(extra)[method].facts.get("removes", ())
    kind = changes.pop("kind", "weights" if "weights" in removes else "macs")
    amount = changes.pop("amount", 0.9 if kind == "weights" else 0.4)
    options = {**SHORT.get(method, {}), **changes.pop("config", {})}
    fields: dict[str, Any] = {"data": "digits", "model": "resnet_tiny", "seed": 0, "recipe": recipe()} | changes
    remove = Remove(kind=kind, amount=amount) if removes else None
    cell = Cell(method=configured(method, options, extra)[0], remove=remove, **fields)
    others = [(configured(name, dict(given), extra)[0], name, []) for name, given in SHORT.items()]
    return with_parents(cell, others, extra)


def tiny(method: str = "dense", **options: Any) -> Cell:
    return planned(method, **options)[0]


def finish(method: str, context: Context, **options: Any) -> Stored:
    """Parents first, then the cell itself."""
    cell, parents = planned(method, extra=context.methods_from, **options)
    for parent in parents:
        if not context.store.of(parent.id):
            execute(parent, context)
    return execute(cell, context)


@pytest.fixture
def suite_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a suite: the given text replaces what follows the head of a small, valid one."""

    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return write


SUITE = """\
about = "a test"
data = "digits"
seeds = "0-1"

[recipe.matched]
epochs = 2
batch = 128
sgd = { lr = 0.1, momentum = 0.9 }
lr = { shape = "warm_cosine" }
validation = 100

[[table]]
name = "first"
recipe = "matched"
models = { resnet_tiny = 10.0 }
methods = ["one_cycle", "one_shot"]
remove = { weights = [0.9] }
"""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, environment: Environment) -> Record:
    """One real record, to make others from."""
    path = tmp_path_factory.mktemp("suite") / "mine.toml"
    path.write_text(SUITE)
    context = make_context(path.parent, environment)
    return execute(plan(read(str(path)), only="method=one_cycle,seed=0")[0].cell, context).record


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """The suite of SUITE as a file."""
    path = tmp_path / "mine.toml"
    path.write_text(SUITE)
    return path


@pytest.fixture
def batches() -> Batches:
    """Sixty-four coloured images of 16 × 16 in ten classes, one batch of them an epoch."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (128, 3, 16, 16), dtype=np.uint8)
    labels = np.arange(128, dtype=np.int64) % 10
    images = Images(
        pixels[:64], labels[:64], pixels[64:], labels[64:], tuple("0123456789"), ((0.5,) * 3, (0.25,) * 3), ""
    )
    return Batches(images, recipe(batch=64, validation=0, epoch_images=None), 0, torch.device("cpu"))
