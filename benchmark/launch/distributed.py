"""A cell that several processes train together. Torchrun starts them; this file is what each of them does."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmark.errors import Stopped, UserError
from benchmark.launch.lease import Lease
from benchmark.launch.progress import Display
from benchmark.launch.setup import context_for, own_code
from benchmark.launch.shutdown import StopAsked, at_the_end_of
from benchmark.launch.spec import note_begun, read_spec
from benchmark.plan.cell import Cell
from benchmark.records.store import Store
from benchmark.runs.attempts import Attempts
from benchmark.runs.execute import assist, execute
from benchmark.runs.run import Run
from benchmark.training import ranks

DIED = 70  # exit code of a process whose worker is gone
GRACE = 60.0  # seconds until processes that were asked to stop are killed


class Died(Exception):
    """One of the processes is gone, and torchrun has ended the others."""


def train_together(cell: Cell, device: str, store: Store, lease: Lease, stop: StopAsked, force: bool) -> None:
    """The worker's side: start the processes, keep the lease alive, pass on a request to stop."""
    if device == "cuda" and (there := torch.cuda.device_count()) < cell.gpus:
        raise UserError(f"it needs {cell.gpus} GPUs, and this worker has {there}")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={cell.gpus}"]
    command += ["-m", "benchmark", "rank", cell.id, str(store.root.resolve()), *(["--force"] if force else [])]
    attempts = Attempts(store.run_folder(cell.id))
    before = len(attempts.lines())
    group = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, env=os.environ | own_code())
    asked = 0.0
    try:
        while group.poll() is None:
            time.sleep(0.2)
            lease.beat()
            if stop() and not asked:
                asked = time.monotonic()
                group.terminate()
            if asked and time.monotonic() - asked > GRACE:
                group.kill()
    finally:
        if group.poll() is None:
            group.kill()
            group.wait()
        assert group.stdin
        group.stdin.close()  # processes that torchrun left alive end now
    if stop():
        raise Stopped
    if group.returncode:
        if (lines := attempts.lines()[before:]) and lines[-1].event == "end":
            raise RuntimeError(lines[-1].why)
        raise Died(f"one of its {cell.gpus} processes died")


def rank_main(id: str, root: Path, force: bool) -> None:
    """One of the processes. The leader writes, the others assist."""
    at_the_end_of(sys.stdin, lambda: os._exit(DIED))  # its worker is gone, and another may have the cell already
    store = Store(root)
    spec = read_spec(id, store)
    stop = StopAsked()
    context = context_for(spec.how, store)
    mine = ranks.join(context.environment.device.type)

    def watch(run: Run) -> None:
        note_begun(spec, store.run_folder(id))
        display.watch(run)

    with stop.on_signals(), Display(1) as display:
        context = replace(context, stop=stop, ranks=mine)
        try:
            if mine.leads:
                display.begin(0, spec.cell.name, store.run_folder(id))
                execute(spec.cell, replace(context, watch=watch, say=display.say), force=force)
            else:
                assist(spec.cell, replace(context, say=lambda line: None), force=force)
        except Stopped:
            pass
    ranks.leave()
