"""Several processes on one cell: the same cut on each, the weights of one that sees all halves, deaths survived."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch.nn import functional as F

from benchmark.errors import UserError
from benchmark.launch.distributed import Died, train_together
from benchmark.launch.lease import Holder, Watch, state
from benchmark.launch.local import summary_of
from benchmark.launch.shutdown import StopAsked
from benchmark.launch.spec import Spec, write_spec
from benchmark.plan.cell import Cell
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.runs.attempts import Attempts
from benchmark.runs.checkpoint import newest
from benchmark.runs.execute import Context, execute
from benchmark.training.environment import Environment
from benchmark.training.meter import Meter
from benchmark.training.optimizers import set_rates
from benchmark.training.ranks import Ranks
from benchmark.training.rates import rate
from benchmark.training.training import Epoch, Now, Trainer
from tests.conftest import make_context, recipe, tiny
from tests.launch.common import HOW, asked, children_of, go
from tests.runs.forked import end_of, in_child

SIZE = 2


@pytest.mark.parametrize("wrote", [False, True])
def test_processes_that_die_before_they_begin_are_not_blamed_on_the_attempt_before(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch, wrote: bool
) -> None:
    cell, store = both("dense"), make_context(tmp_path, environment).store
    attempts = Attempts(store.run_folder(cell.id))
    attempts.begin(0.0)
    attempts.end("failed", "ValueError: of yesterday")

    def start(*arguments: Any, **options: Any) -> Any:
        if wrote:
            attempts.begin(0.0)
            attempts.end("failed", "ValueError: of today")
        return real([sys.executable, "-c", "raise SystemExit(1)"], **options)

    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", start)
    lease = Watch().claim(store.run_folder(cell.id), Holder.me("launch", ""))
    assert lease
    with pytest.raises(RuntimeError if wrote else Died, match="of today" if wrote else "processes died"):
        train_together(cell, "cpu", store, lease, StopAsked(None), False)


def test_fewer_gpus_than_a_cell_wants_is_said_before_anything_starts(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    cell, store = both("dense"), make_context(tmp_path, environment).store
    lease = Watch().claim(store.run_folder(cell.id), Holder.me("launch", ""))
    assert lease
    with pytest.raises(UserError, match="needs 2 GPUs, and this worker has 1"):
        train_together(cell, "cuda", store, lease, StopAsked(None), False)


def both(method: str, **options: Any) -> Cell:
    return tiny(method, gpus=SIZE, **({"recipe": recipe(epochs=4, precision="fp32")} | options))


def in_halves(self: Trainer, at: int, *, loss: Any = None, grads: Any = None, weights: Any = None, **_: Any) -> Epoch:
    """What two processes do, done by one: half a batch after the other, then one step; the leader counts."""
    network, steps = self.network, self.batches.steps
    order = self.batches.order(self.trained)
    network.train()
    for step in range(steps):
        lr = set_rates(self.optimizer, self.recipe, at + step / steps)
        now = Now((at * steps + step + 1) / (self.recipe.epochs * steps), lr)
        batch = self.batches.batch(order, self.trained, step)
        self.optimizer.zero_grad()
        for place in range(SIZE):
            buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
            images, labels = (whole[Ranks(place, SIZE).part(len(whole))] for whole in batch)
            error = F.cross_entropy(network(images), labels)
            ((error + loss(network, now) if loss else error) / SIZE).backward()
            if place:
                for name, buffer in network.named_buffers():
                    buffer.copy_(buffers[name])
        if grads:
            grads(network, now)
        self.optimizer.step()
        if weights:
            weights(network, now)
    self.trained += 1
    return Epoch(0.0, 0.0, rate(self.recipe, at + (steps - 1) / steps))


@pytest.mark.parametrize(
    ("method", "model"), [pytest.param("ocspruner", "resnet20", marks=pytest.mark.slow), ("one_cycle", "resnet_tiny")]
)
def test_two_processes_train_as_one_that_sees_both_halves(
    method: str, model: str, tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = both(method, model=model, **({"config": {"sl_end": 2}} if method == "ocspruner" else {}))
    context = make_context(tmp_path / "two", environment)
    specs = asked([cell], context.store)
    go(specs, context)
    assert summary_of(specs, context.store, "").failed == {}
    (two,) = context.store.of(cell.id)
    monkeypatch.setattr(Trainer, "epoch", in_halves)
    one = execute(cell, make_context(tmp_path / "one", environment))
    assert two.record.network.weights_hash == one.record.network.weights_hash
    assert two.record.outcome.top1 == one.record.outcome.top1
    assert context.store.side(two).get("kept") == make_context(tmp_path / "one", environment).store.side(one).get(
        "kept"
    )


def test_one_process_is_another_experiment_than_two() -> None:
    assert both("one_cycle").id != replace_gpus(both("one_cycle"), 1).id


def replace_gpus(cell: Cell, gpus: int) -> Cell:
    return cell.model_copy(update={"gpus": gpus})


def test_hours_are_of_all_devices(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Meter, "hours", lambda self, kind: 1.0)
    monkeypatch.setattr(Trainer, "epoch", in_halves)
    cost = execute(both("dense"), context).record.cost
    assert (cost.train, cost.search, cost.recover, cost.evaluate) == (2.0, 2.0, 2.0, 2.0)


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="7 cannot be shared by 2"):
        Ranks(0, 2).part(7)
    path = tmp_path / "mine.toml"
    from tests.conftest import SUITE

    path.write_text(SUITE.replace('name = "first"', 'name = "first"\ngpus = 3'))
    with pytest.raises(UserError, match=r"mine\.toml:\d+: a batch of 128 cannot be shared by 3 processes"):
        plan(read(str(path)))


@pytest.mark.slow
def test_a_killed_process_ends_the_attempt_within_a_minute_and_it_goes_on(
    tmp_path: Path, environment: Environment
) -> None:
    cell = both("one_cycle", recipe=recipe(epochs=40, precision="fp32"))
    whole, context = make_context(tmp_path / "whole", environment), make_context(tmp_path / "killed", environment)
    go(asked([cell], whole.store), whole)
    specs = asked([cell], context.store, replace(HOW, save_every=0.0))
    worker = in_child(lambda: go(specs, context))
    folder = context.store.run_folder(cell.id)
    last = ""
    for victim in (0, 1):  # the leader, then the other
        last = a_checkpoint_after(last, folder)
        (torchrun,) = children_of(worker)
        before = state(folder).number
        os.kill(children_of(torchrun)[victim], signal.SIGKILL)
        start = time.monotonic()
        while state(folder).number == before and time.monotonic() - start < 60:
            time.sleep(0.1)
        assert state(folder).number > before, f"{victim}: nobody took it up again within a minute"
    assert end_of(worker) == 0
    (record,) = (stored.record for stored in context.store.of(cell.id))
    assert record.how.attempts == 3
    assert record.network.weights_hash == whole.store.of(cell.id)[0].record.network.weights_hash


@pytest.mark.slow
def test_the_processes_of_a_cell_end_with_their_worker_and_force_starts_all_of_them_afresh(
    tmp_path: Path, environment: Environment
) -> None:
    cell, context = both("one_cycle", recipe=recipe(epochs=40, precision="fp32")), make_context(tmp_path, environment)
    worker = in_child(lambda: go(asked([cell], context.store, replace(HOW, save_every=0.0)), context))
    folder = context.store.run_folder(cell.id)
    a_checkpoint_after(newest(folder), folder)
    (torchrun,) = children_of(worker)
    processes = children_of(torchrun)
    assert len(processes) == SIZE
    os.kill(worker, signal.SIGKILL)
    end_of(worker)
    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in processes) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes), "somebody else may train beside them"
    at = newest(folder)
    time.sleep(0.5)
    assert newest(folder) == at
    again = Spec(cell, replace(HOW, launch="b"), (), "b")
    write_spec(again, context.store)
    go([again], context)
    assert summary_of([again], context.store, "").failed == {}
    (stored,) = context.store.of(cell.id)
    assert stored.record.cost.lost > 0
    assert [point["at"] for point in context.store.side(stored)["curves"]] == list(range(40))


def a_checkpoint_after(last: str, folder: Path) -> str:
    while (found := newest(folder)) <= last:
        time.sleep(0.02)
    return found
