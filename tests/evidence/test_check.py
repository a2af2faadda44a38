"""The check: defects are caught by counts on any processor; what was not measured never looks like a pass."""

import copy
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

import benchmark.evidence.pins as pins_module
from benchmark.commands import pin
from benchmark.commands.pin import pin_suite
from benchmark.errors import Damaged, UserError
from benchmark.evidence import check as module
from benchmark.evidence import tolerance
from benchmark.evidence.check import Report, check
from benchmark.evidence.comparison import compare
from benchmark.evidence.pins import Pin, pin_of, read_pins, write
from benchmark.plan.cell import Cell
from benchmark.plan.discovery import ROOT
from benchmark.plan.suite import Planned
from benchmark.plan.suite_file import read
from benchmark.pruning import count
from benchmark.pruning.masks import zero_lowest
from benchmark.records.record import Record
from benchmark.records.store import Store, pack_side
from benchmark.report.verdicts import as_json, as_junit, as_markdown
from benchmark.runs import schedules
from benchmark.runs.execute import Context, execute
from methods import one_cycle
from tests.conftest import SUITE, make_context, recipe, tiny
from tests.runs.forked import prunebench

CELL = tiny("one_cycle", amount=0.8)
OTHER = 3  # threads of the "other processor": another fingerprint, other bits, the same counts


def places(*cells: Cell) -> list[Planned]:
    return [Planned(cell, "t", cell.method.name, 0.0, "matched") for cell in cells]


def run(root: Path, environment: Any, cell: Cell = CELL) -> Context:
    context = make_context(root, environment)
    execute(cell, context)
    return context


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory, environment: Any) -> Pin:
    """Made on one processor ..."""
    context = run(tmp_path_factory.mktemp("pinned"), environment)
    (stored,) = context.store.of(CELL.id)
    return pin_of(stored, context.store)


@pytest.fixture
def elsewhere(environment: Any) -> Any:
    """... and checked on another."""
    return replace(environment, threads=OTHER)


def smoke(monkeypatch: pytest.MonkeyPatch, points: float | None = 100.0) -> None:
    monkeypatch.setattr(module, "tolerances_of", lambda suite: {} if points is None else {CELL.model: points})


def judged(context: Context, pin: Pin, *cells: Cell) -> Report:
    return check("s", places(*(cells or (CELL,))), [pin], context.store, smoke=bool(module.tolerances_of("s")))


