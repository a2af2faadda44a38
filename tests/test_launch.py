"""Many workers on one folder: no cell twice, none lost, whoever dies and whenever."""

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

from benchmark import find
from benchmark.cell import Cell
from benchmark.engine.attempts import Attempts
from benchmark.engine.environment import Environment
from benchmark.errors import UserError
from benchmark.execute import Desk, execute
from benchmark.find import ROOT
from benchmark.launch import lease as leases
from benchmark.launch import local, slurm, worker
from benchmark.launch.lease import Holder, LeaseLost, Watch, state
from benchmark.launch.local import summary_of
from benchmark.launch.progress import Display
from benchmark.launch.spec import How, Spec, read_spec, write_spec
from benchmark.launch.stop import StopAsked
from benchmark.launch.worker import standing_of, work
from benchmark.run import Run
from benchmark.store import Store
from benchmark.suite import plan
from benchmark.suite_file import Slurm, read
from benchmark.verbs.status import show_status, watch_status
from tests.conftest import make_desk, planned, recipe, tiny
from tests.forked import end_of, in_child

HOW = How(device="cpu", mode="repeatable", threads=1, packed=1, data="", methods=(), launch="a")
SHORT = {"recipe": recipe(epochs=1, epoch_images=128)}


def go(specs: list[Spec], desk: Desk, stop: StopAsked | None = None) -> None:
    with open(os.devnull, "w") as nowhere, Display(len(specs)) as display:  # noqa: PTH123
        display.console.file = nowhere
        work(specs, desk, stop or StopAsked(), display)


def asked(cells: list[Cell], store: Store, how: How = HOW) -> list[Spec]:
    specs = [Spec(cell, how) for cell in cells]
    for spec in specs:
        write_spec(spec, store)
    return specs


# ---- leases --------------------------------------------------------------------------------------


def test_of_many_who_want_it_one_gets_it(tmp_path: Path) -> None:
    for number in range(8):
        folder = tmp_path / str(number)
        start = time.time() + 0.05

        def race(folder: Path = folder, start: float = start) -> None:
            time.sleep(max(0.0, start - time.time()))
            got = Watch().claim(folder, Holder.me("a"))
            time.sleep(0.2)  # the winner lives until all have tried
            os._exit(3 if got else 4)

        children = [in_child(race) for _ in range(4)]
        assert Counter(end_of(child) for child in children)[3] == 1


def test_a_living_workers_lease_is_its_own_and_a_dead_ones_is_taken_at_once(tmp_path: Path) -> None:
    def hold() -> None:
        Watch().claim(tmp_path, Holder.me("a"))
        time.sleep(60)

    child = in_child(hold)
    while not state(tmp_path).taken:
        time.sleep(0.01)
    patient, hasty = Watch(), Watch(stale=0)
    for _ in range(2):  # it decodes, compiles or evaluates: no sign of life, and alive all the same
        assert patient.claim(tmp_path, Holder.me("b")) is None
        assert hasty.claim(tmp_path, Holder.me("b")) is None
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    end_of(child)
    taken = Watch().claim(tmp_path, Holder.me("b"))
    assert taken is not None
    assert taken.number == 2


def test_a_worker_elsewhere_is_dead_when_its_file_no_longer_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = replace(Holder.me("a"), host="far", namespace="another machine")
    lease = Watch().claim(tmp_path, far)
    assert lease
    clock = 1000.0
    monkeypatch.setattr(leases.time, "monotonic", lambda: clock)
    watch = Watch(stale=60)
    assert watch.claim(tmp_path, Holder.me("b")) is None
    clock += 59
    an_hour_ago = time.time() - 3600
    os.utime(lease.path, (an_hour_ago, an_hour_ago))  # it lives; its clock was set back
    assert watch.claim(tmp_path, Holder.me("b")) is None
    clock += 59
    assert watch.claim(tmp_path, Holder.me("b")) is None
    clock += 2
    assert watch.claim(tmp_path, Holder.me("b")) is not None


def test_who_was_taken_over_notices(tmp_path: Path) -> None:
    old = Watch().claim(tmp_path, replace(Holder.me("a"), namespace="elsewhere"))
    assert old
    old.beat(every=0)
    (tmp_path / "lease.0002").write_text("{}")
    with pytest.raises(LeaseLost):
        old.beat(every=0)


