"""How far the accuracy of one small cell differs between environments: measured, and committed beside the pins.

Bits differ between processors and thread counts, and in a small network after a few epochs other bits
mean points of accuracy. So the allowed difference is measured: the same cells were run in several
environments, and the largest difference of any cell between any two environments counts, per network.
"""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from pathlib import Path

from benchmark.errors import UserError
from benchmark.evidence.pins import FOLDER, current, why_not
from benchmark.plan.suite import Planned
from benchmark.records.store import Store, write_safely

PATH = FOLDER / "tolerance.csv"
ROOM = 2.0  # times the largest difference seen: an environment that was not tried may differ more


@dataclass(frozen=True)
class Tolerance:
    suite: str
    model: str
    points: float  # what `check` allows
    largest: float  # difference of one cell between two environments
    mean: float
    cells: int
    environments: int


def measure(suite: str, planned: Iterable[Planned], stores: list[Store]) -> list[Tolerance]:
    """From the records of the same cells in several stores, each of one or more environments."""
    seen: dict[str, list[dict[str, float]]] = {}  # network -> for each cell, its accuracy by fingerprint
    places = {p.id: p for p in planned}.values()
    for store in stores:
        if not any(current(p, store) for p in places):
            raise UserError(f"{store.root}: no current record of {suite} in it")
    for p in places:
        records = [stored.record for store in stores for stored in current(p, store) if not why_not(stored.record)]
        records = [r for r in records if r.how.conditions == records[0].how.conditions]
        seen.setdefault(p.cell.model, []).append({r.how.fingerprint: r.outcome.top1 for r in records})
    found = []
    for model, cells in sorted(seen.items()):
        apart = [abs(a - b) for cell in cells for a, b in combinations(cell.values(), 2)]
        if apart:
            shared = sum(len(cell) > 1 for cell in cells)
            environments = len(set().union(*cells))
            largest, mean = round(max(apart), 2), round(sum(apart) / len(apart), 2)
            points = float(max(1, math.ceil(round(ROOM * max(apart), 6))))
            found.append(Tolerance(suite, model, points, largest, mean, shared, environments))
    if not found:
        raise UserError("no cell was run in two environments; give a store from another one with --tolerance")
    return found


def write(found: list[Tolerance], path: Path = PATH) -> None:
    """Write the file. Rows of other suites stay."""
    suites = {each.suite for each in found}
    kept = [each for each in read(path) if each.suite not in suites]
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Tolerance)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(each) for each in sorted([*kept, *found], key=lambda each: (each.suite, each.model)))
    write_safely(path, text.getvalue().encode())


def read(path: Path = PATH) -> list[Tolerance]:
    if not path.is_file():
        return []
    numbers = {"points": float, "largest": float, "mean": float, "cells": int, "environments": int}
    with path.open(newline="") as file:
        try:
            found = [
                Tolerance(**{key: numbers.get(key, str)(value) for key, value in row.items()})
                for row in csv.DictReader(file)
            ]
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}: not a table of tolerances: {error}") from None
    if odd := [each for each in found if not 0 < each.points <= 100]:
        raise UserError(f"{path}: {odd[0].points} points for {odd[0].model} is no tolerance")
    return found


def tolerances_of(suite: str) -> dict[str, float]:
    """Points by network; empty if none were measured."""
    return {each.model: each.points for each in read() if each.suite == suite}
