"""What the tests share: tiny cells, a desk in a temporary folder, one thread."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark import find
from benchmark.cell import Cell, Method, Recipe, Remove, Sgd, WarmCosine
from benchmark.engine.environment import Environment, prepare
from benchmark.execute import Desk
from benchmark.store import Store

torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--methods", action="append", default=[], help="contract tests for the methods of this folder too")


@pytest.fixture(scope="session")
def environment() -> Environment:
    return prepare("cpu", threads=1)


@pytest.fixture
def desk(tmp_path: Path, environment: Environment) -> Desk:
    return make_desk(tmp_path, environment)


def make_desk(root: Path, environment: Environment, **options: Any) -> Desk:
    return Desk(Store(root / "results"), environment, root / "data", say=lambda line: None, **options)


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


def tiny(method: str = "dense", *, extra: tuple[Path, ...] = (), **changes: Any) -> Cell:
    """A cell of a second or so. `config` and `recipe` may be given; the rest are cell fields."""
    found = find.methods(extra)[method]
    amount = changes.pop("amount", 0.9)
    remove = None if method == "dense" else Remove(kind="weights", amount=amount)
    config = {**found.defaults, **changes.pop("config", {})}
    version = found.facts.get("version", 1)
    fields: dict[str, Any] = {"data": "digits", "model": "resnet_tiny", "seed": 0, "recipe": recipe()} | changes
    return Cell(method=Method(name=method, version=version, config=config), remove=remove, **fields)


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
