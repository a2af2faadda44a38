"""Cells on this machine: in this process, or in several at the same time. The run folders are the only truth."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from benchmark.launch.lease import last_number
from benchmark.launch.progress import Display
from benchmark.launch.setup import context_for, own_code
from benchmark.launch.shutdown import StopAsked
from benchmark.launch.spec import How, Spec, read_spec, write_spec
from benchmark.launch.worker import TRIES, Summary, standing_of, unsettled, work
from benchmark.plan.cell import Cell
from benchmark.records.store import Store


def run_here(specs: list[Spec], store: Store, *, budget: float | None, debug: bool, to_stderr: bool) -> Summary:
    """Run the cells in one worker, which is this process."""
    stop = StopAsked(budget)
    for spec in specs:
        write_spec(spec, store)
    with Display(len(specs), to_stderr=to_stderr) as display, stop.on_signals():
        work(specs, context_for(specs[0].how, store), stop, display, debug=debug)
    return summary_of(specs, store, stop.why)


def run_beside(
    specs: list[Spec], store: Store, jobs: int, *, budget: float | None, debug: bool, to_stderr: bool
) -> Summary:
    """Run the cells in `jobs` workers, each a process with its own device and threads. A dead one is replaced."""
    stop = StopAsked(budget)
    for spec in specs:
        write_spec(spec, store)
    order: dict[str, Any] = {"store": str(store.root.resolve())}
    how = specs[0].how
    order |= {"how": asdict(how), "asked": [(spec.cell.id, spec.instead_of, spec.forced_by) for spec in specs]}
    blocks, count = blocks_of(how.device, [spec.cell for spec in specs]), min(jobs, len(specs))
    order |= {"budget": budget, "debug": debug, "to_stderr": to_stderr, "share": sharing(count, blocks)}
    with stop.on_signals():
        workers = [_start(order, _surroundings(how, k, blocks)) for k in range(count)]
        claimed, deaths = _claims(specs, store), 0  # deaths in a row since a cell was last begun
        while not stop():
            killed = [k for k, worker in enumerate(workers) if (worker.poll() or 0) < 0]
            if killed and any(unsettled(spec, store) for spec in specs):  # replace them
                before, claimed = claimed, _claims(specs, store)
                deaths = deaths + len(killed) if claimed == before else 0
                if deaths > TRIES * len(workers):
                    stop.why = "workers die before they begin a cell"
                for k in killed if not stop.why else []:
                    _let_go(workers[k])
                    workers[k] = _start(order, _surroundings(how, k, blocks))
            elif all(worker.poll() is not None for worker in workers):
                break
            time.sleep(0.1)
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.wait()
            _let_go(worker)
    return summary_of(specs, store, stop.why)


def _let_go(worker: subprocess.Popen[str]) -> None:
    """Its end of the pipe: while that is open, a worker knows that its launcher lives."""
    if worker.stdin:
        with suppress(BrokenPipeError):
            worker.stdin.close()


def worker_main(order: dict[str, Any]) -> None:
    """A worker process, with the order that it read from standard input."""
    stop = StopAsked(order["budget"])
    stop.when_closed(sys.stdin)
    store = Store(Path(order["store"]))
    how = How(**order["how"] | {"methods": tuple(order["how"]["methods"])})
    specs = [  # take only the cell from the file: another launch may have overwritten the rest
        replace(read_spec(id, store), how=how, instead_of=tuple(there), forced_by=forced_by)
        for id, there, forced_by in order["asked"]
    ]
    context = context_for(specs[0].how, store)
    if (
        context.environment.device.type == "cuda" and order["share"] > 1
    ):  # a cell that needs too much fails alone, with a message
        torch.cuda.set_per_process_memory_fraction(1 / order["share"])
    with Display(len(specs), to_stderr=order["to_stderr"]) as display, stop.on_signals():
        work(specs, context, stop, display, debug=order["debug"])


def summary_of(specs: list[Spec], store: Store, stopped: str) -> Summary:
    """The state of the launch, read from the folders."""
    summary = Summary(stopped=stopped)
    left: set[str] = set()  # parents that may still be finished
    names = Counter(spec.cell.name for spec in specs)
    for spec in specs:
        standing, why = standing_of(spec, store, left)
        name = spec.cell.name + (f" [{spec.cell.id}]" if names[spec.cell.name] > 1 else "")
        match standing:
            case "done":
                summary.done.append(name)
            case "diverged":
                summary.diverged.append(name)
            case "failed" | "blocked":
                summary.failed[name] = why
            case _:
                left.add(spec.cell.id)
                summary.left.append(name)
    return summary


def _claims(specs: list[Spec], store: Store) -> int:
    return sum(last_number(store.run_folder(spec.cell.id)) for spec in specs)


def blocks_of(device: str, cells: list[Cell]) -> list[list[str]]:
    """The GPUs for workers, by their CUDA names, in blocks of as many as a cell needs."""
    if device == "cpu":
        return []
    named = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    gpus = named or [str(number) for number in range(torch.cuda.device_count())]
    width = max(cell.gpus for cell in cells)
    whole = [gpus[start : start + width] for start in range(0, len(gpus) - width + 1, width)]
    return whole or ([gpus] if gpus else [])  # too few: the cell that needs more reports it


def sharing(workers: int, blocks: list[list[str]]) -> int:
    """The largest number of workers that share one block of GPUs, or the processor."""
    return -(-workers // max(1, len(blocks)))


def _surroundings(how: How, place: int, blocks: list[list[str]]) -> dict[str, str]:
    """A worker's own threads and devices, so that workers do not compete."""
    mine = {}
    if how.threads:
        mine = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(how.threads))
    if blocks:
        mine["CUDA_VISIBLE_DEVICES"] = ",".join(blocks[place % len(blocks)])
    return mine


def _start(order: dict[str, Any], surroundings: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmark", "work"]
    env = os.environ | surroundings | own_code()
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=env, start_new_session=True)
    assert worker.stdin
    with suppress(BrokenPipeError):  # it died already; the code that waits for it notices
        worker.stdin.write(json.dumps(order) + "\n")
        worker.stdin.flush()
    return worker
