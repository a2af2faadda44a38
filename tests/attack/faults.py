"""Every call that changes the disk below a folder, one by one, so that any of them can be the one that fails.

A moment is the n-th of these calls, not a time: it does not depend on how busy the machine is.
"""

import errno
import io
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmark.errors import UserError
from tests.attack.common import SEED, SIZE
from tests.runs.forked import end_of, in_child

ERRORS = ("ENOSPC", "EDQUOT", "EIO", "EROFS", "EMFILE")
DEATH = "death"
KINDS = (DEATH, *ERRORS, *(f"{name} from then on" for name in ERRORS))
made: Counter[str] = Counter()  # faults so far, by call and kind
PUBLISHED = "results/published"  # where `pin` copies records to, from where it is typed
Files = dict[str, bytes]
Strike = Callable[[str, Path], None]


@dataclass
class Fault:
    """At the n-th call: death, or an error; a disk that is full or read-only often stays so for all later calls."""

    at: int
    kind: str
    calls: list[str] = field(default_factory=list)
    struck: str = ""  # the call it hit

    def __call__(self, call: str, path: Path) -> None:
        self.calls.append(call)
        stays = self.kind.endswith("from then on")
        if len(self.calls) < self.at or (self.struck and not stays):
            return
        self.struck = self.struck or call
        if self.kind == DEATH:
            os.kill(os.getpid(), signal.SIGKILL)
        number = getattr(errno, self.kind.split()[0])
        if call in ("write", "fsync"):  # the system names no file here
            raise OSError(number, os.strerror(number))
        raise OSError(number, os.strerror(number), str(path))


class Torn:
    """A file open for writing. A write is struck when half of it is done."""

    def __init__(self, file: Any, path: Path, strike: Strike) -> None:
        self._file, self._path, self._strike = file, path, strike

    def write(self, data: Any) -> int:
        half = len(data) // 2
        self._file.write(data[:half])
        self._file.flush()
        self._strike("write", self._path)
        return half + int(self._file.write(data[half:]))

    def __enter__(self) -> "Torn":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def watched(root: Path, strike: Strike) -> Iterator[None]:
    """`strike` hears of each call below `root` before it is made."""
    whole = {name: getattr(os, name) for name in ("open", "fsync", "replace", "rename", "mkdir", "unlink", "utime")}
    plain = io.open
    below = str(root.resolve())

    def heard(call: str, path: Any) -> None:
        if (absolute := os.path.abspath(path)).startswith(below):  # noqa: PTH100  # a link is no other place
            strike(call, Path(absolute))

    def opened(file: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if isinstance(file, int) or not set(mode) & set("wax+") or not os.path.abspath(file).startswith(below):  # noqa: PTH100
            return plain(file, mode, *rest, **more)
        heard("open", file)
        return Torn(plain(file, mode, *rest, **more), Path(file), strike)

    def synced(handle: int) -> None:
        heard("fsync", os.readlink(f"/proc/self/fd/{handle}"))  # noqa: PTH115  # a Path would drop " (deleted)" too
        whole["fsync"](handle)

    def first(name: str) -> Callable[..., Any]:
        def call(path: Any, *rest: Any, **more: Any) -> Any:
            heard(name, path)
            return whole[name](path, *rest, **more)

        return call

    def second(name: str) -> Callable[..., Any]:
        def call(path: Any, to: Any, *rest: Any, **more: Any) -> Any:
            heard(name, to)
            return whole[name](path, to, *rest, **more)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(io, "open", opened)
        patch.setattr(os, "fsync", synced)
        for name in ("open", "mkdir", "unlink", "utime"):
            patch.setattr(os, name, first(name))
        for name in ("replace", "rename"):
            patch.setattr(os, name, second(name))
        yield


def files(root: Path) -> Files:
    """All but what a writer who died left; those are hidden files."""
    paths = (path for path in root.rglob("*") if path.is_file() and not path.name.endswith(".tmp"))
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def kinds(chance: random.Random) -> tuple[str, ...]:
    return KINDS if SIZE == "full" else (DEATH, *chance.sample(KINDS[1:], 2))


def hit(work: Callable[[Path], None], root: Path, fault: Fault) -> str | None:
    """What was said of it, if anything; None where the work went through without that many calls."""
    if fault.kind == DEATH:

        def do() -> None:
            with watched(root, fault):
                work(root)

        code = end_of(in_child(do))
        assert code in (0, -9), code
        return None if code == 0 else ""
    try:
        with watched(root, fault):
            work(root)
    except (UserError, OSError) as error:
        said = str(error)
    else:
        said = ""
    made[f"{fault.struck or 'none'}: {fault.kind}"] += bool(fault.struck)
    return said if fault.struck else None


def each_fault(what: str, before: Path, work: Callable[[Path], None]) -> Iterator[tuple[Path, str, str]]:
    """A copy of `before` after each fault, its kind and what was said; when it is looked at, work is done again."""
    chance = random.Random(f"{SEED} {what}")
    root = before.with_name("faulty")
    with counted(before, work) as calls:
        print(f"{what}: {len(calls)} calls, PRUNEBENCH_ATTACK_SEED={SEED}")
    for at in range(1, len(calls) + 2):
        for kind in kinds(chance):
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(before, root)
            said = hit(work, root, Fault(at, kind))
            assert (said is None) == (at > len(calls)), (at, kind)
            if said is None:
                continue
            made[f"{calls[at - 1]}: {DEATH}"] += kind == DEATH
            where = f"call {at} of {len(calls)} ({calls[at - 1]}): {kind}"
            if said:
                assert "\n" not in said.strip(), f"{where}: {said}"
                assert "Traceback" not in said, f"{where}: {said}"
                assert str(root) in said or PUBLISHED in said, f"{where}: names no path: {said}"
            yield root, kind, f"{where}: {said}"


@contextmanager
def counted(before: Path, work: Callable[[Path], None]) -> Iterator[list[str]]:
    calls: list[str] = []
    root = before.with_name("whole")
    shutil.copytree(before, root)
    with watched(root, lambda call, path: calls.append(call)):
        work(root)
    yield calls


def intact(root: Path, old: Files, new: Files, kind: str, where: str) -> None:
    now = files(root)
    assert old.keys() <= now.keys() <= new.keys(), where
    for path, content in now.items():
        assert content in (old.get(path), new[path]), f"{where}: {path} is neither the old one nor the new one"
    if kind != DEATH and where.endswith(": "):
        assert now == new, f"{where}: nothing was said"
    if "what was there before is intact" in where:
        (named,) = {path for path in new if f" {root}/{path}: " in where or f" {path}: " in where}
        assert now.get(named) == old.get(named), f"{where}: it is not"
