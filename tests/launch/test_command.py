"""`run` as it is typed: one process, several, two launchers; the kills they all survive."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from benchmark.commands.run import _forced
from benchmark.commands.status import watch_status
from benchmark.launch import worker
from benchmark.launch.lease import Holder, Watch
from benchmark.launch.spec import is_due_afresh, note_begun, write_spec
from benchmark.plan.cell import Cell
from benchmark.plan.discovery import ROOT
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.matrix import Entry
from benchmark.records.store import Store, Stored
from benchmark.training.environment import Environment
from tests.conftest import make_context, tiny
from tests.launch.common import HOW, MATRIX, asked, children_of, go, launched, weights
from tests.runs.forked import in_child, prunebench


def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MATRIX.format(last=0, epochs=1))
    one, two = launched(tmp_path), launched(tmp_path, "-j", "2", out="two")
    for process in (one, two):
        said = process.communicate()[0]
        assert process.returncode == 0, said
        assert said.count("done ") == 4
    assert weights(Store(tmp_path / "two")) == weights(Store(tmp_path / "results"))
    packed = {stored.record.how.packed for stored in Store(tmp_path / "two").all()}
    assert packed == {2}


def test_workers_import_this_code_whatever_lies_where_they_are_started(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MATRIX.format(last=0, epochs=1))
    (tmp_path / "benchmark").mkdir()
    (tmp_path / "benchmark" / "__init__.py").write_text("raise RuntimeError('not this one')")
    command = [sys.executable, "-P", "-m", "benchmark", "run", "mine.toml", "-j", "2"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=env)
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.count("done ") == 4


def test_forced_anew_is_afresh_until_its_first_step_and_another_mode_is_another_launch(tmp_path: Path) -> None:
    """However many launches were interrupted in between, and whoever else had the cell."""
    reached, other = tiny("one_cycle"), tiny("agp")
    store, how = Store(tmp_path), replace(HOW, launch="first")
    todo = [Entry(cell.id, cell, "pending") for cell in (reached, other)]
    folders = [store.run_folder(cell.id) for cell in (reached, other)]
    for launch, due in (("first", [True, True]), ("second", [False, True]), ("third", [False, True])):
        specs = _forced(todo, replace(how, launch=launch), store)
        for spec in specs:
            write_spec(spec, store)
        assert {spec.forced_by for spec in specs} == {"first"}
        assert [is_due_afresh(spec, folder) for spec, folder in zip(specs, folders, strict=True)] == due
        Watch().claim(folders[1], replace(Holder.me(launch), born=1))  # killed before its first step
        note_begun(specs[0], folders[0])
    assert {spec.forced_by for spec in _forced(todo, replace(how, launch="x", mode="fast"), store)} == {"x"}


def test_force_goes_on_with_what_it_was_interrupted_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text(MATRIX.format(last=0, epochs=2))
    command = ("run", tmp_path / "mine.toml", "--out", tmp_path / "results", "--threads", 1)
    whole, begun = worker.execute, list[str]()

    def stopped_in_the_second(cell: Cell, *rest: Any, **more: Any) -> Stored:
        begun.append(cell.id)
        if len(begun) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(cell, *rest, **more)

    def records() -> list[int]:
        return sorted(len(list(folder.glob("*.json"))) for folder in (tmp_path / "results" / "records").iterdir())

    assert prunebench(*command).returncode == 0
    assert records() == [1, 1, 1, 1]
    monkeypatch.setattr(worker, "execute", stopped_in_the_second)
    assert prunebench(*command, "--force").returncode == 130
    assert records() == [1, 1, 1, 2]
    assert len(list((tmp_path / "results").glob("runs/*/checkpoint-*"))) == 1
    monkeypatch.setattr(worker, "execute", whole)
    assert prunebench(*command, "--force").returncode == 0
    assert records() == [2, 2, 2, 2], "three more, not four"
    attempts = sorted(stored.record.how.attempts for stored in Store(tmp_path / "results").all())
    assert attempts == [1, 1, 1, 1, 1, 1, 1, 2], "one went on from its checkpoint"
    assert prunebench(*command, "--force").returncode == 0
    assert records() == [3, 3, 3, 3], "that was over, so it is a new one"


def test_watching_shows_who_works_on_what_and_what_failed(
    tmp_path: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "mine.toml"
    suite.write_text(MATRIX.format(last=0, epochs=100))
    cells = {p.label: p.cell for p in plan(read(str(suite)), "full")}
    context = make_context(tmp_path, environment)
    specs = asked([cells["dense"]], context.store)
    lease = Watch().claim(context.store.run_folder(cells["agp"].id), Holder.me("a"))
    assert lease
    lease.give_back("failed", "by design")
    child = in_child(lambda: go(specs, context))
    while not (context.store.run_folder(cells["dense"].id) / "now.json").exists():
        time.sleep(0.02)
    watch_status(str(suite), "full", context.store.root, (), looks=1)
    shown = " ".join(capsys.readouterr().out.split())  # a terminal of 80 columns breaks lines
    assert re.search(rf"{child} .*dense resnet_tiny.* epoch \d+/100 .*images/s", shown)
    assert "1 running, 2 pending, 1 failed" in shown
    assert re.search(r"agp weights -90% .*by design", shown)
    assert re.search(r"0.00 hours spent, about 0.00 left \(4 cells unknown\)", shown)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    watch_status(str(suite), "full", context.store.root, (), looks=1)
    assert "3 pending, 1 failed" in capsys.readouterr().out, "who was killed works no longer"


def test_what_is_left_without_having_been_stopped_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmark.commands.run import _close
    from benchmark.launch.worker import Summary

    for stopped, code in (("", 1), ("SIGINT", 130), ("the budget is spent", 0), ("workers die", 1)):
        assert _close("s", [], Summary(left=["a cell"], stopped=stopped), as_json=True) == code
    assert _close("s", [], Summary(done=["a cell"]), as_json=True) == 0


RESTS = '''"""Pruning that takes a second a step on any machine; or no time at all, for the same weights."""

import os
import time

from benchmark import Run, method, prune_along


def fraction(t: float) -> float:
    time.sleep(0.0 if os.environ.get("IN_A_HURRY") else 1.0)
    return t


@method(removes={"weights"}, version=1)
def rests(run: Run) -> None:
    prune_along(run, fraction)
'''


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_workers_and_launcher_are_killed_thirty_times_and_nothing_is_lost(tmp_path: Path) -> None:
    """Each time after a step was noted: a kill while torch is imported shows little."""
    import random

    chance = random.Random(0)
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "rests.py").write_text(RESTS)
    text = MATRIX.format(last=23, epochs=24).replace('"one_cycle", "one_shot", "agp"', '"lab:rests"')
    (tmp_path / "mine.toml").write_text(text)
    arguments = ("--methods", str(tmp_path / "lab"), "--only", "method=lab:rests")
    hurried = {"IN_A_HURRY": "1"}
    whole = launched(tmp_path, *arguments, out="whole", **hurried)
    said = whole.communicate()[0]
    assert whole.returncode == 0, said
    out, kinds = tmp_path / "results", Counter[str]()
    while kinds.total() < 30:
        launcher = launched(tmp_path, *arguments, "-j", "2")
        while kinds.total() < 30 and training_goes_on(out, launcher):
            time.sleep(chance.uniform(0.0, 2.0))
            workers = children_of(launcher.pid)
            kind = chance.choice(["launcher", "machine", "workers", "worker"])
            kinds[kind] += 1
            for victim in {"launcher": [launcher.pid], "machine": [launcher.pid, *workers], "workers": workers}.get(
                kind, workers[:1]
            ):
                os.kill(victim, signal.SIGKILL)
            if kind in ("launcher", "machine"):
                break
        said = launcher.communicate()[0]
        assert launcher.returncode, f"all was done after {kinds}: {said}"
    last = launched(tmp_path, *arguments, "-j", "2", **hurried)
    said = last.communicate()[0]
    assert last.returncode == 0, said
    store = Store(out)
    assert weights(store) == weights(Store(tmp_path / "whole"))
    records = [stored.record for stored in store.all()]
    assert Counter(record.id for record in records).most_common(1)[0][1] == 1, "none twice"
    assert not store.left_out
    assert all(load_file(store.weights(record.network.weights_hash)) for record in records), "none is torn"
    lost = sum(record.cost.lost for record in records) * 3600
    print(f"{dict(kinds)}; {sum(r.how.attempts for r in records)} attempts; {lost:.1f} s of work lost and counted")
    assert lost > 0
    assert sum(record.how.attempts for record in records) > len(records)


def training_goes_on(out: Path, launcher: subprocess.Popen[str]) -> bool:
    """Once a worker has noted a step that it made after now; False when the launcher ends first."""
    since = time.time()
    while launcher.poll() is None:
        if any(path.stat().st_mtime > since for path in out.glob("runs/*/now.json")):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
def test_two_launchers_at_once_do_two_hundred_cells_once_each(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MATRIX.format(last=49, epochs=1))
    both = [launched(tmp_path), launched(tmp_path)]
    for process in both:
        said = process.communicate()[0]
        assert process.returncode == 0, said
    counts = Counter(stored.record.id for stored in Store(tmp_path / "results").all())
    assert len(counts) == 200
    assert set(counts.values()) == {1}
    launches = Counter(
        json.loads(path.read_text())["launch"] for path in (tmp_path / "results").glob("runs/*/lease.0001")
    )
    assert len(launches) == 2, "both had a share"