def test_the_same_code_passes_here_and_on_another_processor(
    tmp_path: Path, environment: Any, elsewhere: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke(monkeypatch)
    here = judged(run(tmp_path / "here", environment), pinned)
    assert [(line.tier, line.verdict, line.why) for line in here.lines] == [
        ("counts", "pass", "equal"),
        ("smoke", "pass", "equal weights"),
    ]
    there = judged(run(tmp_path / "there", elsewhere), replace(pinned, weights="other"))
    assert there.exit == 0
    assert "in another environment, within 100" in there.lines[1].why


DEFECTS = {
    "a mask off by one": "zeros of each layer after each epoch",
    "the wrong beta": "zeros of each layer after each epoch",
    "MACs counted twice": "MACs of the dense network",
    "selection on test": "accuracy reported",
}


def select_on_test(patch: pytest.MonkeyPatch) -> None:
    """The network that is judged and kept is that of an epoch chosen by its test images, not the last one's."""
    import benchmark.runs.result
    import benchmark.runs.work

    look, judge = benchmark.runs.work.evaluate, benchmark.runs.result.evaluate
    seen: list[tuple[float, dict[str, Any]]] = []

    def looks(network: Any, batches: Any, part: Any) -> Any:
        found = look(network, batches, part)
        if part is batches.test:
            seen.append((found.top1, copy.deepcopy(network.state_dict())))
        return found

    def judges_the_chosen(network: Any, batches: Any, part: Any) -> Any:
        network.load_state_dict(max(seen[:-1], key=lambda pair: pair[0])[1])  # were it the last, nothing was chosen
        return judge(network, batches, part)

    patch.setattr(benchmark.runs.work, "evaluate", looks)
    patch.setattr(benchmark.runs.result, "evaluate", judges_the_chosen)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_caught_by_counts_on_another_processor(
    defect: str, tmp_path: Path, elsewhere: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke(monkeypatch)
    with monkeypatch.context() as patch:
        if defect == "a mask off by one":
            patch.setattr(schedules, "zero_lowest", lambda net, share, *how: zero_lowest(net, share + 1e-3, *how))
        elif defect == "the wrong beta":
            patch.setattr(one_cycle, "fraction", lambda t, a, b, whole=one_cycle.fraction: whole(t, a, b + 1))
        elif defect == "MACs counted twice":
            for counter in ("macs", "macs_closed_form"):  # both: where they differ nothing is trained
                once = getattr(count, counter)
                patch.setattr(count, counter, lambda network, shape, once=once: 2 * once(network, shape))
        else:
            select_on_test(patch)
        context = run(tmp_path, elsewhere)
    report = judged(context, pinned)
    assert report.exit == 1
    (caught,) = [line for line in report.lines if line.tier == "counts"]
    assert caught.verdict == "regressed"
    assert DEFECTS[defect] in caught.why


def test_an_engine_line_changed_without_a_rerun_is_not_measured(
    tmp_path: Path, environment: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = run(tmp_path, environment)
    whole = pins_module.code_of
    changed = lambda cell: whole(cell).model_copy(update={"engine": "changed"})  # noqa: E731
    monkeypatch.setattr(pins_module, "code_of", changed)
    report = judged(context, pinned)
    assert [(line.verdict, line.why) for line in report.lines] == [("not measured", "its record is of other code")]
    assert report.exit == 4


def test_other_bits_in_the_same_environment_by_the_same_code_are_a_regression(
    tmp_path: Path, environment: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke(monkeypatch)
    context = run(tmp_path, environment)
    report = judged(context, replace(pinned, weights="other"))
    assert report.lines[1].verdict == "regressed"
    changed = judged(context, replace(pinned, weights="other", code="other"))
    assert (changed.lines[1].verdict, changed.exit) == ("inconclusive", 3)


def test_both_directions_count(tmp_path: Path, elsewhere: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch) -> None:
    smoke(monkeypatch, 1.0)
    context = run(tmp_path, elsewhere)
    now = context.store.of(CELL.id)[0].record.outcome.top1
    for pinned_at, verdict in ((now + 5, "regressed"), (now - 5, "better"), (now + 0.5, "pass")):
        report = judged(context, replace(pinned, weights="other", top1=pinned_at))
        assert report.lines[1].verdict == verdict


def test_what_is_missing_is_said(tmp_path: Path, environment: Any, pinned: Pin) -> None:
    context = make_context(tmp_path, environment)
    assert [line.why for line in judged(context, pinned).lines] == ["no record of it"]
    execute(CELL, context)
    unpinned = check("s", places(CELL), [replace(pinned, cell="0" * 16, row="0" * 16)], context.store, smoke=False)
    assert [line.verdict for line in unpinned.lines] == ["no pin", "not measured"]
    assert unpinned.exit == 4
    empty = check("s", places(tiny("agp")), [], make_context(tmp_path / "empty", environment).store, smoke=False)
    assert ("nothing is pinned and nothing measured" in empty.lines[0].why, empty.exit) == (True, 4)
    gone = check("s", places(tiny("agp")), [pinned], context.store, smoke=False)
    assert [(line.verdict, line.why) for line in gone.lines] == [("not measured", "pinned, but no longer in the suite")]


def test_without_a_tolerance_seeds_decide(
    tmp_path: Path, elsewhere: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke(monkeypatch, None)
    context = run(tmp_path, elsewhere)
    report = judged(context, pinned)
    (line,) = [line for line in report.lines if line.tier == "statistical"]
    assert line.verdict in ("inconclusive", "pass")
    assert "1 new seeds" in line.why or line.why == "equal weights"
    other = judged(context, replace(pinned, device="cuda", weights="other"))
    assert [line.verdict for line in other.lines if line.tier == "statistical"] == ["not comparable"]


def test_pins_survive_their_file_and_damage_is_named(tmp_path: Path, pinned: Pin) -> None:
    path = tmp_path / "s.csv"
    write([pinned, replace(pinned, name="a", cell="1")], path)
    assert read_pins(path) == [replace(pinned, name="a", cell="1"), pinned]
    assert read_pins(tmp_path / "none.csv") == []
    text = path.read_text()
    path.write_text(text.replace(str(pinned.macs), "many"))
    with pytest.raises(UserError, match=r"s\.csv: not a pin"):
        read_pins(path)
    path.write_text(text.splitlines()[0] + "\n")
    with pytest.raises(UserError, match="no pin in it"):
        read_pins(path)
    path.write_text(text.replace("top1", "accuracy"))
    with pytest.raises(UserError, match="its columns must be"):
        read_pins(path)


def test_a_report_for_people_and_for_machines(
    tmp_path: Path, elsewhere: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke(monkeypatch, 1.0)
    report = judged(run(tmp_path, elsewhere), replace(pinned, weights="other", top1=pinned.top1 + 50))
    assert "**regressed** one_cycle" in as_markdown(report)
    assert json.loads(json.dumps(as_json(report)))["exit"] == 1
    suite = Xml.fromstring(as_junit(report))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "0")
    assert [case.find("failure") is not None for case in suite] == [False, True]


def test_what_changed_between_two_stores_and_why(tmp_path: Path, environment: Any) -> None:
    context = run(tmp_path / "a", environment)
    (stored,) = context.store.of(CELL.id)
    record = stored.record
    assert [line.why for line in compare(context.store, run(tmp_path / "b", environment).store)] == ["equal weights"]
    network = record.network.model_copy(update={"weights_hash": "other"})
    how, code = record.how, record.code
    changed = {
        "code": {"code": code.model_copy(update={"engine": "other"})},
        "data": {"how": how.model_copy(update={"data_hash": "other"})},
        "environment": {"how": how.model_copy(update={"fingerprint": "other"})},
        "nothing recorded": {},
    }
    for cause, update in changed.items():
        other = Store(tmp_path / cause)
        other.add(record.model_copy(update={"network": network, **update}), b"side")
        cell, row = compare(context.store, other)
        assert cell.why.endswith(f"{cause} differs")
        assert cell.verdict == ("regressed" if cause == "nothing recorded" else "inconclusive")
        assert ("no device, mode and data" if cause == "data" else "one seed has no spread") in row.why
    assert [line.why for line in compare(context.store, Store(tmp_path / "empty"))] == ["only in ours"]
    assert not list(compare(context.store, Store(tmp_path / "empty"), places(tiny("agp")))), "of the suite alone"


def seeded(root: Path, record: Record, values: dict[int, float], **how: object) -> Store:
    """Records of one row, one a seed."""
    store = Store(root)
    side, packed = pack_side({"curves": [], "journal": [], "bits": ""})
    for seed, top1 in values.items():
        cell = record.cell.model_copy(update={"seed": seed})
        outcome = record.outcome.model_copy(update={"top1": top1})
        network = record.network.model_copy(update={"weights_hash": f"{root.name} {seed}"})
        conditions = record.how.model_copy(update=how)
        same = {"id": cell.id, "cell": cell, "outcome": outcome, "network": network, "how": conditions, "side": side}
        store.add(record.model_copy(update=same), packed)
    return store


def spread(mean: float, first: int, count: int) -> dict[int, float]:
    return {first + i: mean + (0.2, -0.2, 0.1, -0.1, 0.0)[i % 5] for i in range(count)}


def test_other_seeds_are_compared_row_by_row(tmp_path: Path, environment: Any) -> None:
    record = run(tmp_path / "a", environment).store.of(CELL.id)[0].record
    ours = seeded(tmp_path / "ours", record, spread(80.0, 0, 5))
    *one_sided, alike = compare(ours, seeded(tmp_path / "alike", record, spread(80.05, 5, 5)))
    *_, apart = compare(ours, seeded(tmp_path / "apart", record, spread(78.0, 5, 5)))
    assert (alike.tier, alike.verdict) == ("seeds", "pass")
    assert Counter(line.why for line in one_sided) == {"only in ours": 5, "only in theirs": 5}
    assert (apart.verdict, "more than seeds make" in apart.why) == ("inconclusive", True)
    assert apart.numbers["p"] < 0.001


@pytest.mark.parametrize(
    ("new", "verdict", "exit"),
    [
        ((80.0, 5), "pass", 0),  # the first look excludes a change
        ((78.0, 5), "inconclusive", 3),  # ... or asks for ten more seeds,
        ((78.0, 15), "regressed", 1),  # which call it
        ((82.0, 15), "better", 1),
        ((80.0, 3), "inconclusive", 3),  # too few for a look
    ],
)
def test_a_suite_without_a_tolerance_is_judged_by_its_seeds(
    new: tuple[float, int], verdict: str, exit: int, tmp_path: Path, environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke(monkeypatch, None)
    record = run(tmp_path / "a", environment).store.of(CELL.id)[0].record
    old = seeded(tmp_path / "pins", record, spread(80.0, 0, 10))
    pins = [pin_of(stored, old) for stored in old.all()]
    mean, count = new
    store = seeded(tmp_path / "new", record, spread(mean, 10, count), fingerprint="elsewhere")
    planned = places(*(CELL.model_copy(update={"seed": seed}) for seed in range(30)))
    report = check("s", planned, pins, store, smoke=False)
    (line,) = [line for line in report.lines if line.tier == "statistical"]
    assert line.verdict == verdict, line.why
    assert report.exit == exit


def test_rows_of_other_recipes_are_other_rows_and_other_devices_no_seeds(
    tmp_path: Path, environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drop in one table hides in no other; a pin of another device is averaged with nothing."""
    smoke(monkeypatch, None)
    record = run(tmp_path / "a", environment).store.of(CELL.id)[0].record
    shorter = record.model_copy(update={"cell": tiny("one_cycle", amount=0.8, recipe=recipe(epochs=1))})
    stores = [seeded(tmp_path / f"pins {r.cell.recipe.epochs}", r, spread(80.0, 0, 10)) for r in (record, shorter)]
    on_gpu = seeded(tmp_path / "gpu", record, spread(90.0, 0, 10), device="cuda")
    pins = [pin_of(stored, store) for store in (*stores, on_gpu) for stored in store.all()]
    new = tmp_path / "new"
    seeded(new, record, spread(80.0, 10, 5), fingerprint="elsewhere")
    seeded(new, shorter, spread(78.0, 10, 5), fingerprint="elsewhere")
    cells = [r.cell.model_copy(update={"seed": seed}) for r in (record, shorter) for seed in range(15)]
    lines = [
        line for line in check("s", places(*cells), pins, Store(new), smoke=False).lines if line.tier == "statistical"
    ]
    assert [line.verdict for line in lines] == ["pass", "inconclusive"]
    assert [(line.numbers["pins"], line.numbers["pinned_mean"]) for line in lines] == [(10, 80.0), (10, 80.0)]


def test_one_network_under_several_seeds_is_no_sample(
    tmp_path: Path, environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke(monkeypatch, None)
    record = run(tmp_path / "a", environment).store.of(CELL.id)[0].record
    old = seeded(tmp_path / "pins", record, spread(80.0, 0, 10))
    copies = Store(tmp_path / "copies")
    for seed in range(10, 15):
        cell = record.cell.model_copy(update={"seed": seed})
        copies.add(record.model_copy(update={"id": cell.id, "cell": cell}), b"side")
    planned = places(*(CELL.model_copy(update={"seed": seed}) for seed in range(15)))
    report = check("s", planned, [pin_of(stored, old) for stored in old.all()], copies, smoke=False)
    (line,) = [line for line in report.lines if line.tier == "statistical"]
    assert (line.verdict, line.why) == ("not comparable", "one network under seeds 10 and 11 and 12 and 13 and 14")


def test_a_damaged_side_is_named_and_the_rest_is_judged(tmp_path: Path, environment: Any, pinned: Pin) -> None:
    context = run(tmp_path, environment)
    (stored,) = context.store.of(CELL.id)
    (stored.path.parent / f"{stored.record.side}.side.gz").write_bytes(b"torn")
    report = judged(context, replace(pinned, weights="other", path="other"))
    assert report.lines[0].verdict == "not measured"
    assert "not those it is named after" in report.lines[0].why


def test_equal_weights_count_and_judge_alike(tmp_path: Path, environment: Any) -> None:
    context = run(tmp_path / "a", environment)
    (stored,) = context.store.of(CELL.id)
    record = stored.record
    for part, name, value, why in (
        ("outcome", "top1", 50.0, "points in the same environment"),
        ("network", "macs_nonzero", 1, "equal weights, other macs_nonzero"),
    ):
        other = Store(tmp_path / name)
        changed = getattr(record, part).model_copy(update={name: value})
        other.add(record.model_copy(update={part: changed}), b"side")
        for a, b in ((context.store, other), (other, context.store)):
            (line,) = compare(a, b)
            assert line.verdict == "regressed"
            assert why in line.why


@pytest.mark.slow
def test_a_cell_of_quick_on_an_emulated_processor_passes_by_the_tolerance_and_says_so(tmp_path: Path) -> None:
    """Other instructions, other bits, the same counts: held against the pins that this repository holds."""
    out, only = ("--out", str(tmp_path)), "method=one_cycle,model=vgg_tiny,seed=0"
    older = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "OMP_NUM_THREADS": "1"}
    prunebench = [sys.executable, "-m", "benchmark"]
    subprocess.run([*prunebench, "run", "quick", "--only", only, *out], cwd=ROOT, env=older, check=True)
    said = subprocess.run([*prunebench, "check", "quick", *out, "--json"], cwd=ROOT, capture_output=True, text=True)
    lines = [line for line in json.loads(said.stdout)["lines"] if line["verdict"] != "not measured"]
    assert {line["tier"] for line in lines} == {"counts", "smoke"}
    assert {line["verdict"] for line in lines} == {"pass"}
    assert all("in another environment, within" in line["why"] for line in lines if line["tier"] == "smoke")


# ---- the tolerance: measured between environments ----------------------------------------------


def test_the_tolerance_is_what_environments_were_seen_to_differ_by(
    tmp_path: Path, environment: Any, elsewhere: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = run(tmp_path / "here", environment), run(tmp_path / "there", elsewhere)
    monkeypatch.setattr(tolerance, "why_not", lambda record: "its code was not committed")
    with pytest.raises(UserError, match="two environments"):
        tolerance.measure("s", places(CELL), [here.store, there.store])
    monkeypatch.setattr(tolerance, "why_not", lambda record: "")
    with pytest.raises(UserError, match="no current record of s"):
        tolerance.measure("s", places(CELL), [here.store, Store(tmp_path / "mistyped")])
    (found,) = tolerance.measure("s", places(CELL), [here.store, there.store])
    assert (found.model, found.cells, found.environments) == (CELL.model, 1, 2)
    (a,), (b,) = here.store.of(CELL.id), there.store.of(CELL.id)
    farther = b.record.outcome.model_copy(update={"top1": a.record.outcome.top1 + 5})
    off = replace(b, record=b.record.model_copy(update={"outcome": farther}))
    monkeypatch.setattr(tolerance, "current", lambda planned, store: [a] if store is here.store else [b, off])
    (found,) = tolerance.measure("s", places(CELL), [here.store, there.store])
    assert (found.largest, found.mean, found.points) == (5.0, 5.0, 10.0)  # twice as much
    path = tmp_path / "tolerance.csv"
    other = replace(found, suite="t", points=3.0)
    tolerance.write([other], path)
    tolerance.write([replace(found, points=50.0)], path)
    tolerance.write([found], path)  # its own suite's rows are replaced, another's stay
    assert tolerance.read(path) == [found, other]
    with pytest.raises(UserError, match="two environments"):
        tolerance.measure("s", places(CELL), [here.store])
    path.write_text("suite,model\nquick,vgg_tiny\n")
    with pytest.raises(UserError, match="not a table of tolerances"):
        tolerance.read(path)


def test_a_network_without_a_measured_tolerance_is_not_judged(
    tmp_path: Path, elsewhere: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "tolerances_of", lambda suite: {"another": 5.0})
    report = judged(run(tmp_path, elsewhere), replace(pinned, weights="other"))
    assert (report.lines[1].verdict, report.exit) == ("not comparable", 4)
    assert "no tolerance was measured" in report.lines[1].why


@pytest.mark.parametrize("points", ["inf", "nan", "0", "-3"])
def test_a_tolerance_that_would_pass_anything_is_refused(points: str, tmp_path: Path) -> None:
    path = tmp_path / "tolerance.csv"
    path.write_text(f"suite,model,points,largest,mean,cells,environments\nquick,vgg_tiny,{points},1,1,2,2\n")
    with pytest.raises(UserError, match="is no tolerance"):
        tolerance.read(path)


@pytest.mark.parametrize(
    ("part", "field", "says"),
    [
        ("network", "params", "parameters: "),
        ("network", "macs_nonzero", "MACs without zeros: "),
        ("network", "nonzero", "parameters that are not zero: "),
        ("cost", "training_macs", "MACs of its training: "),
    ],
)
def test_every_count_of_a_record_is_held_against_its_pin(
    tmp_path: Path, environment: Any, pinned: Pin, part: str, field: str, says: str
) -> None:
    (stored,) = run(tmp_path / "true", environment).store.of(CELL.id)
    of_part = getattr(stored.record, part)
    wrong = of_part.model_copy(update={field: 2 * getattr(of_part, field)})
    store = Store(tmp_path / "wrong")
    side = (stored.path.parent / f"{stored.record.side}.side.gz").read_bytes()
    store.add(stored.record.model_copy(update={part: wrong}), side)
    (line, *_) = check("s", places(CELL), [pinned], store, smoke=True).lines
    assert (line.verdict, says in line.why) == ("regressed", True)


def test_a_share_removed_that_its_macs_do_not_show_is_caught(tmp_path: Path, environment: Any) -> None:
    cell = tiny("one_shot", kind="macs")
    context = make_context(tmp_path / "true", environment)
    stored = execute(cell, context)
    pin = pin_of(stored, context.store)
    store = Store(tmp_path / "wrong")
    wrong = stored.record.network.model_copy(update={"removed": 0.0})
    side = (stored.path.parent / f"{stored.record.side}.side.gz").read_bytes()
    store.add(stored.record.model_copy(update={"network": wrong}), side)
    (line, *_) = check("s", places(cell), [pin], store, smoke=True).lines
    assert (line.verdict, "by its MACs" in line.why) == ("regressed", True)


def test_two_devices_of_one_store_are_not_averaged(tmp_path: Path, environment: Any) -> None:
    record = run(tmp_path / "a", environment).store.of(CELL.id)[0].record
    ours, theirs = tmp_path / "ours", seeded(tmp_path / "theirs", record, spread(90.0, 5, 3))
    seeded(ours, record, spread(90.0, 0, 3))
    seeded(ours, record, spread(70.0, 10, 3), device="cuda")
    later = record.model_copy(update={"finished": "2099-01-01T00:00:00+00:00"})
    seeded(ours, later, spread(60.0, 0, 3), device="cuda")  # of the same cells, and newer
    (row,) = [line for line in compare(Store(ours), theirs) if line.tier == "seeds"]
    assert (row.verdict, row.numbers["ours"]) == ("pass", pytest.approx(90.0, abs=0.1))


def test_a_newer_record_of_another_device_hides_none_that_fits(tmp_path: Path, environment: Any, pinned: Pin) -> None:
    store = run(tmp_path, environment).store
    (stored,) = store.of(CELL.id)
    how = stored.record.how.model_copy(update={"device": "cuda"})
    later = stored.record.model_copy(update={"how": how, "finished": "2099-01-01T00:00:00+00:00"})
    store.add(later, (stored.path.parent / f"{stored.record.side}.side.gz").read_bytes())
    assert len(store.of(CELL.id)) == 2
    assert check("s", places(CELL), [pinned], store, smoke=True).exit == 0


def test_a_record_is_held_against_the_pin_that_was_run_as_it_was(tmp_path: Path, environment: Any, pinned: Pin) -> None:
    store = run(tmp_path, environment).store
    on_gpu = replace(pinned, device="cuda", fingerprint="gpu", weights="other", top1=1.0, path="other")
    assert check("s", places(CELL), [pinned, on_gpu], store, smoke=True).exit == 0


def test_a_damaged_side_is_not_published_and_nothing_is_pinned(
    tmp_path: Path, environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins_module, "why_not", lambda record: "")
    monkeypatch.setattr(pins_module, "FOLDER", tmp_path / "pinned")
    (tmp_path / "mine.toml").write_text(SUITE)
    out, published = tmp_path / "results", tmp_path / "published"
    prunebench("run", tmp_path / "mine.toml", "--out", out, "--only", "method=one_cycle,seed=0")
    (side,) = list(out.glob("records/*/*.side.gz"))[:1]
    whole = side.read_bytes()
    for torn in (b"torn", None):
        side.unlink() if torn is None else side.write_bytes(torn)
        with pytest.raises(Damaged, match=side.name):
            pin_suite(str(tmp_path / "mine.toml"), "full", (), out, published, [])
        assert not (tmp_path / "pinned").exists()
        assert not list(published.glob(f"records/*/{side.name}"))
        side.write_bytes(whole)


def test_a_missing_table_of_tolerances_is_said_and_makes_no_sample_of_single_cells(
    tmp_path: Path, elsewhere: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke(monkeypatch, None)
    store = run(tmp_path, elsewhere).store
    report = check("s", places(CELL), [replace(pinned, weights="other")], store, smoke=True)
    assert [line.tier for line in report.lines] == ["counts", "smoke"]
    assert "no tolerance was measured" in report.lines[1].why
    assert read("quick").file.smoke


def test_a_small_cell_of_another_device_is_not_judged(
    tmp_path: Path, elsewhere: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke(monkeypatch)
    report = judged(run(tmp_path, elsewhere), replace(pinned, weights="other", device="cuda"))
    assert (report.lines[1].verdict, report.exit) == ("not comparable", 4)
    assert "other device" in report.lines[1].why


# ---- pinning -----------------------------------------------------------------------------------


def test_only_clean_records_are_pinned_and_they_are_copied_as_they_are(
    tmp_path: Path, environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = run(tmp_path / "mine", environment)
    (stored,) = context.store.of(CELL.id)
    clean = stored.record.model_copy(update={"code": stored.record.code.model_copy(update={"dirty": False})})
    monkeypatch.setattr(pin, "plan", lambda suite, tier: places(CELL, tiny("agp"), tiny("random"), tiny("dense")))
    monkeypatch.setattr(pins_module, "FOLDER", tmp_path / "pinned")
    store = Store(tmp_path / "store")
    packed = pack_side({"curves": [], "journal": [], "bits": ""})
    kept = store.add(clean.model_copy(update={"side": packed[0]}), packed[1])
    left_out = {
        "agp": {"code": clean.code.model_copy(update={"dirty": True})},
        "random": {"how": clean.how.model_copy(update={"fingerprint": "one+another"})},
        "dense": {"ending": "diverged"},
    }
    for name, update in left_out.items():
        cell = tiny(name)
        store.add(clean.model_copy(update={"id": cell.id, "cell": cell, "side": packed[0], **update}), packed[1])
    monkeypatch.setattr(pins_module, "code_of", lambda cell: clean.code)
    report = pin.pin_suite("quick", "full", (), store.root, tmp_path / "published", [])
    assert report["pinned"] == 1
    assert report["left out: its code was not committed"] == 1
    assert report["left out: two environments made it"] == 1
    assert report["left out: its record is of other code, or diverged"] == 1
    assert [pin.record for pin in read_pins(tmp_path / "pinned" / "quick.csv")] == [kept.content]
    copied = sorted(path.relative_to(tmp_path / "published") for path in (tmp_path / "published").rglob("*.*"))
    assert len(copied) == 2
    assert all((tmp_path / "published" / path).read_bytes() == (store.root / path).read_bytes() for path in copied)


def test_a_pin_of_some_cells_keeps_the_others_unless_they_are_to_be_dropped(
    tmp_path: Path, environment: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = run(tmp_path / "mine", environment)
    planned = places(CELL, tiny("agp"))
    monkeypatch.setattr(pin, "plan", lambda suite, tier: planned)
    monkeypatch.setattr(pins_module, "FOLDER", tmp_path / "pinned")
    monkeypatch.setattr(pins_module, "why_not", lambda record: "")
    path = tmp_path / "pinned" / "quick.csv"
    other = replace(pinned, cell=tiny("agp").id, name="agp")
    old = replace(pinned, top1=1.0)
    pins_module.write([old, other], path)
    report = pin.pin_suite("quick", "full", (), context.store.root, None, [])
    assert (report["pinned"], report["kept as they were"]) == (1, 1)
    assert report["planned cells with a pin"] == "2 of 2"
    assert {pin.cell: pin.top1 == 1.0 for pin in read_pins(path)} == {CELL.id: False, other.cell: False}
    assert len(read_pins(path)) == 2
    report = pin.pin_suite("quick", "full", (), context.store.root, None, [], replace=True)
    assert (report["dropped"], report["planned cells with a pin"]) == (1, "1 of 2")
    assert [pin.cell for pin in read_pins(path)] == [CELL.id]


def test_a_planned_cell_of_a_smoke_suite_that_lost_its_pin_is_no_pass(
    tmp_path: Path, environment: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke(monkeypatch)
    store = run(tmp_path, environment).store
    report = check("s", places(CELL, tiny("agp")), [pinned], store, smoke=True)
    assert report.exit == 4
    assert "1 of 2 planned cells have no pin" in report.lines[-1].why
    assert (report.pinned, report.planned) == (1, 2)
    assert check("s", places(CELL), [pinned], store, smoke=True).exit == 0
