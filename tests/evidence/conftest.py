"""A pin made on one processor, another processor, and claims judged on records that are made for them."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.evidence import claims
from benchmark.evidence.claim_files import Claim
from benchmark.evidence.claims import Finding, judge
from benchmark.evidence.pins import Pin, pin_of
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.record import How, Record
from benchmark.records.rows import rows_of
from benchmark.records.store import Store
from tests.conftest import SUITE
from tests.evidence.common import CELL, OTHER, PATTERN, run
from tests.records.made import add


@pytest.fixture(scope="package")
def pinned(tmp_path_factory: pytest.TempPathFactory, environment: Any) -> Pin:
    """Made on one processor ..."""
    context = run(tmp_path_factory.mktemp("pinned"), environment)
    (stored,) = context.store.of(CELL.id)
    return pin_of(stored, context.store)


@pytest.fixture
def elsewhere(environment: Any) -> Any:
    """... and checked on another."""
    return replace(environment, threads=OTHER)


@pytest.fixture
def found(tmp_path: Path, template: Record, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Finding]]:
    """Judge claims on records whose accuracies lie around the given means."""
    number = itertools.count()

    def judged(
        means: dict[str, float],
        *asked: Claim,
        seeds: int = 8,
        std: float = 0.2,
        device: str = "cpu",
        unmeasured: tuple[float, ...] = (),
        top5: float | None = None,
        how: How | None = None,
        where: str = "",
        stable: dict[str, int] | None = None,
        unread: int = 0,
        without: tuple[int, ...] = (),
        diverged: tuple[int, ...] = (),
        beyond: float = 0.0,
    ) -> list[Finding]:
        folder = tmp_path / str(next(number))
        folder.mkdir()
        path, store = folder / "mine.toml", Store(folder)
        path.write_text(SUITE.replace('seeds = "0-1"', f'seeds = "0-{seeds - 1}"'))
        planned = plan(read(str(path)))
        for each in planned:
            if each.label in means and each.cell.seed not in without:
                top1 = means[each.label] + std * PATTERN[each.cell.seed]
                outcome = template.outcome.model_copy(update={"top5": top5})
                notes = {"stable_epoch": stable[each.label]} if stable and each.label in stable else {}
                mine = how if how and where in each.label else template.how
                changed = template.model_copy(update={"outcome": outcome, "how": mine, "notes": notes})
                failed = each.label == "one_cycle" and each.cell.seed in diverged
                ending = "diverged" if failed else "done"
                add(store, changed, each.cell, top1, device=device, ending=ending, beyond=beyond)
        for amount in unmeasured:
            removes = [p for p in planned if p.cell.remove]
            other = removes[0].cell.remove.model_copy(update={"amount": amount})
            planned += [replace(p, cell=p.cell.model_copy(update={"remove": other})) for p in removes]

        def rows(place: str, store: Store, n: int) -> Any:
            seen = claims.first_seeds(planned, n)
            return rows_of(seen, store), seen, {}

        monkeypatch.setattr(claims, "_rows", rows)
        return judge(asked, store, unread=unread)

    return judged
