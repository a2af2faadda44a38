"""Two stores compared, cell by cell and row by row: what differs, and what it may come from."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmark.evidence.comparison import compare
from benchmark.records.store import Store
from tests.conftest import tiny
from tests.evidence.common import CELL, places, run, seeded, spread


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


def test_other_seeds_are_compared_row_by_row(tmp_path: Path, environment: Any) -> None:
    record = run(tmp_path / "a", environment).store.of(CELL.id)[0].record
    ours = seeded(tmp_path / "ours", record, spread(80.0, 0, 5))
    *one_sided, alike = compare(ours, seeded(tmp_path / "alike", record, spread(80.05, 5, 5)))
    *_, apart = compare(ours, seeded(tmp_path / "apart", record, spread(78.0, 5, 5)))
    assert (alike.tier, alike.verdict) == ("seeds", "pass")
    assert Counter(line.why for line in one_sided) == {"only in ours": 5, "only in theirs": 5}
    assert (apart.verdict, "more than seeds make" in apart.why) == ("inconclusive", True)
    assert apart.numbers["p"] < 0.001


def test_two_devices_of_one_store_are_not_averaged(tmp_path: Path, environment: Any) -> None:
    record = run(tmp_path / "a", environment).store.of(CELL.id)[0].record
    ours, theirs = tmp_path / "ours", seeded(tmp_path / "theirs", record, spread(90.0, 5, 3))
    seeded(ours, record, spread(90.0, 0, 3))
    seeded(ours, record, spread(70.0, 10, 3), device="cuda")
    later = record.model_copy(update={"finished": "2099-01-01T00:00:00+00:00"})
    seeded(ours, later, spread(60.0, 0, 3), device="cuda")  # of the same cells, and newer
    (row,) = [line for line in compare(Store(ours), theirs) if line.tier == "seeds"]
    assert (row.verdict, row.numbers["ours"]) == ("pass", pytest.approx(90.0, abs=0.1))
