"""Garbage in a run folder: it is passed over, what killed writers left is removed, and nobody stops for it."""

import os
import time
from pathlib import Path

import pytest

from benchmark.commands.status import show_status
from benchmark.launch import slurm
from benchmark.launch.lease import Holder, Watch, state
from benchmark.launch.local import summary_of
from benchmark.launch.shutdown import StopAsked
from benchmark.launch.statuses import places
from benchmark.records.matrix import Entry
from benchmark.training.environment import Environment
from tests.conftest import make_context, tiny
from tests.launch.common import SHORT, asked, go


@pytest.mark.parametrize("garbage", [b"", b"5", b"[]", b'{"host": "a", "pid": 1}', b"\xff\xfe", b"\0" * 9])
def test_garbage_in_one_run_folder_stops_nobody(garbage: bytes, tmp_path: Path, environment: Environment) -> None:
    context = make_context(tmp_path, environment)
    specs = asked([tiny("one_cycle", seed=seed, **SHORT) for seed in range(2)], context.store)
    folder = context.store.run_folder(specs[0].cell.id)
    for name in ("lease.0001", "now.json", "slurm.json"):
        (folder / name).write_bytes(garbage)
    assert state(folder).taken, "whose it is nobody knows; it is waited for"
    assert slurm.job_of(specs[0].cell.id, context.store) == ""
    assert Watch(stale=0).claim(folder, Holder.me("b")) or Watch(stale=0).claim(folder, Holder.me("b"))
    go(specs[1:], context)
    assert summary_of(specs, context.store, "").done == [specs[1].cell.name]


@pytest.mark.parametrize(
    "garbage", [b"5\n[]\nnull\n", b'{"event": "start"}\n', b'{"event": "end", "when": NaN}\n', b"\xff\0"]
)
def test_garbage_beside_checkpoints_and_among_attempts_is_passed_over(
    garbage: bytes, tmp_path: Path, environment: Environment
) -> None:
    context = make_context(tmp_path, environment)
    specs = asked([tiny("one_cycle", **SHORT)], context.store)
    folder = context.store.run_folder(specs[0].cell.id)
    (folder / "attempts.jsonl").write_bytes(garbage)
    (folder / "checkpoint-of-mine").write_bytes(garbage)
    (folder / "checkpoint-000007").mkdir()
    assert show_status(specs[0].cell.id, "full", context.store.root, ())["lost seconds"] == 0
    go(specs, context)
    assert summary_of(specs, context.store, "").done == [specs[0].cell.name]
    assert context.store.of(specs[0].cell.id)[0].record.how.attempts == 1
    assert (folder / "checkpoint-of-mine").read_bytes() == garbage


def test_odd_things_in_a_run_folder_stop_nobody(tmp_path: Path, environment: Environment) -> None:
    context = make_context(tmp_path, environment)
    specs = asked([tiny("one_cycle", seed=seed, **SHORT) for seed in range(3)], context.store)
    first, second = (context.store.run_folder(spec.cell.id) for spec in specs[:2])
    (first / "lease.0001").mkdir()
    (second / "lease.²").write_text("{}")
    (second / "now.json").write_text('{"left": "x"}')
    (second / "log").write_bytes(b"\xff\n")
    show_status(specs[1].cell.id, "full", context.store.root, ())
    places([Entry(spec.cell.id, spec.cell, "pending") for spec in specs], context.store)
    go(specs, context, StopAsked(20))
    assert set(summary_of(specs, context.store, "").done) >= {spec.cell.name for spec in specs[1:]}


def test_what_killed_writers_left_is_removed_by_whoever_has_the_lease(tmp_path: Path, environment: Environment) -> None:
    context = make_context(tmp_path, environment)
    specs = asked([tiny("one_cycle", **SHORT)], context.store)
    run, id = context.store.run_folder(specs[0].cell.id), specs[0].cell.id
    records, kept = context.store.root / "records" / id, context.store.weights("").parent
    for folder in (records, kept):
        folder.mkdir(parents=True)
    mine = [run / ".checkpoint-000001.ab.tmp", run / ".now.7.tmp", records / ".x.json.ab.tmp"]
    old, others = [run / ".spec.json.ab.tmp", kept / ".x.ab.tmp"], [run / ".slurm.json.ab.tmp", kept / ".y.ab.tmp"]
    for path in (*mine, *old, *others):
        path.write_bytes(b"torn")
    for path in old:
        os.utime(path, (time.time() - 90000,) * 2)
    go(specs, context)
    assert summary_of(specs, context.store, "").done == [specs[0].cell.name]
    assert not any(path.exists() for path in (*mine, *old))
    assert all(path.exists() for path in others), "somebody may be writing them now"
