"""Checks whether a change of code changes a number: the same cells under both versions, here and now, bit by bit.

A change that changes no weight of the golden cells can be entered in
baselines/code_equal.csv. Records of the old code then count as records of the new.
"""

import csv
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmark.errors import UserError
from benchmark.plan.discovery import ROOT
from benchmark.records.code import EQUAL, PARTS
from benchmark.records.store import Store, Stored, write_safely

SUITES = ROOT / "tests" / "golden"
COLUMNS = ("part", "was", "now", "shown_by")
Pair = tuple[str, str, str]  # part, hash then, hash now


def compare(commit: str, suites: list[str]) -> tuple[list[Pair], int]:
    """The pairs of equal hashes, and the number of cells that show it. An error if a weight differs."""
    with TemporaryDirectory() as folder, _checkout(commit, Path(folder) / "code") as old:
        stores = [Store(Path(folder) / name) for name in ("then", "now")]
        for suite in suites:
            for root, store in zip((old, ROOT), stores, strict=True):
                _run(root, suite, store)
        then, now = ({s.record.id: s for s in store.all()} for store in stores)
        if lone := [s.record.cell.name for id, s in (then | now).items() if (id in then) != (id in now)]:
            raise UserError(f"{commit}: under one of the codes {len(lone)} cells have other ids, the first: {lone[0]}")
        both = sorted(now)
        if differ := [now[id].record.cell.name for id in both if _weights(then[id]) != _weights(now[id])]:
            raise UserError(
                f"not equal: {len(differ)} of {len(both)} cells end in other weights, the first: {differ[0]}"
            )
        return sorted({pair for id in both for pair in _pairs(then[id], now[id])}), len(both)


def enter(pairs: list[Pair], commit: str, cells: int) -> int:
    """Add the new pairs to the list of equal hashes. Returns how many were new."""
    rows = list(csv.DictReader(EQUAL.open(newline=""))) if EQUAL.is_file() else []
    known = {row["now"] for row in rows} | {row["was"] for row in rows}
    new = [pair for pair in pairs if pair[2] not in known]
    name = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", commit], capture_output=True, text=True, check=True
    )
    shown_by = f"{cells} golden cells against {name.stdout.strip()}"  # not HEAD~1, which is another commit tomorrow
    rows += [dict(zip(COLUMNS, (*pair, shown_by), strict=True)) for pair in new]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_safely(EQUAL, text.getvalue().encode())
    return len(new)


def _weights(stored: Stored) -> tuple[Any, ...]:
    """The weights, and what was counted and measured on them, because the engine's hash covers that code too."""
    record = stored.record
    counted = (record.cost.training_macs, record.cost.search_macs, record.network.removed, record.network.macs)
    return (record.network.weights_hash, record.outcome.top1, record.outcome.best_top1, *counted)


def _pairs(then: Stored, now: Stored) -> Iterator[Pair]:
    for part in PARTS:
        was, is_now = getattr(then.record.code, part), getattr(now.record.code, part)
        if was != is_now:
            yield part, was, is_now


@contextmanager
def _checkout(commit: str, folder: Path) -> Iterator[Path]:
    made = subprocess.run(
        ["git", "-C", str(ROOT), "worktree", "add", "--detach", str(folder), commit], capture_output=True, text=True
    )
    if made.returncode:
        raise UserError(f"{commit}: {made.stderr.strip().splitlines()[-1]}")
    try:
        yield folder
    finally:
        subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(folder)], check=True)


def _run(root: Path, suite: str, store: Store) -> None:
    path = str(Path(suite).resolve()) if suite.endswith(".toml") else suite
    command = [sys.executable, "-m", "benchmark", "run", path, "--out", str(store.root), "--threads", "1"]
    env = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=env)
    if done.returncode:
        raise UserError(f"{Path(suite).name} does not run at {root}: {done.stderr.strip() or done.stdout.strip()}")
