"""Writes a finished run as a record and its side file."""

import base64
import datetime
import platform
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.plan.cell import Cell
from benchmark.pruning import count
from benchmark.pruning.targets import NEAR
from benchmark.records.code import Code
from benchmark.records.record import Cost, How, Network, Outcome, Record, path_of
from benchmark.records.store import pack_side
from benchmark.runs.run import Run
from benchmark.training.build import build
from benchmark.training.environment import Environment
from benchmark.training.evaluate import evaluate
from benchmark.training.latency import latencies
from benchmark.training.weights import weights_hash


@dataclass(frozen=True)
class Tries:
    """How the cell came to its end."""

    attempts: int
    lost_seconds: float
    shared: int


def record_of(
    run: Run, cell: Cell, environment: Environment, code: Code, tries: Tries, diverged_at: int | None
) -> tuple[Record, bytes]:
    network, batches, progress = run.trainer.network, run.trainer.batches, run.progress
    with run.meter.on("evaluate"):
        test = evaluate(network, batches, batches.test)
        validation = evaluate(network, batches, batches.validation).top1 if cell.recipe.validation else None
    bits = base64.b64encode(np.packbits(test.bits.numpy()).tobytes()).decode()
    path: dict[str, Any] = {"curves": progress.curves, "journal": progress.journal, "bits": bits}
    if run.channels and progress.kept:
        path |= {"kept": progress.kept, "dense_widths": run.channels.costs.dense_widths}
    side, packed = pack_side(path)
    best = _best(run) or (test.top1, max(0, run.trainer.trained - 1))
    shape = (batches.channels, batches.size, batches.size)
    dense = build(cell, batches.classes)
    macs = count.macs(network, shape)
    if macs != run.macs:
        raise ArithmeticError(f"the cut network has {macs} MACs, its widths say {run.macs}")
    start = run.parents.get("start")
    record = Record(
        id=cell.id,
        cell=cell,
        ending="done" if diverged_at is None else "diverged",
        outcome=Outcome(
            top1=test.top1,
            top5=test.top5,
            mean_class=test.mean_class,
            n=test.n,
            validation=validation,
            best_top1=best[0],
            best_epoch=best[1],
            epochs_trained=run.trainer.trained,
            diverged_at=diverged_at,
        ),
        network=Network(
            macs=macs,
            macs_dense=count.macs(dense, shape),
            macs_nonzero=count.macs_nonzero(network, shape),
            params=count.parameters(network),
            params_dense=count.parameters(dense),
            nonzero=count.nonzero_parameters(network),
            removed=run.measure(),
            weights_hash=weights_hash(network),
            latency=latencies(network, dense, cell.recipe, batches) if progress.kept else None,
            path=path_of(progress.curves),
        ),
        cost=Cost(  # device hours: the wall clock × the number of processes
            train=run.meter.hours("train") * cell.gpus,
            search=run.meter.hours("search") * cell.gpus,
            recover=run.meter.hours("recover") * cell.gpus,
            evaluate=run.meter.hours("evaluate") * cell.gpus,
            lost=tries.lost_seconds / 3600,
            waiting=run.meter.hours("waiting") * cell.gpus,
            decoding=run.meter.hours("decoding") * cell.gpus,
            decoded=progress.decoded,
            training_macs=progress.training_macs,
            search_macs=progress.search_macs,
            pretrain=start.hours if start else 0.0,
            pretrain_macs=start.training_macs if start else 0,
            peak_memory=environment.peak_memory(),
        ),
        side=side,
        how=How(
            device=environment.device.type,
            device_name=environment.device_name,
            mode=environment.mode,
            threads=environment.threads,
            packed=tries.shared,
            fingerprint="+".join(progress.fingerprints),
            python=platform.python_version(),
            versions=environment.versions(),
            data_hash=batches.data_hash,
            decoder=batches.decoder,
            host=platform.node(),
            attempts=tries.attempts,
        ),
        code=code,
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        parents={role: parent.content for role, parent in run.parents.items()},
        notes=_notes(progress.journal),
    )
    return record, packed


def _notes(journal: list[dict[str, Any]]) -> dict[str, Any]:
    """The last single value of each name; series stay in the journal."""
    noted: dict[str, Any] = {}
    for entry in journal:
        if entry["call"] == "note":
            noted |= {k: v for k, v in entry["result"].items() if isinstance(v, int | float | str)}
    return noted


def _best(run: Run) -> tuple[float, int] | None:
    """(accuracy, epoch) best on test, among the epochs in which the network was as small as at the end."""
    small = run.measure() - NEAR
    tested = (point for point in run.progress.curves if "test" in point and point["removed"] >= small)
    return max(((point["test"], point["at"]) for point in tested), default=None)
