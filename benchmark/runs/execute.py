"""One cell, from its spec to its record: load, resume, run the method, evaluate, write the record."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from benchmark.data.files import Files
from benchmark.data.images import Images, Place
from benchmark.errors import NoData, OutOfMemory, Stopped, UserError
from benchmark.plan import discovery
from benchmark.plan.canonical import digest
from benchmark.plan.cell import CHANNEL_KINDS, Cell
from benchmark.pruning import count
from benchmark.pruning.dry_run import checked
from benchmark.records.code import Code, code_of
from benchmark.records.store import Store, Stored
from benchmark.runs import checkpoint
from benchmark.runs.attempts import Attempts, starts
from benchmark.runs.parent import find_parents
from benchmark.runs.result import Tries, record_of
from benchmark.runs.run import Run
from benchmark.runs.work import Progress
from benchmark.training.batches import Batches
from benchmark.training.build import build
from benchmark.training.environment import Environment
from benchmark.training.meter import spent
from benchmark.training.ranks import ALONE, Ranks
from benchmark.training.training import Diverged, Trainer
from benchmark.training.weights import write_weights


@dataclass(frozen=True)
class Context:
    """What a cell needs from its surroundings."""

    store: Store
    environment: Environment
    data_root: Path
    methods_from: tuple[Path, ...] = ()
    save_every: float = 60.0  # seconds between checkpoints
    shared: int = 1  # runs that share this machine, for the record
    ranks: Ranks = ALONE  # the processes that train this cell together
    stop: Callable[[], bool] = lambda: False
    say: Callable[[str], None] = print
    watch: Callable[[Run], None] = lambda run: None


def execute(cell: Cell, context: Context, *, force: bool = False) -> Stored:
    """Run the cell, or continue it, and return its record. Every attempt and its end are logged."""
    folder = context.store.run_folder(cell.id)
    code = code_of(cell, context.methods_from)
    saved, saved_at, in_vain = _checkpoint(cell, context, code, force)
    if not saved:
        checkpoint.discard(folder)
    attempts = Attempts(folder)
    attempts.begin(saved_at, in_vain)
    try:
        run = begun(cell, context, attempts, code)
        _resume(run, saved)
        diverged_at = _follow(run, cell, context)
        stored = _write_down(run, cell, context, attempts, code, diverged_at)
    except Stopped:
        attempts.end("interrupted")
        raise
    except Exception as error:  # what ends the process at once is not caught: it leaves no end, as a kill does
        if why := context.environment.why_out_of_memory(error):
            attempts.end("out of memory", why)
            raise OutOfMemory(f"{cell.name}: {why}") from error
        if context.ranks.lost_one(error):  # another process died: a killed attempt, not a failed cell
            raise
        attempts.end("failed", f"{type(error).__name__}: {error}")
        raise
    attempts.end(stored.record.ending)
    attempts.path.rename(folder / f"attempts-{stored.content}.jsonl")  # a replicate counts its own
    checkpoint.discard(folder)
    return stored


def assist(cell: Cell, context: Context, *, force: bool = False) -> None:
    """Another process of a cell that several train together. It makes the same calls and writes nothing."""
    code = code_of(cell, context.methods_from)
    saved, *_ = _checkpoint(cell, context, code, force)
    run = begun(cell, context, None, code)
    _resume(run, saved)
    _follow(run, cell, context)


# ---- 1. where to continue --------------------------------------------------------------------------


def _checkpoint(cell: Cell, context: Context, code: Code, force: bool) -> tuple[checkpoint.State | None, float, float]:
    """The checkpoint to continue from, when it was written, and the seconds of work in it if it cannot be used.

    A record is of one code, one device, one mode, one thread count.
    """
    found = saved = checkpoint.load(context.store.run_folder(cell.id), context.say)
    if force:
        saved = None
    elif saved and (other := _differs(saved, code, context.environment)):
        context.say(f"{cell.name}: its checkpoint is of other {other}; starting afresh")
        saved = None
    context.ranks.check_equal(
        "what they go on from", digest(saved and saved["progress"])
    )  # before any of it is removed
    progress = json.loads(found.get("progress", "{}")) if found else {}
    in_vain = 0.0 if saved else spent(progress.get("seconds", {}))
    return saved, progress.get("saved_at", 0.0), in_vain


def _differs(saved: checkpoint.State, code: Code, environment: Environment) -> str:
    if not {"code", "progress", "trainer"} <= saved.keys():
        return "make"
    if saved["code"] != _hash(code):
        return "code"
    return "" if saved.get("how") == _how(environment) else "device, mode or threads"


def _how(environment: Environment) -> list[str | int]:
    return [environment.device.type, environment.mode, environment.threads]


def _hash(code: Code) -> str:
    return digest(code.model_dump(exclude={"commit", "dirty", "version"}))


# ---- 2. data, network and channels, ready to train -------------------------------------------------


def begun(cell: Cell, context: Context, attempts: Attempts | None, code: Code) -> Run:
    context.environment.forget_peak_memory()
    images = load_images(cell, context.data_root)
    batches = Batches(images, cell.recipe, cell.seed, context.environment.device, context.ranks)
    network = build(cell, batches.classes)
    shape = (batches.channels, batches.size, batches.size)
    cuts = cell.remove is not None and cell.remove.kind in CHANNEL_KINDS
    channels = checked(network, shape, batches.classes, cell.model, cuts_channels=cuts)
    trainer = Trainer(network, batches, cell.recipe)
    last_save = time.monotonic()

    def save(progress: Progress) -> None:
        nonlocal last_save
        last_save = time.monotonic()
        if not context.ranks.leads:
            return
        head = {"code": _hash(code), "how": _how(context.environment), "progress": json.dumps(asdict(progress))}
        state = head | {"trainer": trainer.state()}
        checkpoint.save(context.store.run_folder(cell.id), state)

    def check_in(run: Run) -> bool:
        if attempts:
            attempts.beat()
        context.watch(run)
        if context.ranks.size > 1 and run.trainer.step:  # sums of an unfinished epoch are spread over the processes
            return False
        if context.ranks.agreed(context.stop):
            run.save()
            raise Stopped
        return time.monotonic() - last_save >= context.save_every

    macs = count.macs(network, shape)
    parents = find_parents(cell, context.store, context.environment, context.methods_from)
    return Run(cell, trainer, macs=macs, channels=channels, parents=parents, save=save, check_in=check_in)


def load_images(cell: Cell, root: Path) -> Images:
    return _load_images(cell.data, cell.recipe.size, root, "resized_crop" in cell.recipe.augment)


@lru_cache(maxsize=1)
def _load_images(data: str, size: int | None, root: Path, stream: bool) -> Images:
    """The last data set stays in memory, because the next cell most often needs the same."""
    load = discovery.load(discovery.pick("data set", data, discovery.datasets()))
    try:
        images: Images = load(Place(root, data.partition(":")[2], size, stream=stream))
    except UserError as error:
        raise NoData(str(error)) from error
    if stream and not isinstance(images.train, Files):
        raise UserError(f"{data}: resized_crop wants image files; this set is an array")
    return images


# ---- 3. the method, from its first line or from its checkpoint -------------------------------------


def _resume(run: Run, saved: checkpoint.State | None) -> None:
    if saved:
        run.resume(Progress(**json.loads(saved["progress"])), saved["trainer"])


def _follow(run: Run, cell: Cell, context: Context) -> int | None:
    """Run the method from its first line; calls in the journal are not repeated. Returns the epoch it diverged in."""
    if context.environment.fingerprint not in run.progress.fingerprints:
        run.progress.fingerprints.append(context.environment.fingerprint)
    found = discovery.pick("method", cell.method.name, discovery.methods(context.methods_from))
    method = discovery.load(found)
    try:
        method(run, **discovery.options(found, cell.method.config, run.kind))
    except Diverged as diverged:
        return diverged.epoch
    if run.epoch != run.epochs:
        raise UserError(f"{cell.method.name} trained {run.epoch} of {run.epochs} epochs; end with run.train()")
    return None


# ---- 4. the record ---------------------------------------------------------------------------------


def _write_down(
    run: Run, cell: Cell, context: Context, attempts: Attempts, code: Code, diverged_at: int | None
) -> Stored:
    tries = Tries(starts(attempts.lines()), attempts.lost_seconds(), context.shared)
    record, side = record_of(run, cell, context.environment, code, tries, diverged_at)
    context.watch(run)  # the last chance to notice that another worker has the cell now
    write_weights(run.trainer.network, context.store.weights(record.network.weights_hash))
    return context.store.add(record, side)
