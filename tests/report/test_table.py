"""A table says what the records say: derived columns computed, conditions never mixed, bytes repeatable."""

from pathlib import Path
from statistics import fmean, stdev

import pandas
import pytest

from benchmark.commands.table import check_table, make_table
from benchmark.errors import UserError
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records import matrix
from benchmark.records.record import Record
from benchmark.records.rows import rows_of
from benchmark.records.store import Store, pack_side
from benchmark.report.pictures import TradeOff, pictures_of
from benchmark.report.rendering import render
from benchmark.report.table import tables_of
from benchmark.runs import estimate
from benchmark.runs.execute import execute
from benchmark.training.environment import Environment
from tests.conftest import SUITE, make_context


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, environment: Environment) -> Record:
    """One real record, to make others from."""
    path = tmp_path_factory.mktemp("suite") / "mine.toml"
    path.write_text(SUITE)
    context = make_context(path.parent, environment)
    return execute(plan(read(str(path)), only="method=one_cycle,seed=0")[0].cell, context).record


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(SUITE)
    return path


HOW = ("device", "packed", "data_hash", "threads")
TOP1 = {"dense": (90.0, 92.0), "one_cycle": (85.0, 86.0), "one_shot": (80.0, 84.0)}


def fill(store: Store, suite: Path, template: Record, **changes: object) -> None:
    """A record for every cell of the suite, with the accuracies of TOP1."""
    for planned in plan(read(str(suite))):
        top1 = TOP1[planned.cell.method.name][planned.cell.seed]
        add(store, template, planned.cell, top1, **changes)


def add(store: Store, template: Record, cell, top1: float, *, hours: float = 2.0, **how: object) -> None:  # type: ignore[no-untyped-def]
    curve = [{"kind": "train", "at": at, "removed": at * 0.45, "test": top1} for at in range(3)]
    side, packed = pack_side({"curves": curve, "journal": [], "bits": ""})
    removed = cell.remove.amount + float(str(how.get("beyond", 0.0))) if cell.remove else 0.0
    cost = template.cost.model_copy(update={"train": 1.0 if cell.method.name == "dense" else hours})
    code = template.code.model_copy(
        update={"dirty": False} | {k: v for k, v in how.items() if k in ("engine", "method")}
    )
    record = template.model_copy(
        update={
            "id": cell.id,
            "cell": cell,
            "side": side,
            "outcome": template.outcome.model_copy(update={"top1": top1}),
            "network": template.network.model_copy(update={"removed": removed, "weights_hash": f"{cell.id} {top1}"}),
            "cost": cost,
            "code": code,
            "how": template.how.model_copy(update={k: v for k, v in how.items() if k in HOW}),
            "ending": str(how.get("ending", "done")),
            "finished": str(how.get("finished", "2026-01-01T00:00:00+00:00")),
        }
    )
    store.add(record, packed)


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


