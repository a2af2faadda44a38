"""What every method must do, found by itself: also for your own, `pytest tests/contract --methods DIR`."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import benchmark
from benchmark.errors import Stopped
from benchmark.plan import discovery
from benchmark.plan.cell import CHANNEL_KINDS
from benchmark.runs.verify import verify
from benchmark.training.environment import Environment
from benchmark.training.weights import read_weights
from tests.conftest import finish, make_context, recipe

FACE = set(benchmark.__all__)
FAMILIES = ["resnet_tiny", "vgg_tiny", "mobilenetv2_tiny", "vit_tiny"]
TWO_FAMILIES = [  # at each push; all four in `tox -e slow`
    *(pytest.param(name, marks=[] if name in ("resnet_tiny", "vit_tiny") else pytest.mark.slow) for name in FAMILIES)
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    extra = tuple(Path(p).resolve() for p in metafunc.config.getoption("--methods"))
    metafunc.parametrize(("name", "extra"), [(name, extra) for name in discovery.methods(extra)])


def test_its_head_says_what_it_is(name: str, extra: tuple[Path, ...]) -> None:
    found = discovery.methods(extra)[name]
    head = ast.get_docstring(ast.parse(found.path.read_text())) or ""
    assert head.partition("\n")[0].endswith("."), "the first line is a sentence"
    assert len(head.splitlines()) > 1, "and more: paper, claim, expected result, deviations"


def test_it_uses_the_face_and_nothing_behind_it(name: str, extra: tuple[Path, ...]) -> None:
    tree = ast.parse(discovery.methods(extra)[name].path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("benchmark"):
            assert node.module == "benchmark"
            assert {alias.name for alias in node.names} <= FACE
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("benchmark") for alias in node.names)


@pytest.mark.parametrize("model", FAMILIES)
def test_it_meets_its_targets_on_every_family(
    name: str, extra: tuple[Path, ...], model: str, tmp_path: Path, environment: Environment
) -> None:
    """Single weights to a tenth of a point; channels, of networks this small, to one point."""
    context = make_context(tmp_path, environment, methods_from=extra)
    removes = discovery.methods(extra)[name].facts.get("removes", ())
    if not removes:
        assert finish(name, context, model=model).record.network.removed == 0
    if "weights" in removes:
        for amount in (0.3, 0.95):
            stored = finish(name, context, model=model, kind="weights", amount=amount)
            network = stored.record.network
            assert network.removed == pytest.approx(amount, abs=1e-3)
            weights = read_weights(context.store.weights(network.weights_hash))
            covered = {f"{layer}.weight" for layer in benchmark.prunable(discovery.load(discovery.models()[model])(10))}
            for path in [path for path, tensor in weights.items() if tensor.dim() > 1 and path not in covered]:
                zeros = float((weights[path] == 0).float().mean())
                assert zeros < 0.1, f"{path}: zeros where no target asks for any; see `prunable`"
            assert network.macs_nonzero <= network.macs == network.macs_dense
    if "macs" in removes:
        networks = [
            finish(name, context, model=model, kind="macs", amount=amount).record.network for amount in (0.3, 0.6)
        ]
        assert networks[0].macs > networks[1].macs, "the larger target leaves less"
        for network, amount in zip(networks, (0.3, 0.6), strict=True):
            assert network.removed == pytest.approx(amount, abs=0.01)
            assert network.params < network.params_dense
    for kind in set(CHANNEL_KINDS[1:]) & set(removes) if model == "resnet_tiny" else ():
        assert finish(name, context, kind=kind, amount=0.4).record.network.removed == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("model", TWO_FAMILIES)
def test_stopped_in_pieces_it_cuts_the_same_network_and_the_record_can_be_verified(
    name: str, extra: tuple[Path, ...], model: str, tmp_path: Path, environment: Environment
) -> None:
    """Stopped before, in and after cuts; then rebuilt from record and weights: equal counts, equal answers."""
    if "macs" not in discovery.methods(extra)[name].facts.get("removes", ()):
        pytest.skip("it cuts nothing")
    stopped_in_pieces(name, extra, tmp_path, environment, model=model, kind="macs")


@pytest.mark.parametrize("model", TWO_FAMILIES)
def test_its_variants_too(
    name: str, extra: tuple[Path, ...], model: str, tmp_path: Path, environment: Environment
) -> None:
    facts = discovery.methods(extra)[name].facts
    if not (variants := [v for v, options in facts.get("variants", {}).items() if options]):
        pytest.skip("it has no variants")
    for variant in variants:
        where, options = tmp_path / variant, {"kind": "macs", "model": model, "config": {"variant": variant}}
        stopped_in_pieces(name, extra, where, environment, **options)


def test_stopped_in_pieces_it_masks_the_same_weights(
    name: str, extra: tuple[Path, ...], tmp_path: Path, environment: Environment
) -> None:
    """What a callback gathers over steps must lie in `run.buffer`: a resumed run begins with fresh local variables."""
    if "weights" not in discovery.methods(extra)[name].facts.get("removes", ()):
        pytest.skip("it masks nothing")
    stopped_in_pieces(name, extra, tmp_path, environment, kind="weights")


def stopped_in_pieces(
    name: str, extra: tuple[Path, ...], tmp_path: Path, environment: Environment, **options: Any
) -> None:
    options["recipe"] = recipe(epochs=4)
    whole = finish(name, make_context(tmp_path / "whole", environment, methods_from=extra), **options).record
    counted = 0

    def now_and_then() -> bool:
        nonlocal counted
        counted += 1
        return counted % 7 == 0

    context = make_context(tmp_path / "pieces", environment, methods_from=extra, stop=now_and_then)
    for _ in range(100):
        try:
            stored = finish(name, context, **options)
            break
        except Stopped:
            continue
    assert stored.record.how.attempts > 1
    assert stored.record.network.weights_hash == whole.network.weights_hash
    checks = verify(stored, context.store, environment, context.data_root)
    assert [check.what for check in checks if not check.ok] == []
    assert len(checks) > 8


def test_the_same_seed_is_the_same_network(
    name: str, extra: tuple[Path, ...], tmp_path: Path, environment: Environment
) -> None:
    contexts = [make_context(tmp_path / part, environment, methods_from=extra) for part in "ab"]
    assert len({finish(name, context).record.network.weights_hash for context in contexts}) == 1


def test_bf16_runs_too(name: str, extra: tuple[Path, ...], tmp_path: Path, environment: Environment) -> None:
    context = make_context(tmp_path, environment, methods_from=extra)
    assert finish(name, context, recipe=recipe(precision="bf16")).record.ending == "done"


def test_it_can_be_listed_without_torch(name: str, extra: tuple[Path, ...]) -> None:
    """Its configuration is literal: read, not run."""
    assert listed_without_torch(extra)[name].strip()


@cache
def listed_without_torch(extra: tuple[Path, ...]) -> dict[str, str]:
    script = (
        "import json, sys; sys.modules['torch'] = None\n"
        "from pathlib import Path; from benchmark.plan import discovery\n"
        f"found = discovery.methods(tuple(map(Path, {tuple(map(str, extra))!r})))\n"
        "print(json.dumps({name: method.about for name, method in found.items()}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=discovery.ROOT
    )
    assert done.returncode == 0, done.stderr
    listed: dict[str, str] = json.loads(done.stdout)
    return listed
