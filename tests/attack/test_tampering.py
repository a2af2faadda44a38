"""Ten ways to tamper with a record or a pin, each with its hashes made to fit again; docs/TAMPERING.md says which of
`check`, `verify` and `rerun` finds each, and is held to what is found here."""

import base64
import copy
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.commands.rerun import rerun_record
from benchmark.evidence.check import check
from benchmark.evidence.pins import Pin, pin_of
from benchmark.plan.discovery import ROOT
from benchmark.plan.suite import Planned
from benchmark.records.store import Store, Stored
from benchmark.runs.execute import execute
from benchmark.runs.verify import verify
from benchmark.training.build import build
from benchmark.training.environment import Environment
from benchmark.training.weights import weights_hash, write_weights
from tests.attack.common import put_record, put_side
from tests.conftest import make_context, tiny

pytestmark = pytest.mark.slow
Json = dict[str, Any]


@dataclass
class Case:
    """A record, its side and its pin, in a store that may be lied about."""

    store: Store
    stored: Stored
    pin: Pin
    environment: Environment

    @property
    def whole(self) -> Json:
        return copy.deepcopy(json.loads(self.stored.path.read_text()))

    def instead(self, whole: Json, side: Any = None) -> None:
        self.stored.path.unlink()
        put = put_record(self.store.root, whole) if side is None else put_side(self.store.root, whole, side)
        self.store = Store(self.store.root)
        (self.stored,) = [s for s in self.store.of(whole["id"]) if s.path == put] or [None]  # type: ignore[list-item]


def accuracy(case: Case) -> None:
    whole = case.whole
    whole["outcome"]["top1"] = whole["outcome"]["best_top1"] = 99.0
    case.instead(whole)


def accuracy_and_curve(case: Case) -> None:
    whole, side = case.whole, case.store.side(case.stored)
    whole["outcome"]["top1"] = side["curves"][-1]["test"] = 99.0
    case.instead(whole, side)


def accuracy_curve_and_bits(case: Case) -> None:
    whole, side = case.whole, case.store.side(case.stored)
    bits = bytearray(len(base64.b64decode(side["bits"])))
    bits[:] = b"\xff" * len(bits)
    side["bits"] = base64.b64encode(bytes(bits)).decode()
    whole["outcome"]["top1"] = side["curves"][-1]["test"] = 100.0
    case.instead(whole, side)


def macs(case: Case) -> None:
    whole = case.whole
    whole["network"]["macs"] //= 2
    case.instead(whole)


def nonzero(case: Case) -> None:
    whole = case.whole
    whole["network"]["nonzero"] //= 2
    case.instead(whole)


def hours(case: Case) -> None:
    whole = case.whole
    whole["cost"]["train"] /= 10
    case.instead(whole)


def another_seed(case: Case) -> None:
    """One run passed off as two seeds."""
    cell = case.stored.record.cell.model_copy(update={"seed": 1})
    kept, content = case.stored.path, case.stored.path.read_bytes()
    case.instead(case.whole | {"cell": cell.asked(), "id": cell.id}, case.store.side(case.stored))
    kept.write_bytes(content)


def weights_of_another(case: Case) -> None:
    """Another network under the record's name, its hash entered."""
    network = build(case.stored.record.cell.model_copy(update={"seed": 9}), 10)
    whole, hash = case.whole, weights_hash(network)
    write_weights(network, case.store.weights(hash))
    whole["network"]["weights_hash"] = hash
    case.instead(whole)


def code(case: Case) -> None:
    """Made by changed code, passed off as this one: here it trained without momentum."""
    whole = case.whole
    with torch.no_grad():
        network = build(case.stored.record.cell, 10)
        network.load_state_dict(_weights(case))
        for weight in network.parameters():
            weight.mul_(1.0 + 1e-6)
    write_weights(network, case.store.weights(weights_hash(network)))
    whole["network"]["weights_hash"] = weights_hash(network)
    case.instead(whole)


def pinned_accuracy(case: Case) -> None:
    case.pin = replace(case.pin, top1=case.pin.top1 - 20)


def _weights(case: Case) -> dict[str, torch.Tensor]:
    from benchmark.training.weights import read_weights

    return read_weights(case.store.weights(case.stored.record.network.weights_hash))


WAYS: dict[str, Callable[[Case], None]] = {
    "accuracy in the record": accuracy,
    "accuracy in record and curves": accuracy_and_curve,
    "accuracy in record, curves and predictions": accuracy_curve_and_bits,
    "MACs": macs,
    "count of nonzero weights": nonzero,
    "hours": hours,
    "seed: one run copied as two": another_seed,
    "weights of another network": weights_of_another,
    "weights of changed code, nearly equal": code,
    "accuracy in the pin": pinned_accuracy,
}


@pytest.fixture(scope="module")
def true(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    context = make_context(tmp_path_factory.mktemp("true"), environment)
    return context.store.root, execute(tiny("one_shot"), context).record.id


def case_in(folder: Path, true: tuple[Path, str], environment: Environment) -> Case:
    subprocess.run(["cp", "-r", str(true[0]), str(folder / "store")], check=True)
    store = Store(folder / "store")
    (stored,) = store.of(true[1])
    return Case(store, stored, pin_of(stored, store), environment)


def caught(case: Case, folder: Path) -> Iterator[str]:
    """The verbs that find it."""
    places = [Planned(s.record.cell, "first", "one_shot", 0.0, "matched") for s in case.store.all()]
    lines = [line for smoke in (True, False) for line in check("", places, [case.pin], case.store, smoke=smoke).lines]
    if any(line.verdict == "regressed" or "one network under" in line.why for line in lines):
        yield "check"
    if not all(each.ok for each in verify(case.stored, case.store, case.environment, folder)):
        yield "verify"
    _, kept = rerun_record(
        case.stored.content, case.store.root, device="cpu", threads=1, shared=1, out=folder / "again", data=folder,
        methods_from=(), to_stderr=True,
    )  # fmt: skip
    if not kept:
        yield "rerun"


def said() -> dict[str, list[str]]:
    """The table in the docs: way -> verbs that find it."""
    lines = (ROOT / "docs" / "TAMPERING.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| [^-]", line)]
    head, *body = rows
    verbs = [cell.strip("`") for cell in head[1:4]]
    return {row[0]: [verb for verb, mark in zip(verbs, row[1:4], strict=True) if mark == "found"] for row in body}


@pytest.mark.parametrize("way", WAYS)
def test_the_docs_say_what_finds_it(way: str, true: tuple[Path, str], tmp_path: Path, environment: Environment) -> None:
    case = case_in(tmp_path, true, environment)
    WAYS[way](case)
    assert case.stored, "the store reads it: its hashes fit"
    found = list(caught(case, tmp_path))
    assert found == said()[way]


def test_the_true_record_passes_everywhere(true: tuple[Path, str], tmp_path: Path, environment: Environment) -> None:
    assert list(caught(case_in(tmp_path, true, environment), tmp_path)) == []


def test_the_docs_name_every_way_and_no_other() -> None:
    assert list(said()) == list(WAYS)