def test_the_three_formats_hold_the_same_numbers(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    tables = tables_of(read(str(suite)), plan(read(str(suite))), store)
    md, tex, csv = (render(tables, f) for f in ("md", "tex", "csv"))
    assert "| 90 % weights | One-shot  | **82.00 ± 2.83** | -9.00" in md
    assert r"90 \% weights & One-shot & \bfseries 82.00(283) & -9.00 & 90.0 & " in tex
    assert ",one_shot,weights,0.9,0.9,2,2,82,2.82843," in csv
    with pytest.raises(UserError, match="unknown format 'html'; known: csv, md, tex"):
        render(tables, "html")


def test_parquet_holds_what_the_csv_holds(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    assert make_table(str(suite), "parquet", "full", (), tmp_path, ()) == f"{tmp_path / 'tables' / 'mine.parquet'}\n"
    text = make_table(str(suite), "csv", "full", (), tmp_path, ())
    frame = pandas.read_parquet(tmp_path / "tables" / "mine.parquet")
    assert list(frame.columns) == text.splitlines()[0].split(",")
    assert frame.set_index("method")["top1_mean"].to_dict() == {name: fmean(values) for name, values in TOP1.items()}
    assert frame["n"].dtype.kind == "i"


def test_equal_records_give_equal_bytes_whatever_order_they_came_in(
    tmp_path: Path, suite: Path, template: Record
) -> None:
    texts = set()
    for name, reverse in (("a", False), ("b", True)):
        store = Store(tmp_path / name)
        for planned in sorted(plan(read(str(suite))), key=lambda p: p.cell.id, reverse=reverse):
            add(store, template, planned.cell, TOP1[planned.cell.method.name][planned.cell.seed])
        texts.add("".join(render(tables_of(read(str(suite)), plan(read(str(suite))), store), f) for f in ("md", "csv")))
    assert len(texts) == 1


def test_accuracy_is_weighed_against_what_differs(tmp_path: Path, suite: Path, template: Record) -> None:
    """Where every method leaves and costs the same there is nothing to weigh."""
    text = suite.read_text().replace("[0.9]", "[0.5, 0.9]")
    suite.write_text(text)
    planned = plan(read(str(suite)))
    for name, dearer in (("same", 1), ("dearer", 2)):
        store = Store(tmp_path / name)
        for each in planned:
            top1 = 90.0 - (10 * each.cell.remove.amount if each.cell.remove else 0)
            times = dearer if each.label == "one_shot" else 1
            cost = template.cost.model_copy(update={"training_macs": times * 10**9})
            add(store, template.model_copy(update={"cost": cost}), each.cell, top1)
        pictures = pictures_of(tables_of(read(str(suite)), planned, store), store)
        assert ("mine-first-resnet_tiny-weights-trade-off" in pictures) == (name == "dearer")
    found = pictures["mine-first-resnet_tiny-weights-trade-off"]
    assert isinstance(found, TradeOff)
    assert found.title.endswith("50 %, 90 % of weights removed")
    assert (found.dense, [offer.label for offer in found.offers]) == (90.0, ["one_cycle", "one_shot"])
    assert [offer.top1 for offer in found.offers] == [[85.0, 81.0]] * 2
    assert [offer.takes for offer in found.offers] == [{"MACs to train, × the dense network's": [n, n]} for n in (1, 2)]


def test_a_table_that_was_touched_is_found_out(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    make_table(str(suite), "", "full", (), tmp_path, ())
    assert "equal what the records give" in check_table(str(suite), "", "full", (), tmp_path, ())
    assert (tmp_path / "figures" / "mine-first-resnet_tiny.svg").is_file()
    path = tmp_path / "tables" / "mine.md"
    path.write_text(path.read_text().replace("82.00", "88.00"))
    with pytest.raises(UserError, match=r"mine\.md: not what its records give"):
        check_table(str(suite), "", "full", (), tmp_path, ())


def test_all_finds_every_suite_with_records_and_files_that_nothing_makes(tmp_path: Path, template: Record) -> None:
    store = Store(tmp_path)
    planned = plan(read("quick"), only="table=quick-weights,method=dense")
    add(store, template, planned[0].cell, 50.0)
    make_table("all", "", "full", (), tmp_path, ())
    assert (tmp_path / "tables" / "quick.md").is_file()
    assert "equal what" in check_table("all", "", "full", (), tmp_path, ())
    (tmp_path / "tables" / "old.md").write_text("of records long gone")
    with pytest.raises(UserError, match=r"old\.md: no record gives it"):
        check_table("all", "", "full", (), tmp_path, ())


def test_devices_data_and_code_are_never_mixed(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    cell = next(p.cell for p in plan(read(str(suite)), only="method=one_shot,seed=1"))
    for change in ({"device": "cuda"}, {"data_hash": "0" * 16}, {"engine": "other"}):
        add(store, template, cell, 50.0, finished="2026-02-01T00:00:00+00:00", **change)
    row = {row.label: row for row in rows_of(plan(read(str(suite))), store)}["one_shot"]
    assert row.top1 == 82.0, "two seeds under one condition come before one newer under another"


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


def test_hours_of_two_kinds_of_machine_are_no_ratio(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    for planned in plan(read(str(suite))):
        other = {} if planned.label == "dense" else {"threads": 8}
        add(store, template, planned.cell, 80.0, **other)
    rows = rows_of(plan(read(str(suite))), store)
    assert [row.times_dense_hours for row in rows] == [1.0, None, None]


def test_two_versions_of_a_method_are_never_one_row(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    cell = next(p.cell for p in plan(read(str(suite)), only="method=one_shot,seed=1"))
    add(store, template, cell, 20.0, method="other", finished="2026-02-01T00:00:00+00:00")
    row = {row.label: row for row in rows_of(plan(read(str(suite))), store)}["one_shot"]
    assert len({s.record.code.method for s in row.records}) == 1


def test_a_table_of_diverged_runs_can_be_drawn(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template, ending="diverged")
    text = make_table(str(suite), "", "full", (), tmp_path, ())
    assert "2 diverged" in text


def test_a_replicate_replaces_its_elder(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    cell = next(p.cell for p in plan(read(str(suite)), only="method=one_shot,seed=1"))
    add(store, template, cell, 86.0, finished="2026-02-01T00:00:00+00:00")
    row = {row.label: row for row in rows_of(plan(read(str(suite))), store)}["one_shot"]
    assert (row.n, row.top1) == (2, 83.0), "n counts seeds"


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


@pytest.mark.parametrize("damage", ["missing", "torn"])
def test_a_damaged_side_costs_its_picture_and_nothing_else(
    damage: str, tmp_path: Path, suite: Path, template: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    whole = make_table(str(suite), "", "full", (), tmp_path, ())
    for path in (tmp_path / "records").glob("*/*.side.gz"):
        path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes()[:-9])
    assert make_table(str(suite), "", "full", (), tmp_path, ()) == whole
    assert ".side.gz: " + ("missing" if damage == "missing" else "its bytes are not") in capsys.readouterr().err


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


def test_odd_labels_break_no_table(tmp_path: Path, suite: Path, template: Record) -> None:
    odd = r"a|b$c^d~e{f}\\g"
    suite.write_text(SUITE.replace('"one_shot"', f'{{ name = "one_shot", as = "{odd}" }}'))
    fill(Store(tmp_path), suite, template)
    lines = make_table(str(suite), "md", "full", (), tmp_path, ()).splitlines()
    grid = [line.replace(r"\|", "") for line in lines if line.startswith("|")]
    assert any("a\\|b$c^d~e{f}\\g" in line for line in lines)
    assert len({line.count("|") for line in grid[:4]}) == 1
    tex = make_table(str(suite), "tex", "full", (), tmp_path, ())
    assert r"a|b\$c\textasciicircum{}d\textasciitilde{}e\{f\}\textbackslash{}g" in tex
    suite.write_text(SUITE.replace('name = "first"', 'name = "../../first"'))
    with pytest.raises(UserError, match="name"):
        read(str(suite))


def test_no_records_no_table(tmp_path: Path, suite: Path) -> None:
    with pytest.raises(UserError, match=r"no records of \S*mine"):
        make_table(str(suite), "md", "full", (), tmp_path, ())
