"""The public names: what loads on first use is what type checkers are told."""

import ast
import importlib
from pathlib import Path

import pytest

import benchmark


def test_the_stub_and_the_lazy_names_agree() -> None:
    stub = ast.parse(Path(benchmark.__file__).with_suffix(".pyi").read_text())
    told = {alias.asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert told == benchmark.FACE


@pytest.mark.parametrize("name", benchmark.FACE)
def test_every_name_loads_from_the_module_that_defines_it(name: str) -> None:
    found = getattr(benchmark, name)
    assert found is getattr(importlib.import_module(benchmark.FACE[name]), name)
    assert getattr(found, "__module__", benchmark.FACE[name]) in (benchmark.FACE[name], "typing", "builtins")
