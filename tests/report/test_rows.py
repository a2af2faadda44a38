"""Rows say what the records say: derived columns computed, conditions never mixed, flags raised."""

from pathlib import Path
from statistics import fmean, stdev

import pytest

from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records import matrix
from benchmark.records.record import Record
from benchmark.records.rows import rows_of
from benchmark.records.store import Store, pack_side
from benchmark.runs import estimate
from tests.conftest import SUITE
from tests.records.made import TOP1, add, fill


def test_mean_deviation_drop_and_hours_are_computed(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    rows = {row.label: row for row in rows_of(plan(read(str(suite))), store)}
    assert list(rows) == ["dense", "one_cycle", "one_shot"]
    shot = rows["one_shot"]
    assert (shot.n, shot.top1) == (2, fmean(TOP1["one_shot"]))
    assert shot.std == pytest.approx(stdev(TOP1["one_shot"]))
    assert shot.drop == pytest.approx(91.0 - 82.0)
    assert shot.times_dense_hours == pytest.approx(2.0)
    assert shot.flags == ()


def test_macs_to_train_are_told_apart(tmp_path: Path, suite: Path, template: Record) -> None:
    store, planned = Store(tmp_path), plan(read(str(suite)), only="method=dense+one_shot,seed=0")
    macs = {"recover": 0.1, "training_macs": 1400, "search_macs": 200, "pretrain_macs": 100}
    point = {"at": 0, "removed": 0.0}
    curve = [
        point | {"kind": kind, "macs": of} for kind, of in (("train", 4), ("train", 4), ("recover", 2), ("train", 4))
    ]
    side, packed = pack_side({"curves": curve, "journal": [], "bits": ""})
    for cell, cost in zip((p.cell for p in planned), ({"training_macs": 2000}, macs), strict=True):
        changed = {"id": cell.id, "cell": cell, "side": side, "cost": template.cost.model_copy(update=cost)}
        store.add(template.model_copy(update=changed), packed)
    rows = {row.label: row for row in rows_of(planned, store)}
    assert rows["one_shot"].macs_parts == pytest.approx((0.05, 0.6, 0.1, 0.1))
    assert rows["one_shot"].times_dense_macs == pytest.approx(0.85), "the same in one number"
    assert rows["dense"].macs_parts == (0, 1, 0, 0)
    for path in (tmp_path / "records").glob("*/*.side.gz"):
        path.unlink()
    row = rows_of(planned, Store(tmp_path))[1]
    assert (row.macs_parts, row.times_dense_macs) == (None, pytest.approx(0.85)), "no curves, no parts"


def test_devices_data_and_code_are_never_mixed(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    cell = next(p.cell for p in plan(read(str(suite)), only="method=one_shot,seed=1"))
    for change in ({"device": "cuda"}, {"data_hash": "0" * 16}, {"engine": "other"}):
        add(store, template, cell, 50.0, finished="2026-02-01T00:00:00+00:00", **change)
    row = {row.label: row for row in rows_of(plan(read(str(suite))), store)}["one_shot"]
    assert row.top1 == 82.0, "two seeds under one condition come before one newer under another"


def test_two_versions_of_a_method_are_never_one_row(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    cell = next(p.cell for p in plan(read(str(suite)), only="method=one_shot,seed=1"))
    add(store, template, cell, 20.0, method="other", finished="2026-02-01T00:00:00+00:00")
    row = {row.label: row for row in rows_of(plan(read(str(suite))), store)}["one_shot"]
    assert len({s.record.code.method for s in row.records}) == 1


def test_a_replicate_replaces_its_elder(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    cell = next(p.cell for p in plan(read(str(suite)), only="method=one_shot,seed=1"))
    add(store, template, cell, 86.0, finished="2026-02-01T00:00:00+00:00")
    row = {row.label: row for row in rows_of(plan(read(str(suite))), store)}["one_shot"]
    assert (row.n, row.top1) == (2, 83.0), "n counts seeds"


def test_a_diverged_dense_run_is_no_reference(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    dense = plan(read(str(suite)), only="method=dense,seed=1")[0].cell
    add(store, template, dense, 10.0, ending="diverged", finished="2026-02-01T00:00:00+00:00")
    row = {row.label: row for row in rows_of(plan(read(str(suite))), store)}["one_shot"]
    assert row.drop == pytest.approx(9.0)


def test_a_drop_is_taken_over_common_seeds(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    for planned in plan(read(str(suite))):
        if (planned.label, planned.cell.seed) != ("dense", 1):
            add(store, template, planned.cell, TOP1[planned.label][planned.cell.seed])
    row = {row.label: row for row in rows_of(plan(read(str(suite))), store)}["one_shot"]
    assert row.drop == pytest.approx(90.0 - 80.0)
    assert row.flagged("dense lacks seeds")


def test_hours_of_two_kinds_of_machine_are_no_ratio(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    for planned in plan(read(str(suite))):
        other = {} if planned.label == "dense" else {"threads": 8}
        add(store, template, planned.cell, 80.0, **other)
    rows = rows_of(plan(read(str(suite))), store)
    assert [row.times_dense_hours for row in rows] == [1.0, None, None]


@pytest.mark.parametrize("gpu", [False, True])
def test_hours_of_a_gpu_are_no_estimate_for_a_machine_without_one(
    tmp_path: Path, suite: Path, template: Record, monkeypatch: pytest.MonkeyPatch, gpu: bool
) -> None:
    store, planned = Store(tmp_path), plan(read(str(suite)))
    add(store, template, planned[0].cell, 90.0, hours=2.0, device="cuda")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / ("nvidia0" if gpu else "nvidiactl")).touch()
    monkeypatch.setattr(estimate, "DEVICES", tmp_path / "dev")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    entries = [matrix.Entry(planned[1].id, planned[1].cell, "pending")]
    assert bool(estimate.known_hours(entries, store, estimate.likely("auto"))) == gpu
    assert estimate.known_hours(entries, store, estimate.likely("cuda")), "who asks for a GPU is told of one"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert estimate.likely("auto") == "cpu"


def test_flags_say_what_a_reader_must_know(tmp_path: Path, suite: Path, template: Record) -> None:
    suite.write_text(SUITE.replace("resnet_tiny = 10.0", "resnet_tiny = 95.0"))
    store = Store(tmp_path)
    for planned in plan(read(str(suite)), only="seed=0"):
        add(store, template, planned.cell, TOP1[planned.cell.method.name][0], packed=2)
    rows = rows_of(plan(read(str(suite))), store)
    names = {"dense below floor", "seeds missing", "hours shared"}
    assert all(names <= {flag.name for flag in row.flags} for row in rows)


def test_copies_of_one_run_under_several_seeds_are_flagged(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    assert not any(row.flags for row in rows_of(plan(read(str(suite))), store))
    copied, side = Store(tmp_path / "copied"), pack_side({"curves": [], "journal": []})
    for planned in plan(read(str(suite)), only="method=dense"):
        asked = {"id": planned.id, "cell": planned.cell, "side": side[0]}
        copied.add(template.model_copy(update=asked), side[1])
    (row,) = rows_of(plan(read(str(suite))), copied)
    assert row.flagged("one network under several seeds")


@pytest.mark.parametrize(("removed", "flag"), [(0.88, "target missed"), (0.92, "target passed")])
def test_a_network_off_its_target_is_flagged(
    tmp_path: Path, suite: Path, template: Record, removed: float, flag: str
) -> None:
    store = Store(tmp_path)
    cell = next(p.cell for p in plan(read(str(suite)), only="method=one_shot,seed=0"))
    off = template.model_copy(update={"network": template.network.model_copy(update={"removed": removed})})
    side, packed = pack_side({})
    store.add(off.model_copy(update={"id": cell.id, "cell": cell, "side": side}), packed)
    (row,) = rows_of(plan(read(str(suite))), store)
    assert row.flagged(flag)
    assert row.flagged("no dense reference")
    assert row.drop is None
