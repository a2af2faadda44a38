"""One cell, from its spec to its record: load, resume, run the method, evaluate, write down."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from benchmark import find
from benchmark.canonical import digest
from benchmark.cell import CHANNEL_KINDS, Cell
from benchmark.code import Code, code_of
from benchmark.data.files import Files
from benchmark.data.images import Images, Place
from benchmark.engine import checkpoint
from benchmark.engine.attempts import Attempts, starts
from benchmark.engine.batches import Batches
from benchmark.engine.build import build
from benchmark.engine.environment import Environment
from benchmark.engine.meter import spent
from benchmark.engine.ranks import ALONE, Ranks
from benchmark.engine.training import Diverged, Trainer
from benchmark.engine.weights import write_weights
from benchmark.errors import NoData, OutOfMemory, Stopped, UserError
from benchmark.network import count
from benchmark.network.dry_run import checked
from benchmark.parent import find_parents
from benchmark.result import Tries, record_of
from benchmark.run import Progress, Run
from benchmark.store import Store, Stored


@dataclass(frozen=True)
class Desk:
    """What a cell needs from around it."""

    store: Store
    environment: Environment
    data_root: Path
    methods_from: tuple[Path, ...] = ()
    save_every: float = 60.0  # seconds between checkpoints
    packed: int = 1  # runs that share this machine, for the record
    ranks: Ranks = ALONE  # the processes that train this cell together
    stop: Callable[[], bool] = lambda: False
    say: Callable[[str], None] = print
    watch: Callable[[Run], None] = lambda run: None


def execute(cell: Cell, desk: Desk, *, force: bool = False) -> Stored:
    """Run the cell, or go on with it, and return its record. Every try and its end are written down."""
    folder = desk.store.run_folder(cell.id)
    code = code_of(cell, desk.methods_from)
    saved, saved_at, in_vain = _checkpoint(cell, desk, code, force)
    if not saved:
        checkpoint.discard(folder)
    attempts = Attempts(folder)
    attempts.begin(saved_at, in_vain)
    try:
        run = begun(cell, desk, attempts, code)
        _resume(run, saved)
        diverged_at = _follow(run, cell, desk)
        stored = _write_down(run, cell, desk, attempts, code, diverged_at)
    except Stopped:
        attempts.end("interrupted")
        raise
    except Exception as error:  # a process that ends here and now leaves no end, like a killed one: its work is lost
        if why := desk.environment.why_out_of_memory(error):
            attempts.end("out of memory", why)
            raise OutOfMemory(f"{cell.name}: {why}") from error
        if desk.ranks.lost_one(error):  # the leader dies of another's death: a killed attempt, not a failed cell
            raise
        attempts.end("failed", f"{type(error).__name__}: {error}")
        raise
    attempts.end(stored.record.ending)
    attempts.path.rename(folder / f"attempts-{stored.content}.jsonl")  # a replicate counts its own
    checkpoint.discard(folder)
    return stored


def assist(cell: Cell, desk: Desk, *, force: bool = False) -> None:
    """One more process of a cell that several train together: it makes the same calls and writes nothing."""
    code = code_of(cell, desk.methods_from)
    saved, *_ = _checkpoint(cell, desk, code, force)
    run = begun(cell, desk, None, code)
    _resume(run, saved)
    _follow(run, cell, desk)


def _follow(run: Run, cell: Cell, desk: Desk) -> int | None:
    """The method, from its first line; what its journal tells of is passed over. The epoch it diverged in."""
    if desk.environment.fingerprint not in run.progress.fingerprints:
        run.progress.fingerprints.append(desk.environment.fingerprint)
    found = find.pick("method", cell.method.name, find.methods(desk.methods_from))
    method = find.load(found)
    try:
        method(run, **find.options(found, cell.method.config, run.kind))
    except Diverged as diverged:
        return diverged.epoch
    if run.epoch != run.epochs:
        raise UserError(f"{cell.method.name} trained {run.epoch} of {run.epochs} epochs; end with run.train()")
    return None


def _write_down(run: Run, cell: Cell, desk: Desk, attempts: Attempts, code: Code, diverged_at: int | None) -> Stored:
    tries = Tries(starts(attempts.lines()), attempts.lost_seconds(), desk.packed)
    record, side = record_of(run, cell, desk.environment, code, tries, diverged_at)
    desk.watch(run)  # the last moment to learn that somebody else has the cell now
    write_weights(run.trainer.network, desk.store.weights(record.network.weights_hash))
    return desk.store.add(record, side)


def _checkpoint(cell: Cell, desk: Desk, code: Code, force: bool) -> tuple[checkpoint.State | None, float, float]:
    """What to go on from, when it was written, and the seconds of work in it if it is of no use.

    A record is of one code, one device, one mode, one thread count.
    """
    found = saved = checkpoint.load(desk.store.run_folder(cell.id), desk.say)
    if force:
        saved = None
    elif saved and (other := _differs(saved, code, desk.environment)):
        desk.say(f"{cell.name}: its checkpoint is of other {other}; starting afresh")
        saved = None
    desk.ranks.check_equal("what they go on from", digest(saved and saved["progress"]))  # before any of it is removed
    progress = json.loads(found.get("progress", "{}")) if found else {}
    in_vain = 0.0 if saved else spent(progress.get("seconds", {}))
    return saved, progress.get("saved_at", 0.0), in_vain


def _resume(run: Run, saved: checkpoint.State | None) -> None:
    if saved:
        run.resume(Progress(**json.loads(saved["progress"])), saved["trainer"])


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


def load_images(cell: Cell, root: Path) -> Images:
    return _load_images(cell.data, cell.recipe.size, root, "resized_crop" in cell.recipe.augment)


@lru_cache(maxsize=1)
def _load_images(data: str, size: int | None, root: Path, stream: bool) -> Images:
    """The last set stays in memory: the next cell most often wants the same."""
    load = find.load(find.pick("data set", data, find.datasets()))
    try:
        images: Images = load(Place(root, data.partition(":")[2], size, stream=stream))
    except UserError as error:
        raise NoData(str(error)) from error
    if stream and not isinstance(images.train, Files):
        raise UserError(f"{data}: resized_crop wants image files; this set is an array")
    return images


def begun(cell: Cell, desk: Desk, attempts: Attempts | None, code: Code) -> Run:
    desk.environment.forget_peak_memory()
    images = load_images(cell, desk.data_root)
    batches = Batches(images, cell.recipe, cell.seed, desk.environment.device, desk.ranks)
    network = build(cell, batches.classes)
    shape = (batches.channels, batches.size, batches.size)
    cuts = cell.remove is not None and cell.remove.kind in CHANNEL_KINDS
    channels = checked(network, shape, batches.classes, cell.model, cuts_channels=cuts)
    trainer = Trainer(network, batches, cell.recipe)
    last_save = time.monotonic()

    def save(progress: Progress) -> None:
        nonlocal last_save
        last_save = time.monotonic()
        if not desk.ranks.leads:
            return
        head = {"code": _hash(code), "how": _how(desk.environment), "progress": json.dumps(asdict(progress))}
        state = head | {"trainer": trainer.state()}
        checkpoint.save(desk.store.run_folder(cell.id), state)

    def check_in(run: Run) -> bool:
        if attempts:
            attempts.beat()
        desk.watch(run)
        if desk.ranks.size > 1 and run.trainer.step:  # sums of an epoch under way lie with several processes
            return False
        if desk.ranks.agreed(desk.stop):
            run.save()
            raise Stopped
        return time.monotonic() - last_save >= desk.save_every

    macs = count.macs(network, shape)
    parents = find_parents(cell, desk.store, desk.environment, desk.methods_from)
    return Run(cell, trainer, macs=macs, channels=channels, parents=parents, save=save, check_in=check_in)
