"""What every method must do, found by itself: also for your own, `pytest tests/contract --methods DIR`."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import find
from benchmark.engine.environment import Environment
from benchmark.execute import execute
from tests.conftest import make_desk, recipe, tiny

FACE = {"Run", "method", "prune_along"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    extra = tuple(Path(p).resolve() for p in metafunc.config.getoption("--methods"))
    metafunc.parametrize(("name", "extra"), [(name, extra) for name in find.methods(extra)])


def test_its_head_says_what_it_is(name: str, extra: tuple[Path, ...]) -> None:
    found = find.methods(extra)[name]
    head = ast.get_docstring(ast.parse(found.path.read_text())) or ""
    assert head.partition("\n")[0].endswith("."), "the first line is a sentence"
    assert len(head.splitlines()) > 1, "and more: paper, claim, expected result, deviations"


def test_it_uses_the_face_and_nothing_behind_it(name: str, extra: tuple[Path, ...]) -> None:
    tree = ast.parse(find.methods(extra)[name].path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("benchmark"):
            assert node.module == "benchmark"
            assert {alias.name for alias in node.names} <= FACE
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("benchmark") for alias in node.names)


@pytest.mark.parametrize("model", ["resnet_tiny", "vgg_tiny"])
def test_it_meets_its_target_on_every_family(
    name: str, extra: tuple[Path, ...], model: str, tmp_path: Path, environment: Environment
) -> None:
    for amount in (0.3, 0.6, 0.95):
        desk = make_desk(tmp_path, environment, methods_from=extra)
        cell = tiny(name, extra=extra, model=model, amount=amount)
        record = execute(cell, desk).record
        assert record.ending == "done"
        if cell.remove is None:
            assert record.network.removed == 0
            return
        assert record.network.removed == pytest.approx(amount, abs=1e-3)
        assert record.network.macs_nonzero < (1 - amount + 0.05) * record.network.macs


def test_the_same_seed_is_the_same_network(
    name: str, extra: tuple[Path, ...], tmp_path: Path, environment: Environment
) -> None:
    cell = tiny(name, extra=extra)
    hashes = [
        execute(cell, make_desk(tmp_path / part, environment, methods_from=extra)).record.network.weights_hash
        for part in "ab"
    ]
    assert hashes[0] == hashes[1]


def test_bf16_runs_too(name: str, extra: tuple[Path, ...], tmp_path: Path, environment: Environment) -> None:
    cell = tiny(name, extra=extra, recipe=recipe(precision="bf16", epochs=1))
    assert execute(cell, make_desk(tmp_path, environment, methods_from=extra)).record.ending == "done"


def test_it_can_be_listed_without_torch(name: str, extra: tuple[Path, ...]) -> None:
    """Its configuration is literal: read, not run."""
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path; from benchmark import find\n"
        f"found = find.methods({tuple(map(str, extra))!r} and tuple(map(Path, {tuple(map(str, extra))!r})))[{name!r}]\n"
        "print(found.about)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=find.ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
