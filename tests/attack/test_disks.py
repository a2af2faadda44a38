"""Disks, clocks and workers that are not as they should be: full, without inodes, read-only, set back, paused.

A full disk while a cell runs stands in tests/test_store.py, a clock set back under one lease in
tests/launch/test_lease.py.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from benchmark.launch import lease as leases
from benchmark.launch import worker
from benchmark.launch.lease import Holder, Watch, state
from benchmark.launch.progress import Display
from benchmark.launch.spec import Spec
from benchmark.launch.worker import standing_of
from benchmark.records.store import Store, Stored
from benchmark.runs import attempts as tries
from benchmark.runs.attempts import Attempts
from benchmark.runs.execute import execute
from benchmark.runs.run import Run
from benchmark.training.environment import Environment
from tests.attack.common import SEED, cases
from tests.attack.faults import watched
from tests.conftest import SUITE, make_context, recipe, tiny
from tests.launch.common import HOW, SHORT, go
from tests.runs.forked import end_of, in_child, prunebench

pytestmark = pytest.mark.slow
AFTER = "record"  # paused once it has looked for the last time: two records then, and they are equal
LONGER = {"recipe": recipe(epochs=4, epoch_images=256)}


@contextmanager
def disk(at: Path, options: str) -> Iterator[None]:
    at.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(at)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=True)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, environment: Environment) -> tuple[Store, Stored]:
    context = make_context(tmp_path_factory.mktemp("one"), environment)
    return context.store, execute(tiny("one_shot", **LONGER), context)


@pytest.mark.parametrize("what", ["read-only", "full", "no inodes"])
def test_each_verb_says_in_one_line_what_cannot_be_written(what: str, tmp_path: Path, environment: Environment) -> None:
    (suite := tmp_path / "mine.toml").write_text(SUITE)
    context = make_context(tmp_path, environment)
    small = tmp_path / "small"
    with disk(small, "nr_inodes=20" if what == "no inodes" else "size=300k"):
        store = small / "store"
        shutil.copytree(execute(tiny("one_cycle", **SHORT), context).path.parents[2], store)
        before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
        if what == "full":
            (small / "filler").write_bytes(b"x" * shutil.disk_usage(small).free)
        elif what == "no inodes":
            for number in range(os.statvfs(small).f_ffree):
                (small / f"filler{number}").touch()
        else:
            subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
        for words in (
            ("run", suite, "--out", small / "results", "--only", "method=one_shot,seed=0", "--device", "cpu"),
            ("run", suite, "--out", store, "--only", "method=one_shot,seed=0", "--device", "cpu"),
            ("claims", "--out", store),
            ("report", "--out", "results/published", "--to", small / "site"),
        ):
            said = prunebench(*words)
            where = f"{what}: {words}: {said.returncode}\n{said.stdout}{said.stderr}"
            assert "Traceback" not in said.stdout + said.stderr, where
            if words[0] == "claims":  # reads only
                assert said.returncode == 0, where
                continue
            assert said.returncode != 0, where
            (line,) = [each for each in (said.stdout + said.stderr).splitlines() if str(small) in each]
            print(f"{what}: {line}")
        assert {path: path.read_bytes() for path in before} == before


def test_a_clock_set_back_between_two_attempts(
    one: tuple[Store, Stored], tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = one[1]
    context = make_context(tmp_path, environment, save_every=0.0)
    now = time.time
    for number, chance in cases("clock", 3, 30):
        root = tmp_path / str(number)
        here = replace(context, store=Store(root))
        steps = iter(range(1, 99))

        def dies(run: Run, steps: Iterator[int] = steps, at: int = chance.randint(1, 6)) -> None:
            if next(steps) == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            execute(stored.record.cell, replace(here, watch=dies))
        back = chance.choice([1.0, 3600.0, 4e8, 2e9])
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda back=back: max(0.0, now() - back))
            record = execute(stored.record.cell, here).record
        assert record.network.weights_hash == stored.record.network.weights_hash
        assert record.side == stored.record.side
        assert record.how.attempts == 2
        assert 0 <= record.cost.lost * 3600 < 60, f"{back}: {record.cost.lost * 3600} s"


def test_a_clock_set_back_between_two_beats_and_two_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = Attempts(tmp_path)
    now = time.time()
    for number, when in enumerate((now, now - 9e8, now + 9e8, now), start=1):
        monkeypatch.setattr(tries.time, "time", lambda when=when: when)
        assert attempts.begin(saved_at=now) == number
        assert attempts.lost_seconds() >= 0


def test_a_clock_set_back_between_two_leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second worker's clock is a year behind: who lives is waited for, who is silent is not."""
    now, monotonic = time.time, 1000.0
    lease = Watch().claim(tmp_path, replace(Holder.me("a"), host="far", namespace="another machine"))
    assert lease
    monkeypatch.setattr(time, "time", lambda: now() - 3e7)
    monkeypatch.setattr(leases.time, "monotonic", lambda: monotonic)
    watch = Watch(stale=60)
    for _ in range(3):
        assert watch.claim(tmp_path, Holder.me("b")) is None
        monotonic += 50
        os.utime(lease.path, (time.time(), time.time() + monotonic))  # a sign of life, by whichever clock
    assert leases.silent_for(tmp_path, state(tmp_path)) >= 0
    assert watch.claim(tmp_path, Holder.me("b")) is None
    monotonic += 61
    assert watch.claim(tmp_path, Holder.me("b")) is not None


