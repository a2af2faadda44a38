"""Golden cells: what two codes make of the same cells, told without running them."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.records.record import Record
from benchmark.records.store import Store
from benchmark.runs import equal_bits
from tests.conftest import tiny
from tests.records.made import add


@pytest.mark.parametrize(("seeds", "top1", "says"), [(2, 91.0, "not equal: 1 of 2"), (1, 90.0, "other ids")])
def test_a_cell_that_differs_or_that_one_code_does_not_know_is_no_equality(
    template: Record, monkeypatch: pytest.MonkeyPatch, seeds: int, top1: float, says: str
) -> None:
    def run(root: Path, suite: str, store: Store) -> None:
        old = root != equal_bits.ROOT
        add(store, template, tiny(seed=0), 90.0)
        if old or seeds == 2:
            add(store, template, tiny(seed=1), 90.0 if old else top1)

    monkeypatch.setattr(equal_bits, "_checkout", lambda commit, folder: nullcontext(folder))
    monkeypatch.setattr(equal_bits, "_run", run)
    with pytest.raises(UserError, match=says):
        equal_bits.compare("abc", ["one"])
