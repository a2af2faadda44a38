"""Who has a cell: one, and as long as it lives."""

import os
import signal
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.launch import lease as leases
from benchmark.launch.lease import Holder, LeaseLost, Watch, state
from tests.runs.forked import end_of, in_child


def test_of_many_who_want_it_one_gets_it(tmp_path: Path) -> None:
    for number in range(8):
        folder = tmp_path / str(number)
        start = time.time() + 0.05

        def race(folder: Path = folder, start: float = start) -> None:
            time.sleep(max(0.0, start - time.time()))
            got = Watch().claim(folder, Holder.me("a"))
            (folder / f"tried.{os.getpid()}").touch()
            while len(list(folder.glob("tried.*"))) < 4:  # the winner lives until all have tried
                time.sleep(0.01)
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


def test_no_worker_lives_through_the_next_boot_of_its_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_machine", lambda: "one")
    me = Holder.me("a")
    before = replace(me, namespace="the boot before pid:[1]")
    for number, other in enumerate([replace(before, machine="two"), replace(before, host="far"), before]):
        folder = tmp_path / str(number)
        assert Watch().claim(folder, other)
        taken = Watch().claim(folder, me)
        assert (taken is not None) == (other is before), "another machine's next boot is not ours to know"
    monkeypatch.setattr(leases, "_machine", lambda: "")
    assert not replace(before, machine="").is_dead(), "nothing tells machines apart"


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


def test_a_torn_lease_is_taken_over_long_before_a_silent_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1000.0
    monkeypatch.setattr(leases.time, "monotonic", lambda: clock)
    (tmp_path / "lease.0001").write_text('{"host": "a", "pi')
    watch = Watch()
    assert watch.claim(tmp_path, Holder.me("b")) is None
    clock += leases.TORN + 1
    assert watch.claim(tmp_path, replace(Holder.me("b"), namespace="another machine", machine="another")) is not None
    assert watch.claim(tmp_path, Holder.me("c")) is None
    clock += leases.TORN + 1
    assert watch.claim(tmp_path, Holder.me("c")) is None, "it can be read: it is waited for"


def test_a_lease_that_cannot_be_written_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:

        def full(content: object) -> str:
            raise OSError(28, "No space left on device")

        patch.setattr(leases.json, "dumps", full)
        with pytest.raises(UserError, match=r"lease\.0001: cannot be written"):
            Watch().claim(tmp_path, Holder.me("a"))
    assert Watch().claim(tmp_path, Holder.me("b")) is not None
