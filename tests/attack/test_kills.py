"""SIGKILL, SIGTERM and SIGINT at random moments: the weights come out as if nothing had happened, and what was lost
is known.

Each attempt is a worker in a process of its own, as `prunebench run` starts one. It signals itself after a random
number of steps, or in a random write, so that no moment depends on how busy the machine is. SIGTERM and SIGINT come
with the command's handlers in place, or without them: as before they are set, or to who calls `execute` himself.
"""

import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.launch import lease as leases
from benchmark.launch.progress import Display
from benchmark.launch.shutdown import StopAsked
from benchmark.launch.spec import Spec
from benchmark.plan import discovery
from benchmark.plan.cell import Cell
from benchmark.records.record import Network
from benchmark.records.store import Store
from benchmark.runs.execute import Context, execute
from benchmark.runs.run import Run
from benchmark.training.environment import Environment
from tests.attack.common import SEED, times
from tests.attack.faults import watched
from tests.conftest import make_context, planned, recipe
from tests.launch.common import HOW, asked, go
from tests.runs.forked import end_of, in_child

LAB = (Path(__file__).parents[1] / "lab",)
WINDING = "lab:winding"  # makes every kind of call
METHODS = [WINDING, *(pytest.param(method, marks=pytest.mark.slow) for method in discovery.methods())]
KILLS = times(2, 64)  # for each method: more than a thousand in all at full size
EPOCHS = 12  # of four steps
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
INTERRUPTED = 130
done: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def told() -> Iterator[None]:
    yield
    print(f"\nkills: {sum(done.values())}, PRUNEBENCH_ATTACK_SEED={SEED}: {dict(sorted(done.items()))}")


@pytest.mark.parametrize("method", METHODS)
def test_killed_and_resumed_equals_undisturbed(method: str, tmp_path: Path, environment: Environment) -> None:
    """Cells that can cut are cut, so that kills lie before, in and after a cut."""
    kind = "macs" if "macs" in discovery.methods(LAB)[method].facts.get("removes", ()) else "weights"
    cell, parents = planned(method, extra=LAB, recipe=recipe(epochs=EPOCHS), kind=kind)
    context = make_context(tmp_path / "whole", environment, methods_from=LAB)
    for parent in parents:
        execute(parent, context)
    shutil.copytree(tmp_path / "whole", tmp_path / "parents") if parents else (tmp_path / "parents").mkdir()
    whole = execute(cell, context).record
    chance = random.Random(f"{SEED} {method}")
    wanted, kills, rounds = max(KILLS, 6 if method == WINDING else 0), 0, 0
    print(f"{method}: {wanted} kills, PRUNEBENCH_ATTACK_SEED={SEED}")
    while kills < wanted:
        rounds += 1
        again = make_context(tmp_path / f"round{rounds}", environment, methods_from=LAB)
        shutil.copytree(tmp_path / "parents", tmp_path / f"round{rounds}")
        mine = until_done(cell, again, chance, wanted - kills)
        kills += sum(mine.values())
        (stored,) = Store(again.store.root).of(cell.id)
        record = stored.record
        assert untimed(record.network) == untimed(whole.network), "weights, counts and the path there"
        assert record.outcome == whole.outcome
        assert record.side == whole.side, "curves, journal and bits too"
        assert record.cost.training_macs == whole.cost.training_macs
        assert record.cost.search_macs == whole.cost.search_macs
        ours, theirs = (each.store.weights(whole.network.weights_hash) for each in (again, context))
        assert ours.read_bytes() == theirs.read_bytes()
        again.store.side(stored)
        assert not again.store.left_out
        at_steps = sum(count for name, count in mine.items() if "step" in name)
        assert at_steps + 1 <= record.how.attempts <= sum(mine.values()) + 1
        assert not list((again.store.root / "records" / cell.id).glob(".*")), "what was torn is swept"
        assert not list(again.store.run_folder(cell.id).glob(".checkpoint*"))
        done.update(mine)
        shutil.rmtree(tmp_path / f"round{rounds}")


def untimed(network: Network) -> Network:
    return network.model_copy(update={"latency": None})


def until_done(cell: Cell, context: Context, chance: random.Random, most: int) -> Counter[str]:
    """Attempts until there is a record, at most so many of them killed; the kills."""
    kills: Counter[str] = Counter()
    attempts = 0
    while not Store(context.store.root).of(cell.id):
        attempts += 1
        spec = Spec(cell, replace(HOW, launch=f"attempt {attempts}", methods=tuple(map(str, LAB))))
        if sum(kills.values()) == most:
            assert end_of(attempt(spec, context, steps, 0, signal.SIGKILL, False, context.store.root)) == 0, (
                "never signalled"
            )
            continue
        number = chance.choice(SIGNALS)
        handled = number != signal.SIGKILL and chance.random() < 0.6
        in_a_step = chance.random() < 0.5
        moment = chance.randint(1, 8) if in_a_step else chance.randint(1, 60)
        every = chance.choice([0.0, 0.02, 1e9]) if in_a_step else 0.0
        name = f"{number.name} {'handled' if handled else 'raw'} in a {'step' if in_a_step else 'write'}"
        signalled = context.store.root.parent / "signalled"
        signalled.unlink(missing_ok=True)
        count = steps if in_a_step else calls
        kill = replace(context, save_every=every)
        code = end_of(attempt(spec, kill, count, moment, number, handled, signalled))
        if signalled.exists():
            kills[name] += 1
        ends = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: -signal.SIGTERM, signal.SIGINT: INTERRUPTED}
        assert code == (ends[number] if signalled.exists() and not handled else 0), (name, moment)
    return kills


def attempt(
    spec: Spec,
    context: Context,
    count: Callable[[Path, Callable[[], None], Callable[[], None]], None],
    moment: int,
    number: signal.Signals,
    handled: bool,
    signalled: Path,
) -> int:
    """A worker on the cell, that signals itself at that moment; its process."""

    def do() -> None:
        moments = iter(range(1, moment + 1))

        def tick() -> None:
            if next(moments, None) == moment:
                signalled.touch()
                os.kill(os.getpid(), number)

        leases.TORN = 0.2
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop = StopAsked()
        try:
            if handled:
                with stop.on_signals():
                    count(context.store.root, tick, lambda: go([spec], context, stop))
            else:
                count(context.store.root, tick, lambda: go([spec], context, stop))
        except KeyboardInterrupt:
            os._exit(INTERRUPTED)

    return in_child(do)


def steps(root: Path, tick: Callable[[], None], work: Callable[[], None]) -> None:
    whole = Display.watch

    def watch(self: Display, run: Run) -> None:
        whole(self, run)
        tick()

    Display.watch = watch  # type: ignore[method-assign]  # in the child alone
    work()


def calls(root: Path, tick: Callable[[], None], work: Callable[[], None]) -> None:
    with watched(root, lambda call, path: tick()):
        work()


def test_lost_work_is_counted(tmp_path: Path, environment: Environment) -> None:
    cell, _ = planned("one_cycle", recipe=recipe(epochs=EPOCHS))
    context = make_context(tmp_path, environment, save_every=1e9)
    (spec,) = asked([cell], context.store)
    end_of(attempt(spec, context, steps, 30, signal.SIGKILL, False, tmp_path / "signalled"))
    assert (tmp_path / "signalled").exists()
    go([spec], context)
    (stored,) = context.store.of(cell.id)
    assert stored.record.cost.lost > 0
    assert stored.record.cost.train > 0
