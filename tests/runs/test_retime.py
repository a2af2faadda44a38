"""Hours of a run that shared its machine: timed again alone, from a few steps of what its journal tells of."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.store import Store, Stored
from benchmark.runs import retime, schedules
from benchmark.runs.execute import execute
from benchmark.training.environment import Environment
from benchmark.training.training import Epoch, Trainer
from tests.conftest import SUITE, finish, make_context, planned, recipe, tiny

STEPS = 6
LONG = recipe(epochs=8, epoch_images=128 * STEPS)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seconds are steps here: the training clock moves by one for each. What comes back counts the steps done."""
    done = [0]
    whole = Trainer.epoch

    def epoch(self: Trainer, at: int, **callbacks: Any) -> Epoch:
        done[0] += self.batches.steps - self.step
        return whole(self, at, **callbacks)

    monkeypatch.setattr(Trainer, "epoch", epoch)
    monkeypatch.setattr(retime.time, "perf_counter", lambda: float(done[0]))
    return done


CELLS = {
    "dense": {},
    "one_cycle": {},
    "agp": {"kind": "macs"},
    "ocspruner": {"config": {"monitor": 2, "sl_start": 1, "sl_end": 4}},
    "laasp": {"config": {"start": 2, "every": 0.1, "images": 32}, "amount": 0.3},
    "scratch_epochs": {},
    "dense_longer": {},
}


@pytest.mark.parametrize("method", CELLS)
def test_all_steps_are_in_the_hours_and_few_of_them_are_done(
    method: str, tmp_path: Path, environment: Environment, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retime, "STEPS", 2)
    monkeypatch.setattr(retime, "FEW", 1)
    context = make_context(tmp_path, environment, shared=2)
    stored = finish(method, context, recipe=LONG, **CELLS[method])
    trained, clock[0] = clock[0], 0
    if method.startswith("scratch"):
        trained = stored.record.outcome.epochs_trained * STEPS
    found = retime.time_alone(stored, context)
    assert round(3600 * (found.train + found.recover), 6) == stored.record.outcome.epochs_trained * STEPS == trained
    assert clock[0] < trained
    assert (found.recover > 0) == (stored.record.cost.recover > 0) == (method == "laasp")
    assert (found.latency is None) == (stored.record.network.latency is None)
    assert found.search > 0 or stored.record.cost.search == 0


def test_what_is_timed_is_what_was_run(tmp_path: Path, environment: Environment) -> None:
    """Cut where it was cut, though the rehearsal's own weights would have chosen otherwise."""
    context = make_context(tmp_path, environment, shared=2)
    stored = finish("laasp", context, recipe=LONG, **CELLS["laasp"])
    cell = stored.record.cell
    run = retime.begun(cell, context, None, retime.code_of(cell))
    rehearsal = retime.Rehearsal(run, context.store.side(stored)["journal"])
    retime.discovery.load(retime.discovery.methods()["laasp"])(rehearsal, **cell.method.config)
    assert rehearsal.macs == stored.record.network.macs
    assert rehearsal.channels
    assert rehearsal.channels.kept == context.store.side(stored)["kept"]
    assert rehearsal.epoch == cell.recipe.epochs


def test_options_that_came_since_are_no_hindrance_but_another_call_is(tmp_path: Path, environment: Environment) -> None:
    """The code means the same, so it asks for the same, though in more words."""
    context = make_context(tmp_path, environment, shared=2)
    stored = finish("ocspruner", context, recipe=LONG, **CELLS["ocspruner"])
    cell, journal = stored.record.cell, context.store.side(stored)["journal"]
    method = retime.discovery.load(retime.discovery.methods()["ocspruner"])

    def rehearsed(journal: list[dict[str, Any]]) -> retime.Rehearsal:
        rehearsal = retime.Rehearsal(retime.begun(cell, context, None, retime.code_of(cell)), journal)
        method(rehearsal, **cell.method.config)
        return rehearsal

    fewer_words = [entry | {"args": "of before"} for entry in journal]
    assert rehearsed(fewer_words).macs == stored.record.network.macs
    with pytest.raises(UserError, match="call 1 was 'dance' and is 'train'"):
        rehearsed([journal[0] | {"call": "dance"}, *journal[1:]])


