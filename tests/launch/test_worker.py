"""Workers on one folder: no cell twice, none lost, what fails is named and stops nothing."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.errors import UserError
from benchmark.launch import lease as leases
from benchmark.launch import worker
from benchmark.launch.lease import Holder, Watch, state
from benchmark.launch.local import summary_of
from benchmark.launch.progress import Display
from benchmark.launch.shutdown import StopAsked
from benchmark.launch.spec import Spec, read_spec, write_spec
from benchmark.launch.statuses import places
from benchmark.launch.worker import standing_of
from benchmark.plan.cell import Cell
from benchmark.plan.suite import Planned
from benchmark.records.matrix import Entry, matrix
from benchmark.records.store import Store
from benchmark.runs import checkpoint
from benchmark.training.environment import Environment
from tests.conftest import make_context, planned, recipe, tiny
from tests.launch.common import HOW, SHORT, asked, go, weights
from tests.runs.forked import end_of, in_child


def test_two_workers_share_a_matrix_and_the_weights_are_those_of_one(tmp_path: Path, environment: Environment) -> None:
    cells = [tiny(method, seed=seed, **SHORT) for method in ("one_cycle", "agp", "one_shot") for seed in range(4)]
    alone = make_context(tmp_path / "alone", environment)
    go(asked(cells, alone.store), alone)
    both = make_context(tmp_path / "both", environment)
    specs = asked(cells, both.store)
    children = [in_child(lambda: go(specs, both)) for _ in range(2)]
    assert [end_of(child) for child in children] == [0, 0]
    assert weights(both.store) == weights(alone.store)
    assert {len(both.store.of(cell.id)) for cell in cells} == {1}, "none twice"
    workers = {state(both.store.run_folder(cell.id)).holder.pid for cell in cells}  # type: ignore[union-attr]
    assert workers == set(children), "both had a share"


def test_a_child_waits_until_another_worker_is_done_with_its_parent(tmp_path: Path, environment: Environment) -> None:
    cell, parents = planned("finetune_one_shot", recipe=recipe(epochs=4, epoch_images=128))
    context = make_context(tmp_path, environment)
    specs = asked([*parents, cell], context.store)
    children = [in_child(lambda: go(specs, context)) for _ in range(2)]
    assert [end_of(child) for child in children] == [0, 0]
    assert summary_of(specs, context.store, "").done == [spec.cell.name for spec in specs]


def test_what_fails_stops_nothing_is_named_and_is_tried_again_by_the_next_launch(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = tiny("one_cycle", **SHORT), tiny("one_shot", **SHORT)
    context = make_context(tmp_path, environment)
    whole = worker.execute

    def fails(cell: Cell, *rest: Any, **more: Any) -> Any:
        if cell.id == bad.id:
            raise RuntimeError("of purpose")
        return whole(cell, *rest, **more)

    monkeypatch.setattr(worker, "execute", fails)
    specs = asked([bad, good], context.store)
    go(specs, context)
    summary = summary_of(specs, context.store, "")
    assert summary.done == [good.name]
    assert summary.failed[bad.name].startswith("RuntimeError: of purpose (test_worker.py:"), "what, and where"
    go(specs, context)
    assert state(context.store.run_folder(bad.id)).number == 1, "the same launch tries once"
    monkeypatch.setattr(worker, "execute", whole)
    again = asked([bad, good], context.store, replace(HOW, launch="b"))
    go(again, context)
    assert len(summary_of(again, context.store, "").done) == 2


def test_a_child_whose_parent_failed_is_failed_too(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, parents = planned("finetune_one_shot", recipe=recipe(epochs=4, epoch_images=128))
    context = make_context(tmp_path, environment)
    monkeypatch.setattr(worker, "execute", lambda *rest, **more: 1 / 0)
    specs = asked([*parents, cell], context.store)
    go(specs, context)
    failed = summary_of(specs, context.store, "").failed
    assert "division by zero" in failed[parents[0].name]
    assert failed[cell.name] == f"its parent {parents[0].id} (start) failed"


def test_a_cell_that_kills_its_workers_is_given_up(tmp_path: Path, environment: Environment) -> None:
    def die() -> None:
        worker.execute = lambda *rest, **more: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
        go(specs, context)

    context = make_context(tmp_path, environment)
    specs = asked([tiny(**SHORT)], context.store)
    for _ in range(worker.TRIES):
        assert standing_of(specs[0], context.store)[0] == "free"
        assert end_of(in_child(die)) == -signal.SIGKILL
    go(specs, context)
    assert summary_of(specs, context.store, "").failed[specs[0].cell.name].startswith("3 workers died on it")
    assert standing_of(replace(specs[0], how=replace(HOW, launch="b")), context.store)[0] == "free"


def test_asked_for_again_a_cell_gets_a_new_record(tmp_path: Path, environment: Environment) -> None:
    cell, context = tiny(**SHORT), make_context(tmp_path, environment)
    go(asked([cell], context.store), context)
    (old,) = context.store.of(cell.id)
    again = Spec(cell, replace(HOW, launch="b"), (old.content,), "b")
    go([again], context)
    assert len(context.store.of(cell.id)) == 2
    go([again], context)
    assert len(context.store.of(cell.id)) == 2, "once a launch"


def test_a_signal_stops_at_a_checkpoint_and_the_lease_is_given_back(tmp_path: Path, environment: Environment) -> None:
    cell = tiny(recipe=recipe(epochs=50))
    context = make_context(tmp_path, environment, save_every=1e9)
    specs = asked([cell], context.store)

    def run() -> None:
        stop = StopAsked()
        with stop.on_signals():
            go(specs, context, stop)

    at_work = context.store.run_folder(cell.id) / "now.json"
    for number in (signal.SIGTERM, signal.SIGUSR2):
        child = in_child(run)
        while not at_work.exists():
            time.sleep(0.02)
        os.kill(child, number)
        assert end_of(child) == 0
        at_work.unlink()
        assert state(context.store.run_folder(cell.id)).ending == "interrupted"
        assert checkpoint.newest(context.store.run_folder(cell.id))


def test_what_a_worker_is_told_survives_its_file(tmp_path: Path) -> None:
    cell, _ = planned("finetune_one_shot")
    spec = Spec(cell, replace(HOW, methods=("/a", "/b"), threads=None), ("x", "y"), "a")
    write_spec(spec, Store(tmp_path))
    assert read_spec(cell.id, Store(tmp_path)) == spec


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
    context = make_context(tmp_path, environment)
    specs = asked([tiny("one_cycle", config={"alpha": alpha}, **SHORT) for alpha in (13.0, 15.0)], context.store)
    go(specs, context)
    assert len(summary_of(specs, context.store, "").failed) == 2


def test_a_full_disk_costs_its_cell_and_no_other(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_context(tmp_path, environment)
    specs = asked([tiny("one_cycle", seed=seed, **SHORT) for seed in range(2)], context.store)
    whole = leases.Lease.give_back

    def full(lease: leases.Lease, ending: str, why: str = "") -> None:
        if lease.path.parent.name == specs[0].cell.id:
            raise UserError("No space left on device")
        whole(lease, ending, why)

    monkeypatch.setattr(leases.Lease, "give_back", full)
    monkeypatch.setattr(worker, "execute", lambda cell, *rest, **more: 1 / 0)
    go(specs, context)
    summary = summary_of(specs, context.store, "")
    assert list(summary.failed) == [specs[1].cell.name]
    assert summary.left == [specs[0].cell.name]


def test_who_has_a_cell_elsewhere_is_named_while_it_is_waited_for(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, said = make_context(tmp_path, environment), list[str]()
    specs = asked([tiny("one_cycle", **SHORT)], context.store)
    folder = context.store.run_folder(specs[0].cell.id)
    assert Watch().claim(folder, replace(Holder.me("a"), host="far", namespace="another machine", pid=77))
    monkeypatch.setattr(worker, "PATIENCE", 0.0)
    monkeypatch.setattr(worker, "POLL", 0.01)
    monkeypatch.setattr(Display, "say", lambda self, line: said.append(line))
    go(specs, context, StopAsked(0.3))
    assert said == [f"waiting  {specs[0].cell.name}: process 77 on far has it; taken over after 15 min of silence"]
    (place,) = places([Entry(specs[0].cell.id, specs[0].cell, "pending")], context.store)
    assert (place.state, place.why) == ("running", "on far")
    os.utime(folder / "lease.0001", (time.time() - 1800,) * 2)
    (place,) = places([Entry(specs[0].cell.id, specs[0].cell, "pending")], context.store)
    assert (place.state, place.why) == ("pending", "its worker on far has been silent for 30 min")


def test_a_record_that_comes_while_a_launch_prepares_is_enough(tmp_path: Path, environment: Environment) -> None:
    context, cell = make_context(tmp_path, environment), tiny("one_cycle", **SHORT)
    place = Planned(cell, "first", "one_cycle", 0.0, "matched")
    (entry,) = matrix([place], context.store, device="cpu", mode="repeatable")
    go(asked([cell], context.store), context)  # another launch is faster
    assert standing_of(Spec(cell, replace(HOW, launch="b"), entry.seen), context.store)[0] == "done"
    (entry,) = matrix([place], context.store, device="cpu", mode="repeatable")
    assert standing_of(Spec(cell, replace(HOW, launch="b"), entry.seen), context.store)[0] == "free", "asked for again"


def dead(folder: Path, launch: str, ending: str = "") -> leases.Lease:
    lease = Watch().claim(folder, replace(Holder.me(launch), born=1))
    assert lease
    if ending:
        lease.give_back(ending, f"by {launch}")
    return lease


def test_each_of_two_launches_gives_up_after_its_own_deaths(tmp_path: Path) -> None:
    counted = [dead(tmp_path, launch).deaths_before() for launch in "abababab"]
    assert counted == [0, 0, 1, 1, 2, 2, 3, 3]


def test_what_failed_in_a_launch_stays_failed_for_it_whoever_tries_next(tmp_path: Path) -> None:
    spec = Spec(tiny("one_cycle", **SHORT), HOW)
    folder = Store(tmp_path).run_folder(spec.cell.id)
    for launch, ending in (("a", "failed"), ("b", "interrupted"), ("c", "")):
        dead(folder, launch, ending)
    assert standing_of(spec, Store(tmp_path)) == ("failed", "by a")
    assert standing_of(replace(spec, how=replace(HOW, launch="b")), Store(tmp_path))[0] == "free"
