"""The matrix through a real Slurm: time limits, cancelled jobs, failures, a controller that restarts."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from benchmark.plan.discovery import ROOT
from benchmark.records.store import Store
from tests.cluster.conftest import Cluster

# One machine has one Slurm: all of it in one process of the tests.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500), pytest.mark.xdist_group("slurm")]

SUITE = """\
about = "tiny"
data = "digits"
seeds = "0-{last}"
threads = 1

[slurm]
time = {minutes}
cpus = 1

[recipe.matched]
epochs = {epochs}
batch = 128
sgd = {{ lr = 0.1, momentum = 0.9 }}
lr = {{ shape = "warm_cosine" }}
validation = 100
{more}

[[table]]
name = "first"
recipe = "matched"
models = {{ resnet_tiny = 10.0 }}
methods = [{methods}]
remove = {{ weights = [0.9] }}
"""


SLOW = '''"""Two seconds an epoch, however fast the machine; or none at all, for the same weights."""

import os
import time

from benchmark import Run, method


def rest(network, now):
    time.sleep(0.0 if os.environ.get("IN_A_HURRY") else 1.0)


@method(removes={"weights"}, version=1)
def slow(run: Run) -> None:
    run.train(weights=rest)
'''


def prunebench(folder: Path, *more: str, **surroundings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmark", "run", str(folder / "mine.toml"), *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | surroundings)


def suite(folder: Path, **options: object) -> None:
    usual = {"last": 2, "minutes": 5, "epochs": 2, "more": "epoch_images = 256", "methods": '"one_cycle", "one_shot"'}
    (folder / "mine.toml").write_text(SUITE.format(**(usual | options)))


def weights(root: Path) -> dict[str, str]:
    return {stored.record.id: stored.record.network.weights_hash for stored in Store(root).all()}


def test_an_array_ends_as_the_inline_matrix_does_and_a_cancelled_cell_is_picked_up(
    cluster: Cluster, tmp_path: Path
) -> None:
    suite(tmp_path)
    assert prunebench(tmp_path, "--out", str(tmp_path / "inline")).returncode == 0
    out = tmp_path / "slurm"
    said = prunebench(tmp_path, "--out", str(out), "--launcher", "slurm", "-j", "2", "--json")
    assert said.returncode == 0, said.stderr
    jobs = json.loads(said.stdout)["submitted"]
    assert len(jobs) == 9
    again = prunebench(tmp_path, "--out", str(out), "--launcher", "slurm", "--json")
    assert json.loads(again.stdout)["submitted"] == {}, "nothing is submitted twice"
    assert len(json.loads(again.stdout)["queued before"]) + len(weights(out)) >= 9
    last = list(jobs)[-1]
    subprocess.run(["scancel", jobs[last], cluster.wait_for_one_at_work()], check=True)
    cluster.restart_controller()
    cluster.wait_until_empty()
    assert last not in weights(out)
    assert len(weights(out)) >= 7, "one was waiting, one was at work; no other is hurt"
    assert prunebench(tmp_path, "--out", str(out), "--launcher", "slurm").returncode == 0
    cluster.wait_until_empty()
    assert weights(out) == weights(tmp_path / "inline")
    assert max(Counter(stored.record.id for stored in Store(out).all()).values()) == 1


def test_a_job_that_hits_its_limit_goes_back_into_the_queue_and_finishes(cluster: Cluster, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "slow.py").write_text(SLOW)
    suite(tmp_path, last=0, minutes=3, epochs=100, methods='"lab:slow"')
    out = tmp_path / "slurm"
    arguments = ("--out", str(out), "--methods", str(lab), "--only", "method=lab:slow")
    said = prunebench(tmp_path, *arguments, "--launcher", "slurm", "--json")
    (id,) = json.loads(said.stdout)["submitted"]
    cluster.wait_until_empty(1400)
    (stored,) = Store(out).of(id)
    assert stored.record.how.attempts >= 2, "it was to be stopped by its limit"
    assert stored.record.cost.lost > 0
    inline = tmp_path / "inline"
    assert prunebench(tmp_path, "--out", str(inline), *arguments[2:], IN_A_HURRY="1").returncode == 0
    assert weights(out) == weights(inline)


def test_a_cell_that_fails_stops_no_other_and_says_why(cluster: Cluster, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "breaks.py").write_text(
        '"""Fails by design."""\n\nfrom benchmark import Run, method\n\n\n'
        '@method(removes={"weights"}, version=1)\ndef breaks(run: Run) -> None:\n    raise RuntimeError("by design")\n'
    )
    suite(tmp_path, last=0, methods='"one_cycle", "lab:breaks"')
    out = tmp_path / "slurm"
    arguments = ("--out", str(out), "--methods", str(lab))
    assert prunebench(tmp_path, *arguments, "--launcher", "slurm").returncode == 0
    cluster.wait_until_empty()
    assert len(weights(out)) == 2
    command = [sys.executable, "-m", "benchmark", "status", str(tmp_path / "mine.toml"), *arguments]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    assert "RuntimeError: by design" in said
    assert "2 done, 1 failed" in said


def test_children_wait_for_their_parents(cluster: Cluster, tmp_path: Path) -> None:
    suite(tmp_path, last=0, epochs=4, methods='{ name = "finetune_one_shot" }')
    text = (tmp_path / "mine.toml").read_text().replace("weights = [0.9]", "macs = [0.3]")
    (tmp_path / "mine.toml").write_text(text)
    out = tmp_path / "slurm"
    assert prunebench(tmp_path, "--out", str(out), "--launcher", "slurm").returncode == 0
    cluster.wait_until_empty()
    time.sleep(1)
    assert len(weights(out)) == 3, "dense, the pretrained parent, and its child"