@pytest.mark.parametrize("method", ["one_shot", "agp", "iterative", "random"])
def test_what_a_callback_takes_later_counts(
    method: str, tmp_path: Path, environment: Environment, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before they begin to remove, schedules take nothing; from then on a mask at every step."""
    whole = schedules.zero_lowest

    def masked(network: Any, share: float, *how: Any) -> None:
        clock[0] += 2 if share else 0
        whole(network, share, *how)

    monkeypatch.setattr(schedules, "zero_lowest", masked)
    context = make_context(tmp_path, environment, shared=2)
    stored = execute(tiny(method, recipe=recipe(epochs=20, epoch_images=256)), context)
    real, clock[0] = clock[0], 0
    assert real > 1.5 * 40
    assert 3600 * retime.time_alone(stored, context).train == pytest.approx(real, rel=0.1)


def test_what_an_epoch_takes_once_is_not_taken_at_every_step(
    tmp_path: Path, environment: Environment, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retime, "STEPS", 2)
    monkeypatch.setattr(retime, "FEW", 1)
    whole = Trainer.epoch

    def epoch(self: Trainer, at: int, **callbacks: Any) -> Epoch:
        clock[0] += 5
        return whole(self, at, **callbacks)

    monkeypatch.setattr(Trainer, "epoch", epoch)
    context = make_context(tmp_path, environment, shared=2)
    stored = execute(tiny(recipe=LONG), context)
    assert round(3600 * retime.time_alone(stored, context).train, 6) == LONG.epochs * (STEPS + 5)


def test_a_search_takes_what_it_takes(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_context(tmp_path, environment, shared=2)
    stored = finish("prune_at_init", context)
    times = iter(range(0, 10_000, 100))
    monkeypatch.setattr("benchmark.training.meter.time.perf_counter", lambda: float(next(times)))
    assert 3600 * retime.time_alone(stored, context).search >= 100 > 3600 * stored.record.cost.search


def test_a_pipeline_is_shared_until_what_it_starts_from_is_timed(tmp_path: Path, environment: Environment) -> None:
    """Though it had the machine to itself when it went on."""
    context = make_context(tmp_path, environment, shared=2)
    cell, (parent, *_) = planned("finetune_one_shot", recipe=LONG)
    start = execute(parent, context)
    content = execute(cell, replace(context, shared=1)).content

    def now() -> Stored:
        return next(s for s in Store(context.store.root).of(cell.id) if s.content == content)

    assert now().shared
    assert now().cost.pretrain == start.record.cost.hours
    timing = retime.time_alone(start, context)
    context.store.add_alone(start, timing)
    assert not now().shared
    assert now().cost.pretrain == timing.train > 0


def test_elsewhere_or_with_other_code_nothing_is_timed(tmp_path: Path, environment: Environment) -> None:
    context = make_context(tmp_path, environment, shared=2)
    stored = execute(tiny(), context)
    for how, why in (
        ({"threads": 7}, "with 7 threads"),
        ({"mode": "fast"}, ", fast"),
        ({"device_name": "another"}, "on another"),
    ):
        other = stored.record.model_copy(update={"how": stored.record.how.model_copy(update=how)})
        with pytest.raises(UserError, match=f"{why}.*cannot be timed here"):
            retime.time_alone(replace(stored, record=other), context)
    older = stored.record.model_copy(update={"code": stored.record.code.model_copy(update={"engine": "0" * 12})})
    with pytest.raises(UserError, match="other code"):
        retime.time_alone(replace(stored, record=older), context)


def typed(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


@pytest.fixture
def shared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, Store]:
    suite = tmp_path / "mine.toml"
    suite.write_text(SUITE)
    only = ("--only", "seed=0,method=dense+one_cycle", "--threads", 1, "--shared", 3)
    assert typed("run", suite, *only, "--out", tmp_path / "out") == 0
    return suite, Store(tmp_path / "out")


def of(suite: Path, store: Store) -> list[Stored]:
    return [store.of(each.id)[-1] for each in plan(read(str(suite)), only="seed=0,method=dense+one_cycle")]


def test_timed_hours_are_what_tables_show(shared: tuple[Path, Store], capsys: pytest.CaptureFixture[str]) -> None:
    suite, store = shared
    assert typed("table", suite, "--out", store.root, "--format", "md") == 0
    before = capsys.readouterr().out
    assert "Hours in brackets were shared with other runs." in before
    *_, hours, times, _ = next(line for line in before.splitlines() if "| One-Cycle" in line).split("|")
    assert hours.strip().startswith("(")
    assert times.strip() == "–"
    assert typed("retime", suite, "--out", store.root) == 0
    assert capsys.readouterr().out.count("alone  ") == 2
    dense, pruned = of(suite, Store(store.root))
    assert dense.alone
    assert pruned.alone
    assert not pruned.shared
    assert typed("table", suite, "--out", store.root, "--format", "csv") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if ",one_cycle," in line)
    hours = pruned.alone.train + pruned.alone.search
    assert f",{hours:.6g},{hours / dense.alone.train:.6g}," in line
    assert "hours of 1 seed timed again alone" in line
    assert "hours shared" not in line
    again = typed("retime", suite, "--out", store.root)
    assert again == 2
    assert "nothing to time again" in capsys.readouterr().err


def test_a_timing_goes_with_its_record_and_an_edited_one_does_not_count(
    shared: tuple[Path, Store], tmp_path: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    suite, store = shared
    stored = of(suite, store)[0]
    context = make_context(tmp_path, environment)
    store.add_alone(stored, retime.time_alone(stored, replace(context, store=store)))
    elsewhere = Store(tmp_path / "copy")
    store.copy(stored.record.id, stored.content, elsewhere)
    assert elsewhere.of(stored.record.id)[0].alone == Store(store.root).of(stored.record.id)[0].alone
    path = next((tmp_path / "copy").rglob("*.alone"))
    path.write_text(path.read_text().replace('"train": 0', '"train": 1'))
    assert Store(tmp_path / "copy").of(stored.record.id)[0].alone is None
    assert "its bytes are not those it is named after" in capsys.readouterr().err


def test_a_launch_of_several_workers_times_its_runs_alone_before_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "mine.toml"
    suite.write_text(SUITE)
    monkeypatch.setattr("benchmark.commands.run.WORTHWHILE", 0.0)
    monkeypatch.setattr("benchmark.commands.run.RETIMED", 1e6)
    only = ("--only", "seed=0,method=dense+one_cycle", "-j", 2, "--threads", 1)
    assert typed("run", suite, *only, "--no-retime", "--out", tmp_path / "no") == 0
    assert all(stored.shared for stored in of(suite, Store(tmp_path / "no")))
    assert "again, alone" not in capsys.readouterr().out
    assert typed("run", suite, *only, "--out", tmp_path / "yes") == 0
    assert not any(stored.shared for stored in of(suite, Store(tmp_path / "yes")))
    assert "Timed 2 of 2 runs again, alone." in capsys.readouterr().out


def test_a_share_of_the_launch_is_spent_on_it_and_what_is_left_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "mine.toml"
    suite.write_text(SUITE)
    monkeypatch.setattr("benchmark.commands.run.WORTHWHILE", 0.0)
    monkeypatch.setattr("benchmark.commands.run.RETIMED", 1e-9)
    assert typed("run", suite, "--only", "seed=0,method=dense+one_cycle", "-j", 2, "--out", tmp_path / "out") == 0
    assert "Timed 0 of 2 runs again, alone; " in (said := capsys.readouterr().out)
    assert "`prunebench retime mine` times the rest" in said
