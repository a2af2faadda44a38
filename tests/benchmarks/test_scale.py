"""Ten thousand records, copies of a real one of 300 epochs: how long a table, a check, a status and a site take."""

import hashlib
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmark.plan.discovery import ROOT
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.runs.execute import execute
from benchmark.training.environment import Environment
from tests.conftest import make_context, recipe, tiny

SEEDS, LIMIT = 499, {"table": 3.0, "check": 3.0, "status": 3.0, "report": 20.0}
SUITE = f"""\
about = "many"
data = "digits"
seeds = "0-{SEEDS}"

[recipe.matched]
epochs = 300
batch = 128
sgd = {{ lr = 0.1, momentum = 0.9 }}
lr = {{ shape = "warm_cosine" }}
validation = 100

[[table]]
name = "many"
recipe = "matched"
models = {{ resnet_tiny = 10.0, vgg_tiny = 10.0 }}
methods = ["one_cycle", "one_shot", "iterative"]
remove = {{ weights = [0.5, 0.8, 0.9] }}
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, environment: Environment) -> Path:
    folder = tmp_path_factory.mktemp("many")
    (folder / "many.toml").write_text(SUITE)
    real = execute(
        tiny("one_cycle", recipe=recipe(epochs=300, epoch_images=128)), make_context(folder / "real", environment)
    )
    name, packed = real.record.side, (real.path.parent / f"{real.record.side}.side.gz").read_bytes()
    base: dict[str, Any] = json.loads(real.path.read_bytes())
    for planned in plan(read(str(folder / "many.toml"))):
        base |= {"id": planned.id, "cell": planned.cell.asked()}
        text = json.dumps(base, indent=1).encode()
        place = folder / "records" / planned.id
        place.mkdir(parents=True)
        (place / f"{hashlib.sha256(text).hexdigest()[:16]}.json").write_bytes(text)
        (place / f"{name}.side.gz").write_bytes(packed)
    return folder


@pytest.mark.parametrize("verb", LIMIT)
def test_ten_thousand_records(many: Path, verb: str, benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "benchmark", verb, str(many / "many.toml"), "--out", str(many)]
    command += ["--to", str(many / "site")] if verb == "report" else []
    done = benchmark.pedantic(lambda: subprocess.run(command, cwd=ROOT, capture_output=True, text=True), rounds=1)
    assert done.returncode == (4 if verb == "check" else 0), done.stderr  # nothing of it is pinned
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    count = sum(1 for _ in (many / "records").glob("*"))
    with capsys.disabled():
        print(
            f"\n{verb} of {count} records: {benchmark.stats['mean']:.1f} s (aim {LIMIT[verb]:g}), peak {peak:.2f} GiB"
        )