def test_a_lease_torn_by_a_kill_is_a_lease(tmp_path: Path) -> None:
    (tmp_path / "lease.0001").write_text('{"host": "a", "pi')
    assert state(tmp_path).taken
    assert Watch(stale=60).claim(tmp_path, Holder.me("b")) is None
    watch = Watch(stale=0)
    assert watch.claim(tmp_path, Holder.me("b")) or watch.claim(tmp_path, Holder.me("b"))


# ---- workers -------------------------------------------------------------------------------------


def test_two_workers_share_a_matrix_and_the_weights_are_those_of_one(tmp_path: Path, environment: Environment) -> None:
    cells = [tiny(method, seed=seed, **SHORT) for method in ("one_cycle", "agp", "one_shot") for seed in range(4)]
    alone = make_desk(tmp_path / "alone", environment)
    go(asked(cells, alone.store), alone)
    both = make_desk(tmp_path / "both", environment)
    specs = asked(cells, both.store)
    children = [in_child(lambda: go(specs, both)) for _ in range(2)]
    assert [end_of(child) for child in children] == [0, 0]
    assert weights(both.store) == weights(alone.store)
    assert {len(both.store.of(cell.id)) for cell in cells} == {1}, "none twice"
    workers = {state(both.store.run_folder(cell.id)).holder.pid for cell in cells}  # type: ignore[union-attr]
    assert workers == set(children), "both had a share"


def test_a_child_waits_until_another_worker_is_done_with_its_parent(tmp_path: Path, environment: Environment) -> None:
    cell, parents = planned("finetune_one_shot", recipe=recipe(epochs=4, epoch_images=128))
    desk = make_desk(tmp_path, environment)
    specs = asked([*parents, cell], desk.store)
    children = [in_child(lambda: go(specs, desk)) for _ in range(2)]
    assert [end_of(child) for child in children] == [0, 0]
    assert summary_of(specs, desk.store, "").done == [spec.cell.name for spec in specs]


