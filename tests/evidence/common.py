"""What the tests of evidence share: a pinned cell and its check, records of many seeds, a claim."""

from pathlib import Path
from typing import Any

import pytest

from benchmark.evidence import check as module
from benchmark.evidence.check import Report, check
from benchmark.evidence.claim_files import Claim
from benchmark.evidence.pins import Pin
from benchmark.plan.cell import Cell
from benchmark.plan.suite import Planned
from benchmark.records.record import Record
from benchmark.records.store import Store, pack_side
from benchmark.runs.execute import Context, execute
from tests.conftest import make_context, tiny

CELL = tiny("one_cycle", amount=0.8)
OTHER = 3  # threads of the "other processor": another fingerprint, other bits, the same counts


def places(*cells: Cell) -> list[Planned]:
    return [Planned(cell, "t", cell.method.name, 0.0, "matched") for cell in cells]


def run(root: Path, environment: Any, cell: Cell = CELL) -> Context:
    context = make_context(root, environment)
    execute(cell, context)
    return context


def smoke(monkeypatch: pytest.MonkeyPatch, points: float | None = 100.0) -> None:
    monkeypatch.setattr(module, "tolerances_of", lambda suite: {} if points is None else {CELL.model: points})


def judged(context: Context, pin: Pin, *cells: Cell) -> Report:
    return check("s", places(*(cells or (CELL,))), [pin], context.store, smoke=bool(module.tolerances_of("s")))


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


PATTERN = (0.0, 1.0, -1.0, 0.5, -0.5, 1.0, -1.0, 0.0)  # sums to nothing over five seeds and over eight


def claim(**changes: object) -> Claim:
    base = {"id": "c", "says": "x", "reference": "abstract only", "kind": "beats", "where": ["mine/first"]}
    return Claim.model_validate({**base, "method": "one_cycle", "against": ["one_shot"], "n": 5} | changes)
