"""Workers beside each other on one machine: they share out its GPUs, and the dead are replaced."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.launch import local
from benchmark.launch.spec import Spec
from benchmark.records.store import Store
from tests.conftest import tiny
from tests.launch.common import HOW


def test_workers_share_out_the_gpus_and_their_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    started: list[tuple[dict[str, Any], dict[str, str]]] = []

    class Over:
        returncode, stdin = 0, None

        def poll(self) -> int:
            return 0

        def wait(self) -> int:
            return 0

    def note(order: dict[str, Any], surroundings: dict[str, str]) -> Over:
        started.append((order, surroundings))
        return Over()

    monkeypatch.setattr(local, "_start", note)
    specs = [Spec(tiny(seed=seed), replace(HOW, device="cuda")) for seed in range(5)]
    local.run_beside(specs, Store(tmp_path), 3, budget=None, debug=False, to_stderr=False)
    assert [where["CUDA_VISIBLE_DEVICES"] for _, where in started] == ["0", "1", "0"]
    assert [order["share"] for order, _ in started] == [2, 2, 2], "two at most on one GPU, half its memory each"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-b,GPU-c")
    started.clear()
    local.run_beside(specs, Store(tmp_path), 2, budget=None, debug=False, to_stderr=False)
    assert [where["CUDA_VISIBLE_DEVICES"] for _, where in started] == ["GPU-b", "GPU-c"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7,8")
    started.clear()
    pairs = [*specs, Spec(tiny(gpus=2), replace(HOW, device="cuda"))]
    local.run_beside(pairs, Store(tmp_path), 3, budget=None, debug=False, to_stderr=False)
    assert [where["CUDA_VISIBLE_DEVICES"] for _, where in started] == ["4,5", "6,7", "4,5"], "as many as a cell wants"
    started.clear()
    local.run_beside(
        [replace(spec, how=HOW) for spec in specs], Store(tmp_path), 2, budget=None, debug=False, to_stderr=False
    )
    assert all("CUDA_VISIBLE_DEVICES" not in where and where["OMP_NUM_THREADS"] == "1" for _, where in started)


def test_workers_that_all_die_at_once_are_all_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def start(order: dict[str, Any], surroundings: dict[str, str]) -> subprocess.Popen[bytes]:
        started.append(len(started))
        process = subprocess.Popen(["sh", "-c", "kill -9 $$" if len(started) <= 2 else "true"])
        process.wait()
        return process

    monkeypatch.setattr(local, "_start", start)
    specs = [Spec(tiny(seed=seed), HOW) for seed in range(5)]
    local.run_beside(specs, Store(tmp_path), 2, budget=None, debug=False, to_stderr=False)
    assert len(started) == 4


def test_workers_that_die_before_they_begin_a_cell_are_not_replaced_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def start(order: dict[str, Any], surroundings: dict[str, str]) -> subprocess.Popen[bytes]:
        started.append(len(started))
        process = subprocess.Popen(["sh", "-c", "kill -9 $$"])
        process.wait()
        return process

    monkeypatch.setattr(local, "_start", start)
    specs = [Spec(tiny(seed=seed), HOW) for seed in range(5)]
    summary = local.run_beside(specs, Store(tmp_path), 2, budget=None, debug=False, to_stderr=False)
    assert summary.stopped == "workers die before they begin a cell"
    assert len(started) < 20
    assert len(summary.left) == 5
