"""Cells as Slurm jobs, through submitit: an array for each kind of job. A task gets an id and nothing else.

Submitit puts a job that meets its time limit, or is preempted, back into the queue. The job continues
from its last checkpoint: submitit calls `checkpoint` of the submitted object,
which only names what to run again. (It is called in the middle of a step; nothing is saved there.)
Squeue says whether a job is still queued, and the lease says whether a cell is being run.
Slurm without accounting knows no more.
"""

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.launch.setup import own_code
from benchmark.launch.spec import Spec, write_spec
from benchmark.plan.suite_file import Slurm
from benchmark.records.store import Store, write_safely

SIGNAL_BEFORE = 15  # seconds before the limit when Slurm sends its signal
ARRAY = 1000  # tasks in one array: Slurm's default limit
REQUEUES = 1000  # in effect no limit: preemption alone never fails a cell


class Job:
    """What a task does: one cell, by its id. Everything else is in the run folder."""

    def __init__(self, store: str) -> None:
        self.store = store

    def __call__(self, id: str) -> str:
        from benchmark.launch.progress import Display
        from benchmark.launch.setup import context_for
        from benchmark.launch.shutdown import StopAsked
        from benchmark.launch.spec import read_spec
        from benchmark.launch.worker import standing_of, work

        store = Store(Path(self.store))
        spec = read_spec(id, store)
        with Display(1) as display:
            work([spec], context_for(spec.how, store), StopAsked(), display)
        return " ".join(standing_of(spec, store)).strip()

    def checkpoint(self, id: str) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, id)


@dataclass(frozen=True)
class Batch:
    """Cells that ask Slurm for the same resources."""

    generation: int  # parents are in an earlier one
    gpus: int
    minutes: int
    specs: tuple[Spec, ...]


def submit(specs: list[Spec], hours: dict[str, float], store: Store, asked: Slurm, jobs: int) -> dict[str, str]:
    """Submit the cells. Returns id of each cell -> id of its job. Cells that are queued already are left alone."""
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError

    _need("sbatch", "srun")
    root = store.root.resolve()
    folder = root / "runs" / ".slurm"
    still = queued(specs, store)
    submitted: dict[str, str] = {}
    earlier: list[str] = []  # arrays of the previous generation
    for generation in _batches([spec for spec in specs if spec.cell.id not in still], hours, asked):
        mine: list[str] = []
        for batch in generation:
            executor = SlurmExecutor(folder=folder, max_num_timeout=REQUEUES)
            queued_parents = {still[id] for spec in batch.specs for id in spec.cell.parents.values() if id in still}
            after = [*earlier, *sorted(queued_parents)]
            executor.update_parameters(**_parameters(batch, asked, jobs, after))
            for spec in batch.specs:
                write_spec(spec, store)
            try:
                tasks = executor.map_array(Job(str(root)), [spec.cell.id for spec in batch.specs])
            except FailedJobError as error:
                raise UserError(f"sbatch: {error}") from None
            for spec, task in zip(batch.specs, tasks, strict=True):
                _note(store, spec.cell.id, task.job_id)
                submitted[spec.cell.id] = task.job_id
            mine.append(tasks[0].job_id.partition("_")[0])
        earlier = mine
    return submitted


def _need(*commands: str) -> None:
    if missing := [command for command in commands if not shutil.which(command)]:
        raise UserError(f"no Slurm here: {', '.join(missing)} not found; without --launcher slurm it runs here")


def queued(specs: Iterable[Spec], store: Store) -> dict[str, str]:
    """Cells that have a job in Slurm, waiting or running."""
    noted = {spec.cell.id: job for spec in specs if (job := job_of(spec.cell.id, store))}
    if not noted:
        return {}
    _need("squeue")
    asked = subprocess.run(["squeue", "--noheader", "--array", "--format=%i"], capture_output=True, text=True)
    if asked.returncode:
        raise UserError(f"squeue: {asked.stderr.strip()}")
    alive = set(asked.stdout.split())
    return {id: job for id, job in noted.items() if job in alive}


def job_of(id: str, store: Store) -> str:
    path = store.run_folder(id) / "slurm.json"
    try:
        return str(json.loads(path.read_bytes())["job"]) if path.is_file() else ""
    except (ValueError, TypeError, KeyError):  # the note cannot be read: the cell may be submitted again
        return ""


def _note(store: Store, id: str, job: str) -> None:
    write_safely(store.run_folder(id) / "slurm.json", json.dumps({"job": job}).encode())


def _batches(specs: list[Spec], hours: dict[str, float], asked: Slurm) -> list[list[Batch]]:
    """Batches by generation; within one, cells with the same needs together."""
    generation: dict[str, int] = {}
    groups: dict[tuple[int, int, int], list[Spec]] = {}
    for spec in specs:  # parents come first
        id = spec.cell.id
        generation[id] = 1 + max((generation.get(parent, -1) for parent in spec.cell.parents.values()), default=-1)
        key = generation[id], spec.cell.gpus if asked.gpus else 0, minutes_for(hours.get(id), asked)
        groups.setdefault(key, []).append(spec)
    batches = [
        Batch(*key, tuple(mine[start : start + ARRAY]))
        for key, mine in sorted(groups.items(), key=lambda pair: pair[0])
        for start in range(0, len(mine), ARRAY)
    ]
    return [[b for b in batches if b.generation == g] for g in sorted({b.generation for b in batches})]


CLASSES = (30, 120, 480, 1440)  # minutes; twice the estimate must fit


def minutes_for(hours: float | None, asked: Slurm) -> int:
    """The time limit: the user's, else the smallest class that holds twice the estimate."""
    if asked.time is not None:
        return asked.time
    return next((limit for limit in CLASSES if hours is not None and 120 * hours <= limit), CLASSES[-1])


def _parameters(batch: Batch, asked: Slurm, jobs: int, after: list[str]) -> dict[str, Any]:
    named = {
        key: value
        for key in ("partition", "account", "qos", "constraint", "mem")
        if (value := getattr(asked, key)) is not None
    }
    return named | {
        "job_name": "prunebench",
        "time": batch.minutes,
        "cpus_per_task": asked.cpus,
        "signal_delay_s": SIGNAL_BEFORE,
        "array_parallelism": jobs if jobs > 1 else 256,
        **({"gpus_per_node": batch.gpus} if batch.gpus else {}),
        **({"dependency": "afterany:" + ":".join(after)} if after else {}),
        "additional_parameters": {"requeue": True},
        "setup": [f"export {name}={shlex.quote(value)}" for name, value in own_code().items()],
    }
