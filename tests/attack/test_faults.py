"""Each call that writes fails in turn: by death, or because the disk is full, broken or read-only.

What was there is whole, or what was to come is; what is left behind disturbs no later run; the error is one line
that names the path. A writer that is paused, and others, stand in test_disks.py.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch

import benchmark.evidence.pins as pins_module
from benchmark.cli import main
from benchmark.commands import pin, table
from benchmark.errors import UserError
from benchmark.evidence.pins import pin_of, read_pins
from benchmark.launch import lease as leases
from benchmark.launch import worker
from benchmark.launch.local import run_here
from benchmark.launch.spec import Spec
from benchmark.plan.suite import Planned
from benchmark.records.record import Record
from benchmark.records.store import Store, Stored, pack_side
from benchmark.runs import checkpoint
from benchmark.runs.execute import execute
from benchmark.training.environment import Environment
from benchmark.training.weights import write_weights
from tests.attack.common import SEED, times
from tests.attack.faults import DEATH, KINDS, Fault, Strike, each_fault, files, intact, made, watched
from tests.conftest import SUITE, make_context, tiny
from tests.launch.common import HOW, SHORT
from tests.records.made import add
from tests.runs.forked import end_of, in_child

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def told() -> Iterator[None]:
    yield
    print(f"\nfaults: {sum(made.values())}, PRUNEBENCH_ATTACK_SEED={SEED}")
    for what, count in sorted(made.items()):
        print(f"  {what}: {count}")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, environment: Environment) -> tuple[Store, Stored]:
    context = make_context(tmp_path_factory.mktemp("one"), environment)
    return context.store, execute(tiny("one_shot", **SHORT), context)


def test_a_record_with_its_side_and_weights(one: tuple[Store, Stored], tmp_path: Path) -> None:
    stored = one[1]
    side, packed = pack_side({"curves": [], "journal": [], "bits": "another"})
    network = torch.nn.Linear(200, 200)
    record = stored.record.model_copy(update={"side": side, "finished": "2999-01-01T00:00:00+00:00"})
    shutil.copytree(one[0].root, before := tmp_path / "before")

    def work(root: Path) -> None:
        write_weights(network, Store(root).weights("abc"))
        Store(root).add(record, packed)

    shutil.copytree(before, full := tmp_path / "full")
    work(full)
    old, new = files(before), files(full)
    for root, kind, where in each_fault("record", before, work):
        intact(root, old, new, kind, where)
        store = Store(root)
        for found in store.of(record.id):
            store.side(found)
        assert len(store.of(record.id)) in (1, 2), where
        assert not store.left_out, where
        work(root)
        assert files(root) == new, f"{where}: a later one is disturbed"
        store.sweep(record.id)
        assert not list((root / "records").rglob("*.tmp")), where


def test_a_checkpoint(tmp_path: Path) -> None:
    before, said = tmp_path / "before", list[str]()
    states = [{"progress": "{}", "at": torch.full((9000,), float(number))} for number in range(3)]

    def at(root: Path) -> float:
        state = checkpoint.load(root, said.append)
        assert state is not None
        return float(state["at"][0])

    for state in states[:2]:
        checkpoint.save(before, state)
    old = files(before)
    for root, kind, where in each_fault("checkpoint", before, lambda root: checkpoint.save(root, states[2])):
        assert at(root) in (1.0, 2.0), where
        assert any(content in old.values() for content in files(root).values()), f"{where}: the one before is lost"
        if kind != DEATH and where.endswith(": "):
            assert at(root) == 2.0, f"{where}: nothing was said"
        checkpoint.save(root, states[2])
        assert (at(root), len(files(root))) == (2.0, 2), where
    assert not said, "none is damaged"


class Here:
    """Draws once, in this process; the pictures of one store are always the same."""

    def __init__(self) -> None:
        self.drawn: dict[str, bytes] = {}

    def submit(self, do: Callable[..., dict[str, bytes]], *given: Any) -> "Future[dict[str, bytes]]":
        self.drawn = self.drawn or do(*given)
        future: Future[dict[str, bytes]] = Future()
        future.set_result(self.drawn)
        return future


def typed(*words: object) -> None:
    """As a command; what it says where it fails is the error."""
    err = StringIO()
    try:
        with redirect_stdout(StringIO()), redirect_stderr(err):
            main([str(word) for word in words])
    except SystemExit as end:
        if end.code:
            said = [line for line in err.getvalue().splitlines() if "prunebench: left out: " not in line]
            raise UserError("\n".join(said)) from None


def test_a_published_table(tmp_path: Path, template: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def artist() -> Iterator[Here]:
        yield here

    monkeypatch.setattr(table, "_artist", artist)
    (suite := tmp_path / "mine.toml").write_text(SUITE)
    store = Store(before := tmp_path / "before")
    for top1, more in ((80.0, 0), (90.0, 1)):
        here = Here()
        for seed in range(2):
            for p in table.plan(table.read(str(suite), ())):
                if p.cell.seed == seed == more:
                    add(store, template, p.cell, top1 + len(p.cell.method.name) / 10)
        if not more:
            typed("table", suite, "--out", before)

    def work(root: Path) -> None:
        typed("table", suite, "--out", root)

    shutil.copytree(before, full := tmp_path / "full")
    work(full)
    old, new = files(before), files(full)
    assert sum(old[path] != new[path] for path in old) >= 3
    for root, kind, where in each_fault("table", before, work):
        intact(root, old, new, kind, where)
        work(root)
        assert files(root) == new, f"{where}: a later one is disturbed"


def test_a_pin_file(one: tuple[Store, Stored], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored, before = one[1], tmp_path / "before"
    cell, other = stored.record.cell, tiny("agp")
    monkeypatch.setattr(pin, "plan", lambda suite, tier: [Planned(cell, "t", "one_shot", 0.0, "matched")])
    monkeypatch.setattr(pins_module, "why_not", lambda record: "")
    shutil.copytree(one[0].root, before / "mine")
    mine = pin_of(stored, one[0])
    pins_module.write([replace(mine, top1=1.0), replace(mine, cell=other.id, name="agp")], before / "quick.csv")

    def work(root: Path) -> None:
        monkeypatch.setattr(pins_module, "FOLDER", root)
        monkeypatch.chdir(root)
        typed("pin", "quick", "--out", root / "mine")

    shutil.copytree(before, full := tmp_path / "full")
    work(full)
    old, new = files(before), files(full)
    assert len(new) > len(old)
    for root, kind, where in each_fault("pin", before, work):
        monkeypatch.chdir(tmp_path)
        intact(root, old, new, kind, where)
        pins = read_pins(root / "quick.csv")
        assert {pin.cell for pin in pins} == {cell.id, other.id}, where
        published = Store(root / "results" / "published")
        if all(pin.top1 != 1.0 for pin in pins if pin.cell == cell.id):
            assert published.of(cell.id), f"{where}: a pin names a record that is not there"
        work(root)
        assert files(root) == new, f"{where}: a later one is disturbed"


def test_a_whole_run(one: tuple[Store, Stored], tmp_path: Path) -> None:
    """From the spec to the record; the next launch makes up for whatever failed."""
    stored, chance = one[1], random.Random(f"{SEED} run")
    root, said_in = tmp_path / "faulty", tmp_path / "said"

    def launch(name: str, strike: Strike) -> tuple[int, str]:
        """In a process of its own, as typed; how it ended and what went wrong by its own account."""

        def do() -> None:
            leases.TORN, worker.POLL = 0.2, 0.05
            spec = Spec(stored.record.cell, replace(HOW, launch=name, save_every=0.0))
            with said_in.open("w") as out, redirect_stdout(out), redirect_stderr(out), watched(root, strike):
                try:
                    summary = run_here([spec], Store(root), budget=None, debug=False, to_stderr=False)
                    print("done" if summary.done else f"not done {summary}")
                except (UserError, OSError) as error:
                    print(f"refused {error}")

        code = end_of(in_child(do))
        return code, said_in.read_text()

    root.mkdir()
    calls: list[str] = []

    def count(call: str, path: Path) -> None:
        with (tmp_path / "calls").open("a") as file:
            file.write(f"{call}\n")

    assert launch("a", count)[0] == 0
    calls = (tmp_path / "calls").read_text().split()
    print(f"run: {len(calls)} calls, PRUNEBENCH_ATTACK_SEED={SEED}: {dict(Counter(calls))}")
    every = [(at, kind) for at in range(1, len(calls) + 1) for kind in KINDS]
    for at, kind in chance.sample(every, min(len(every), times(30, len(every)))):
        shutil.rmtree(root)
        root.mkdir()
        code, said = launch("a", Fault(at, kind))
        made[f"{calls[at - 1]}: {kind}"] += 1
        where = f"call {at} of {len(calls)} ({calls[at - 1]}): {kind}: {said}"
        assert code == (-9 if kind == DEATH else 0), where
        lines = said.splitlines()
        if kind != DEATH and lines[-1] != "done":
            why = [line for line in lines if line.startswith(("failed", "left", "refused"))]
            assert len(why) == 1, where
            assert str(root) in why[0], f"names no path: {where}"
        elif kind != DEATH:
            assert len(Store(root).of(stored.record.id)) == 1, where
        code, said = launch("b", lambda call, path: None)
        assert (code, said.splitlines()[-1]) == (0, "done"), f"{where}; then {said}"
        (found,) = Store(root).of(stored.record.id)
        assert found.record.network.weights_hash == stored.record.network.weights_hash, where
        assert found.record.side == stored.record.side, where
