"""Which worker has a cell. Leases are numbered files, created exclusively and never changed: safe on NFS, no locks.

    lease.0001          taken: by which host, process and job, for which launch
    lease.0001.over     given back, and how it ended
    lease.0002          taken again

A worker on this machine is alive while its process is, and dead after a reboot. A worker on another machine is alive
while the time of its file changes. The lease of a dead worker is not removed: the next number is taken,
and of two workers only one can create it. A clock that is set back does no harm, because times are compared only for
being different, never for being earlier.
"""

import json
import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from benchmark.errors import Stopped, UserError

STALE = 900.0  # seconds without a sign of life: longer than decoding, compiling or evaluating takes between two steps
TORN = 20.0  # the same for a lease without a readable holder: a living maker writes it at once


@dataclass(frozen=True)
class Holder:
    """A process, described so that another can tell whether it is still alive."""

    host: str
    namespace: str  # where its process number is valid: this boot of this machine, this container
    pid: int
    born: int  # process numbers are reused; start times are not
    launch: str  # one run of one command
    job: str = ""
    began_at: str = ""  # the checkpoint that it continued from
    machine: str = ""  # the same after a reboot

    @classmethod
    def me(cls, launch: str, began_at: str = "") -> "Holder":
        pid = os.getpid()
        return cls(platform.node(), _namespace(), pid, _born(pid), launch, _job(), began_at, _machine())

    def is_here(self) -> bool:
        """Whether this machine can look up its process."""
        return self.namespace == _namespace() != ""

    def is_dead(self) -> bool:
        """Whether it is known to be dead. False where this machine cannot know."""
        if self.is_here():
            return _born(self.pid) != self.born
        mine = (self.host, self.machine) == (platform.node(), _machine()) and self.machine != ""
        return mine and _boot(self.namespace) != _boot(_namespace())


HOLDER = TypeAdapter(Holder)
NOBODY_KNOWN = Holder("", "", 0, 0, "")


class LeaseLost(Stopped):
    """Another worker took over the cell. The work of this one no longer counts."""


class Lease:
    def __init__(self, folder: Path, before: "State") -> None:
        self.folder, self.before, self.number = folder, before, before.number + 1
        self.path = folder / f"lease.{self.number:04d}"
        self._last_beat = time.monotonic()

    def beat(self, every: float = 1.0) -> None:
        """Give a sign of life, and check that the cell is still ours."""
        if time.monotonic() - self._last_beat < every:
            return
        self._last_beat = time.monotonic()
        if last_number(self.folder) != self.number:
            raise LeaseLost(f"{self.folder.name}: taken over by another worker")
        os.utime(self.path)

    def deaths_before(self) -> int:
        """How many workers of this launch in a row died on the cell without getting any further."""
        mine, deaths = _read(self.path) or {}, 0
        for number in range(self.before.number, 0, -1):
            path = self.folder / f"lease.{number:04d}"
            theirs, over = _read(path) or {}, _read(path.with_name(f"{path.name}.over"))
            if theirs.get("began_at") != mine.get("began_at"):
                break
            if theirs.get("launch") == mine.get("launch"):  # other launches may try in between; they count their own
                if over is not None and over.get("ending") != "died":
                    break
                deaths += 1
        return deaths

    def give_back(self, ending: str, why: str = "") -> None:
        _create(self.path.with_name(f"{self.path.name}.over"), {"ending": ending, "why": why})


@dataclass(frozen=True)
class State:
    """The content of the newest lease."""

    number: int
    holder: Holder | None = None  # None: never taken
    ending: str = ""  # empty: not given back
    why: str = ""

    @property
    def taken(self) -> bool:
        return self.holder is not None and not self.ending


class Watch:
    """Tells living leases from stale ones by watching whether their time changes."""

    def __init__(self, stale: float = STALE) -> None:
        self.stale = stale
        self._seen: dict[Path, tuple[int, float]] = {}  # lease -> its time, and when that was first seen

    def claim(self, folder: Path, me: Holder) -> Lease | None:
        """Take the cell, if no living worker has it."""
        now = state(folder)
        if now.taken and not self._is_stale(folder, now):
            return None
        lease = Lease(folder, now)
        return lease if _create(lease.path, asdict(me)) else None

    def _is_stale(self, folder: Path, now: State) -> bool:
        if now.holder and now.holder.is_dead():
            return True
        if now.holder and now.holder.is_here():
            return False
        path = folder / f"lease.{now.number:04d}"
        try:
            changed = path.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        if self._seen.get(path, (None, 0.0))[0] != changed:
            self._seen[path] = changed, time.monotonic()
        patience = min(self.stale, TORN) if now.holder == NOBODY_KNOWN else self.stale
        return time.monotonic() - self._seen[path][1] > patience


def state(folder: Path) -> State:
    number = last_number(folder)
    path = folder / f"lease.{number:04d}"
    taken = _read(path)
    if not number or taken is None:
        return State(number)
    over = _read(path.with_name(f"{path.name}.over"))
    ending = "" if over is None else str(over.get("ending", "interrupted"))
    try:
        holder = HOLDER.validate_python(taken)
    except ValidationError:
        holder = NOBODY_KNOWN
    return State(number, holder, ending, str((over or {}).get("why", "")))


def why_failed(folder: Path, launch: str) -> str | None:
    """Why the cell failed in this launch, even if another worker has had it since; None if it did not fail."""
    for path in _leases(folder):
        over = _read(path.with_name(f"{path.name}.over")) or {}
        if over.get("ending") == "failed" and (_read(path) or {}).get("launch") == launch:
            return str(over.get("why", ""))
    return None


def silent_for(folder: Path, now: State) -> float:
    """Seconds since the holder's last sign of life, by this machine's clock. Only shown; it decides nothing."""
    if now.holder and now.holder.is_here():
        return 0.0
    try:
        return max(0.0, time.time() - (folder / f"lease.{now.number:04d}").stat().st_mtime)
    except FileNotFoundError:
        return 0.0


def last_number(folder: Path) -> int:
    return max((int(path.name[6:]) for path in _leases(folder)), default=0)


def _leases(folder: Path) -> list[Path]:
    return [path for path in folder.glob("lease.*") if path.name[6:].isdecimal()]


def _create(path: Path, content: dict[str, Any]) -> bool:
    """Create a lease. Only one worker can. Its existence counts; its content is information."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x") as file:
            try:
                file.write(json.dumps(content))
                file.flush()
            except OSError:
                path.unlink()  # it is ours and empty: others would wait for no one
                raise
    except FileExistsError:
        return False
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    return True


def _read(path: Path) -> dict[str, Any] | None:
    """None: not there. Empty: just created, or its writer was killed, or it is not one of our leases."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, OSError):
        return {}
    return found if isinstance(found, dict) else {}


def _job() -> str:
    task = os.environ.get("SLURM_ARRAY_TASK_ID", "")
    return os.environ.get("SLURM_ARRAY_JOB_ID", os.environ.get("SLURM_JOB_ID", "")) + (f"_{task}" if task else "")


def _namespace() -> str:
    """Empty if processes cannot be told apart (not Linux). Then only the file's time counts."""
    boot, processes = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    return f"{boot.read_text().strip()} {processes.readlink()}" if boot.exists() and processes.exists() else ""


def _boot(namespace: str) -> str:
    return namespace.partition(" ")[0]


def _machine() -> str:
    """Empty in most containers. A reboot of the host is then noticed only by the file's time."""
    path = Path("/etc/machine-id")
    return path.read_text().strip() if path.is_file() else ""


def _born(pid: int) -> int:
    """The start time in clock ticks since boot; 0 if there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])