@pytest.mark.parametrize("where", ["a step", "a write"])
def test_a_paused_worker_is_replaced_and_woken(
    where: str, one: tuple[Store, Stored], tmp_path: Path, environment: Environment
) -> None:
    """It looks like one on another machine, silent for too long. Woken, it adds nothing and fails nothing."""
    stored = one[1]
    for number, chance in cases(f"paused in {where}", 4, 40):
        context = make_context(tmp_path / str(number), environment, save_every=0.0)
        context.store.root.mkdir(parents=True)
        first, second = (Spec(stored.record.cell, replace(HOW, launch=launch)) for launch in "ab")
        mark = tmp_path / f"paused{number}"
        child = in_child(partial(paused, where, chance, first, context.store.root, mark, partial(go, [first], context)))
        while not mark.exists() and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.01)
        if not mark.exists():
            continue  # done before that moment
        while Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.01)

        def takes_over(second: Spec = second, context: object = context) -> None:
            worker.Watch = partial(Watch, stale=0.3)  # type: ignore[misc, assignment]
            go([second], context)  # type: ignore[arg-type]

        other, at = in_child(takes_over), mark.read_text()
        early = chance.random() < 0.5  # woken while the other is at it, or once that is done
        while early and leases.last_number(context.store.run_folder(stored.record.id)) < 2 and not ended(other):
            time.sleep(0.01)
        code = None if early else end_of(other)
        os.kill(child, signal.SIGCONT)
        codes = end_of(child), end_of(other) if code is None else code
        assert codes == (0, 0), (number, at, codes)
        store, folder = Store(context.store.root), context.store.run_folder(stored.record.id)
        at += f"; SEED={SEED}, case {number}, woken {'early' if early else 'late'}: {(folder / 'log').read_text()}"
        found = store.of(stored.record.id)
        assert len(found) == 1 or (AFTER in at and len(found) == 2), at
        assert {each.record.network.weights_hash for each in found} == {stored.record.network.weights_hash}, at
        assert {each.record.side for each in found} == {stored.record.side}, at
        assert not store.left_out
        for spec in (first, second):
            assert standing_of(spec, store) == ("done", ""), at
        endings = [path.read_text() for path in folder.glob("lease.*.over")]
        assert not any('"failed"' in ending for ending in endings), f"{at}: {endings}"


def ended(child: int) -> bool:
    return Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def paused(where: str, chance: random.Random, spec: Spec, root: Path, mark: Path, work: Callable[[], None]) -> None:
    """In the child: stops itself at a random step, or in a random write before that of its record."""
    leases._namespace = leases._machine = lambda: "another machine"
    last = chance.random() < 0.5  # of some 160 calls that write, the last 36 are weights, record and what follows
    moment = chance.randint(1, 9) if where == "a step" else chance.randint(128, 164) if last else chance.randint(1, 127)
    moments = iter(range(1, 999))

    def tick(at: str) -> None:
        if next(moments) == moment:
            mark.write_text(f"{moment}: {at}")
            os.kill(os.getpid(), signal.SIGSTOP)

    if where == "a step":
        whole = Display.watch

        def watch(self: Display, run: Run) -> None:
            whole(self, run)
            tick("step")

        Display.watch = watch  # type: ignore[method-assign]
        work()
    else:
        with watched(root, lambda call, path: tick(f"{call} {AFTER if of_record(path) else path.name}")):
            work()


def of_record(path: Path) -> bool:
    """From the last look at the lease, which touches it, to the record's own file."""
    in_records = path.parent.name == "records" or (path.parent.parent.name == "records" and ".json" in path.name)
    return in_records or path.name == "lease.0001"
