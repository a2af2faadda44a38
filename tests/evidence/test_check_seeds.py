"""The check of a suite without a tolerance: new seeds are tested against pinned ones."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.evidence.check import check
from benchmark.evidence.pins import Pin, pin_of
from benchmark.records.store import Store
from tests.conftest import recipe, tiny
from tests.evidence.common import CELL, judged, places, run, seeded, smoke, spread


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