def test_what_fails_stops_nothing_is_named_and_is_tried_again_by_the_next_launch(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = tiny("one_cycle", **SHORT), tiny("one_shot", **SHORT)
    desk = make_desk(tmp_path, environment)
    whole = worker.execute

    def fails(cell: Cell, *rest: Any, **more: Any) -> Any:
        if cell.id == bad.id:
            raise RuntimeError("of purpose")
        return whole(cell, *rest, **more)

    monkeypatch.setattr(worker, "execute", fails)
    specs = asked([bad, good], desk.store)
    go(specs, desk)
    summary = summary_of(specs, desk.store, "")
    assert summary.done == [good.name]
    assert summary.failed[bad.name].startswith("RuntimeError: of purpose (test_launch.py:"), "what, and where"
    go(specs, desk)
    assert state(desk.store.run_folder(bad.id)).number == 1, "the same launch tries once"
    monkeypatch.setattr(worker, "execute", whole)
    again = asked([bad, good], desk.store, replace(HOW, launch="b"))
    go(again, desk)
    assert len(summary_of(again, desk.store, "").done) == 2


def test_a_child_whose_parent_failed_is_failed_too(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, parents = planned("finetune_one_shot", recipe=recipe(epochs=4, epoch_images=128))
    desk = make_desk(tmp_path, environment)
    monkeypatch.setattr(worker, "execute", lambda *rest, **more: 1 / 0)
    specs = asked([*parents, cell], desk.store)
    go(specs, desk)
    failed = summary_of(specs, desk.store, "").failed
    assert "division by zero" in failed[parents[0].name]
    assert failed[cell.name] == f"its parent {parents[0].id} (start) failed"


def test_a_cell_that_kills_its_workers_is_given_up(tmp_path: Path, environment: Environment) -> None:
    def die() -> None:
        worker.execute = lambda *rest, **more: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
        go(specs, desk)

    desk = make_desk(tmp_path, environment)
    specs = asked([tiny(**SHORT)], desk.store)
    for _ in range(worker.TRIES):
        assert standing_of(specs[0], desk.store)[0] == "free"
        assert end_of(in_child(die)) == -signal.SIGKILL
    go(specs, desk)
    assert summary_of(specs, desk.store, "").failed[specs[0].cell.name].startswith("3 workers died on it")
    assert standing_of(replace(specs[0], how=replace(HOW, launch="b")), desk.store)[0] == "free"


def test_asked_for_again_a_cell_gets_a_new_record(tmp_path: Path, environment: Environment) -> None:
    cell, desk = tiny(**SHORT), make_desk(tmp_path, environment)
    go(asked([cell], desk.store), desk)
    (old,) = desk.store.of(cell.id)
    again = Spec(cell, replace(HOW, launch="b", force=True), (old.content,))
    go([again], desk)
    assert len(desk.store.of(cell.id)) == 2
    go([again], desk)
    assert len(desk.store.of(cell.id)) == 2, "once a launch"


def test_a_signal_stops_at_a_checkpoint_and_the_lease_is_given_back(tmp_path: Path, environment: Environment) -> None:
    cell = tiny(recipe=recipe(epochs=50))
    desk = make_desk(tmp_path, environment, save_every=1e9)
    specs = asked([cell], desk.store)

    def run() -> None:
        stop = StopAsked()
        with stop.on_signals():
            go(specs, desk, stop)

    at_work = desk.store.run_folder(cell.id) / "now.json"
    for number in (signal.SIGTERM, signal.SIGUSR2):
        child = in_child(run)
        while not at_work.exists():
            time.sleep(0.02)
        os.kill(child, number)
        assert end_of(child) == 0
        at_work.unlink()
        assert state(desk.store.run_folder(cell.id)).ending == "interrupted"
        assert worker.newest_checkpoint(desk.store.run_folder(cell.id))


def test_what_a_worker_is_told_survives_its_file(tmp_path: Path) -> None:
    cell, _ = planned("finetune_one_shot")
    spec = Spec(cell, replace(HOW, methods=("/a", "/b"), threads=None), ("x", "y"))
    write_spec(spec, Store(tmp_path))
    assert read_spec(cell.id, Store(tmp_path)) == spec


# ---- the command ---------------------------------------------------------------------------------

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


def test_watching_shows_who_works_on_what_and_what_failed(
    tmp_path: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "mine.toml"
    suite.write_text(MATRIX.format(last=0, epochs=100))
    cells = {p.label: p.cell for p in plan(read(str(suite)), "full")}
    desk = make_desk(tmp_path, environment)
    specs = asked([cells["dense"]], desk.store)
    lease = Watch().claim(desk.store.run_folder(cells["agp"].id), Holder.me("a"))
    assert lease
    lease.give_back("failed", "by design")
    child = in_child(lambda: go(specs, desk))
    while not (desk.store.run_folder(cells["dense"].id) / "now.json").exists():
        time.sleep(0.02)
    watch_status(str(suite), "full", desk.store.root, (), looks=1)
    shown = " ".join(capsys.readouterr().out.split())  # a terminal of 80 columns breaks lines
    assert re.search(rf"{child} .*dense resnet_tiny.* epoch \d+/100 .*images/s", shown)
    assert "1 running, 2 pending, 1 failed" in shown
    assert re.search(r"agp weights -90% .*by design", shown)
    assert re.search(r"0.00 hours spent, about 0.00 left \(4 cells unknown\)", shown)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    watch_status(str(suite), "full", desk.store.root, (), looks=1)
    assert "3 pending, 1 failed" in capsys.readouterr().out, "who was killed works no longer"


def test_workers_share_out_the_gpus_and_their_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    started: list[tuple[dict[str, Any], dict[str, str]]] = []

    class Over:
        returncode = 0

        def poll(self) -> int:
            return 0

        def wait(self) -> int:
            return 0

    def note(order: dict[str, Any], surroundings: dict[str, str]) -> Over:
        started.append((order, surroundings))
        return Over()

    monkeypatch.setattr(local, "_start", note)
    specs = [Spec(tiny(seed=seed), replace(HOW, device="cuda")) for seed in range(5)]
    local.run_beside(specs, Store(tmp_path), 3, budget=None, debug=False, to_stderr=False)
    assert [where["CUDA_VISIBLE_DEVICES"] for _, where in started] == ["0", "1", "0"]
    assert [order["share"] for order, _ in started] == [2, 2, 2], "two at most on one GPU, half its memory each"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-b,GPU-c")
    started.clear()
    local.run_beside(specs, Store(tmp_path), 2, budget=None, debug=False, to_stderr=False)
    assert [where["CUDA_VISIBLE_DEVICES"] for _, where in started] == ["GPU-b", "GPU-c"]
    started.clear()
    local.run_beside(
        [replace(spec, how=HOW) for spec in specs], Store(tmp_path), 2, budget=None, debug=False, to_stderr=False
    )
    assert all("CUDA_VISIBLE_DEVICES" not in where and where["OMP_NUM_THREADS"] == "1" for _, where in started)


def test_workers_that_all_die_at_once_are_all_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def start(order: dict[str, Any], surroundings: dict[str, str]) -> subprocess.Popen[bytes]:
        started.append(len(started))
        process = subprocess.Popen(["sh", "-c", "kill -9 $$" if len(started) <= 2 else "true"])
        process.wait()
        return process

    monkeypatch.setattr(local, "_start", start)
    specs = [Spec(tiny(seed=seed), HOW) for seed in range(5)]
    local.run_beside(specs, Store(tmp_path), 2, budget=None, debug=False, to_stderr=False)
    assert len(started) == 4


def test_workers_that_die_before_they_begin_a_cell_are_not_replaced_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def start(order: dict[str, Any], surroundings: dict[str, str]) -> subprocess.Popen[bytes]:
        started.append(len(started))
        process = subprocess.Popen(["sh", "-c", "kill -9 $$"])
        process.wait()
        return process

    monkeypatch.setattr(local, "_start", start)
    specs = [Spec(tiny(seed=seed), HOW) for seed in range(5)]
    summary = local.run_beside(specs, Store(tmp_path), 2, budget=None, debug=False, to_stderr=False)
    assert summary.stopped == "workers die before they begin a cell"
    assert len(started) < 20
    assert len(summary.left) == 5


def test_what_is_left_without_having_been_stopped_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmark.launch.worker import Summary
    from benchmark.verbs.run import _close

    for stopped, code in (("", 1), ("SIGINT", 130), ("the budget is spent", 0), ("workers die", 1)):
        assert _close("s", [], Summary(left=["a cell"], stopped=stopped), as_json=True) == code
    assert _close("s", [], Summary(done=["a cell"]), as_json=True) == 0


def test_a_child_whose_parent_was_interrupted_is_left_and_has_not_failed(tmp_path: Path) -> None:
    cell, parents = planned("finetune_one_shot", recipe=recipe(epochs=4, epoch_images=128))
    store = Store(tmp_path)
    specs = asked([*parents, cell], store)
    summary = summary_of(specs, store, "SIGINT")
    assert (len(summary.left), summary.failed) == (len(specs), {})


def test_failures_of_cells_that_are_called_alike_are_all_told(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "execute", lambda *rest, **more: 1 / 0)
    desk = make_desk(tmp_path, environment)
    specs = asked([tiny("one_cycle", config={"alpha": alpha}, **SHORT) for alpha in (13.0, 15.0)], desk.store)
    go(specs, desk)
    assert len(summary_of(specs, desk.store, "").failed) == 2


def test_a_full_disk_costs_its_cell_and_no_other(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, environment)
    specs = asked([tiny("one_cycle", seed=seed, **SHORT) for seed in range(2)], desk.store)
    whole = leases.Lease.give_back

    def full(lease: leases.Lease, ending: str, why: str = "") -> None:
        if lease.path.parent.name == specs[0].cell.id:
            raise UserError("No space left on device")
        whole(lease, ending, why)

    monkeypatch.setattr(leases.Lease, "give_back", full)
    monkeypatch.setattr(worker, "execute", lambda cell, *rest, **more: 1 / 0)
    go(specs, desk)
    summary = summary_of(specs, desk.store, "")
    assert list(summary.failed) == [specs[1].cell.name]
    assert summary.left == [specs[0].cell.name]


@pytest.mark.parametrize("garbage", [b"", b"5", b"[]", b'{"host": "a", "pid": 1}', b"\xff\xfe", b"\0" * 9])
def test_garbage_in_one_run_folder_stops_nobody(garbage: bytes, tmp_path: Path, environment: Environment) -> None:
    desk = make_desk(tmp_path, environment)
    specs = asked([tiny("one_cycle", seed=seed, **SHORT) for seed in range(2)], desk.store)
    folder = desk.store.run_folder(specs[0].cell.id)
    for name in ("lease.0001", "now.json", "slurm.json"):
        (folder / name).write_bytes(garbage)
    assert state(folder).taken, "whose it is nobody knows; it is waited for"
    assert slurm.job_of(specs[0].cell.id, desk.store) == ""
    assert Watch(stale=0).claim(folder, Holder.me("b")) or Watch(stale=0).claim(folder, Holder.me("b"))
    go(specs[1:], desk)
    assert summary_of(specs, desk.store, "").done == [specs[1].cell.name]


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


def test_slurm_gets_an_array_for_each_time_class_and_generation(tmp_path: Path) -> None:
    specs = asked([tiny(seed=seed) for seed in range(4)], Store(tmp_path))
    first, second, third, fourth = (spec.cell.id for spec in specs)
    hours = {first: 0.2, second: 0.2, third: 3.0}  # nobody knows the fourth's
    ((*batches,),) = slurm._batches(specs, hours, Slurm())
    assert [(batch.minutes, len(batch.specs)) for batch in batches] == [(30, 2), (480, 1), (1440, 1)]
    assert batches[-1].specs[0].cell.id == fourth
    ((*one,),) = slurm._batches(specs, hours, Slurm(time=7))
    assert [(batch.minutes, len(batch.specs)) for batch in one] == [(7, 4)]


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(number) for number in path.read_text().split()] if path.exists() else []


# ---- what a machine can do to a run --------------------------------------------------------------


def test_out_of_memory_is_an_ending_with_advice_and_never_a_smaller_batch(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    cell, desk = tiny(**SHORT), make_desk(tmp_path, environment)
    batches: list[int] = []

    def full(self: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
        if len(images) == 1:  # counting
            return whole(self, images)
        batches.append(len(images))
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")

    kind = type(find.load(find.models()[cell.model])(10))
    whole = kind.forward
    monkeypatch.setattr(kind, "forward", full)
    specs = asked([cell], desk.store)
    go(specs, desk)
    why = summary_of(specs, desk.store, "").failed[cell.name]
    assert "out of memory at a peak of" in why
    assert "let fewer runs share the machine" in why
    assert batches == [128], "tried once, as it was asked"
    lines = Attempts(desk.store.run_folder(cell.id)).lines()
    assert lines[-1]["ending"] == "out of memory"


def test_a_results_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MATRIX.format(last=0, epochs=1))
    out = tmp_path / "results"
    out.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(out)], check=False)
    if mount.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        process = launched(tmp_path)
        said = process.communicate()[0]
    finally:
        subprocess.run(["umount", str(out)], check=True)
    assert process.returncode == 2
    assert "Read-only file system" in said
    assert "Traceback" not in said


def test_the_status_of_a_run_tells_every_attempt(tmp_path: Path) -> None:
    """One was killed, one failed, one is at work; and what its log said last."""
    store = Store(tmp_path)
    folder = store.run_folder("abc123")
    Attempts(folder).begin(0.0)
    Attempts(folder).begin(0.0)
    Attempts(folder).end("failed", "out of memory")
    Attempts(folder).begin(0.0)
    (folder / "log").write_text("epoch 3\n")
    told = show_status("abc", "full", tmp_path, ())
    assert [told[f"attempt {n}"].rpartition(": ")[2] for n in (1, 2, 3)] == [
        "at work, or killed", "failed out of memory", "at work, or killed",
    ]  # fmt: skip
    assert f"process {os.getpid()}" in told["attempt 1"]
    assert "epoch 3" in told.values()


def test_a_line_torn_by_a_kill_swallows_no_other(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    attempts.begin(0.0)
    attempts.path.write_text(attempts.path.read_text() + '{"event": "en')
    assert attempts.begin(0.0) == 2
    assert [line["event"] for line in attempts.lines()] == ["start", "start"]


def test_a_clock_set_back_an_hour_makes_no_cost_negative(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time as clock

    cell = tiny(recipe=recipe(epochs=4, epoch_images=128))
    desk = make_desk(tmp_path, environment, save_every=0.0)
    now, steps = clock.time, iter(range(1000))

    def jumps() -> float:
        return now() - (3600 if next(steps) > 6 else 0)

    def dies(run: Run) -> None:
        if run.trainer.trained == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    def first() -> None:
        monkeypatch.setattr(clock, "time", jumps)
        execute(cell, replace(desk, watch=dies))

    assert end_of(in_child(first)) == -signal.SIGKILL
    record = execute(cell, desk).record
    assert record.ending == "done"
    assert 0 <= record.cost.lost < 1 / 60
    assert min(record.cost.train, record.cost.evaluate) >= 0
