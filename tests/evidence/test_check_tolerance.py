"""The check's tolerance: measured between environments; accuracy within it passes, both directions count."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.errors import UserError
from benchmark.evidence import check as module
from benchmark.evidence import tolerance
from benchmark.evidence.check import check
from benchmark.evidence.pins import Pin
from benchmark.plan.discovery import ROOT
from benchmark.plan.suite_file import read
from benchmark.records.store import Store
from tests.evidence.common import CELL, judged, places, run, smoke


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


def test_a_network_without_a_measured_tolerance_is_not_judged(
    tmp_path: Path, elsewhere: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "tolerances_of", lambda suite: {"another": 5.0})
    report = judged(run(tmp_path, elsewhere), replace(pinned, weights="other"))
    assert (report.lines[1].verdict, report.exit) == ("not comparable", 4)
    assert "no tolerance was measured" in report.lines[1].why


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


@pytest.mark.parametrize("points", ["inf", "nan", "0", "-3"])
def test_a_tolerance_that_would_pass_anything_is_refused(points: str, tmp_path: Path) -> None:
    path = tmp_path / "tolerance.csv"
    path.write_text(f"suite,model,points,largest,mean,cells,environments\nquick,vgg_tiny,{points},1,1,2,2\n")
    with pytest.raises(UserError, match="is no tolerance"):
        tolerance.read(path)


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
