"""Golden cells: what two codes make of the same cells, told without running them."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmark import golden
from benchmark.errors import UserError
from benchmark.record import Record
from benchmark.store import Store
from tests.conftest import tiny
from tests.test_table import add, template

__all__ = ["template"]


@pytest.mark.parametrize(("seeds", "top1", "says"), [(2, 91.0, "not equal: 1 of 2"), (1, 90.0, "other ids")])
def test_a_cell_that_differs_or_that_one_code_does_not_know_is_no_equality(
    template: Record, monkeypatch: pytest.MonkeyPatch, seeds: int, top1: float, says: str
) -> None:
    def run(root: Path, suite: str, store: Store) -> None:
        old = root != golden.ROOT
        add(store, template, tiny(seed=0), 90.0)
        if old or seeds == 2:
            add(store, template, tiny(seed=1), 90.0 if old else top1)

    monkeypatch.setattr(golden, "_checkout", lambda commit, folder: nullcontext(folder))
    monkeypatch.setattr(golden, "_run", run)
    with pytest.raises(UserError, match=says):
        golden.compare("abc", ["one"])
