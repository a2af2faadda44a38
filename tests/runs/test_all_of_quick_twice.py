"""The promise of the suite, on the whole of `quick`: two folders, two processes, equal bits."""

from pathlib import Path

import pytest

from benchmark.plan.discovery import ROOT
from benchmark.records.record import Record
from benchmark.records.store import Store
from tests.runs.forked import prunebench

CELLS = 106


def ran(folder: Path) -> dict[str, Record]:
    done = prunebench("run", "quick", "--out", folder)
    assert done.returncode == 0, done.stdout
    return {stored.record.id: stored.record for stored in Store(folder).all()}


def made_alike(folder: Path, others: dict[str, Record]) -> dict[str, Record]:
    """What `tox -e quick` may have left there of those cells, by this code on this kind of machine."""
    found = [s.record for id in others for s in Store(folder).of(id)]
    return {
        r.id: r for r in found if r.how.fingerprint == others[r.id].how.fingerprint and r.code.same(others[r.id].code)
    }


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_every_cell_of_quick_comes_out_the_same_twice(tmp_path: Path) -> None:
    second = ran(tmp_path / "b")
    assert len(second) == CELLS
    first = made_alike(ROOT / "results", second)
    if len(first) < CELLS:
        first = ran(tmp_path / "a")
    assert {id: r.network.weights_hash for id, r in first.items()} == {
        id: r.network.weights_hash for id, r in second.items()
    }
