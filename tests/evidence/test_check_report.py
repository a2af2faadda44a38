"""The check's report: what was not measured never looks like a pass; for people and for machines."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

import benchmark.evidence.pins as pins_module
from benchmark.evidence.check import check
from benchmark.evidence.pins import Pin
from benchmark.report.verdicts import as_json, as_junit, as_markdown
from benchmark.runs.execute import execute
from tests.conftest import make_context, tiny
from tests.evidence.common import CELL, judged, places, run, smoke


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


def test_a_damaged_side_is_named_and_the_rest_is_judged(tmp_path: Path, environment: Any, pinned: Pin) -> None:
    context = run(tmp_path, environment)
    (stored,) = context.store.of(CELL.id)
    (stored.path.parent / f"{stored.record.side}.side.gz").write_bytes(b"torn")
    report = judged(context, replace(pinned, weights="other", path="other"))
    assert report.lines[0].verdict == "not measured"
    assert "not those it is named after" in report.lines[0].why


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
