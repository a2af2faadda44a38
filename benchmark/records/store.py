"""The folder that holds what was run. The files are the only truth; there is no index and no database.

records/<id>/<content>.json     one finished run; many under one id are replicates
records/<id>/<hash>.side.gz     its curves, journal and per-image bits
records/<id>/<content>.<hash>.alone   its hours, timed again with the machine to itself
weights/<hash>.safetensors      its final weights
runs/<id>/                      the work in progress: attempts, checkpoints, log
"""

import gzip
import hashlib
import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from pydantic import ValidationError
from pydantic_core import from_json

from benchmark.errors import Damaged, UserError
from benchmark.plan.canonical import canonical, digest
from benchmark.plan.cell import PROTOCOL
from benchmark.records.record import FORMAT, Alone, Cost, Record, Side
from benchmark.records.side import opened

T = TypeVar("T")


@dataclass(frozen=True)
class Stored:
    record: Record
    path: Path
    alone: Alone | None = None
    start: "Stored | None" = None  # the run it was pretrained by, if that is in the store

    @property
    def content(self) -> str:
        return self.path.stem

    @property
    def shared(self) -> bool:
        """Whether its hours (its parent's included) were measured while other runs shared the machine."""
        mine = self.record.how.packed > 1 and self.alone is None
        return mine or bool(self.start and self.start.shared)

    @property
    def cost(self) -> Cost:
        hours: dict[str, float] = {}
        if self.alone:
            hours |= {part: getattr(self.alone, part) for part in ("train", "search", "recover")}
        if self.start:
            hours["pretrain"] = self.start.cost.hours
        return self.record.cost.model_copy(update=hours) if hours else self.record.cost

    @property
    def latency(self) -> dict[str, tuple[float, float]] | None:
        return self.alone.latency if self.alone else self.record.network.latency

    @property
    def timed_on(self) -> tuple[str, int, int, str]:
        """Hours can be compared where this is equal."""
        how = self.alone or self.record.how
        return how.device_name, how.threads, 1 if self.alone else self.record.how.packed, how.fingerprint


class Store:
    """A record that cannot be trusted is reported once and left out. Its file stays where it is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.left_out: dict[str, str] = {}
        self._known: dict[str, Stored] = {}  # a record's name is the hash of its bytes: it never changes

    def run_folder(self, id: str) -> Path:
        return self.root / "runs" / id

    def weights(self, weights_hash: str) -> Path:
        return self.root / "weights" / f"{weights_hash}.safetensors"

    def add(self, record: Record, side: bytes, last_look: Callable[[], None] = lambda: None) -> Stored:
        """Write the side file first, so that a record names only what is there. `last_look` may still stop it."""
        folder = self.root / "records" / record.id
        write_safely(folder / f"{record.side}.side.gz", side)
        text = (json.dumps(record.model_dump(mode="json"), indent=1) + "\n").encode()
        path = folder / f"{hashlib.sha256(text).hexdigest()[:16]}.json"
        last_look()
        write_safely(path, text)
        return Stored(record, path)

    def add_alone(self, stored: Stored, alone: Alone) -> None:
        text = (json.dumps(alone.model_dump(mode="json"), indent=1) + "\n").encode()
        name = f"{stored.content}.{hashlib.sha256(text).hexdigest()[:16]}.alone"
        write_safely(self.root / "records" / stored.record.id / name, text)

    def copy(self, id: str, content: str, other: "Store") -> None:
        """Copy a record and what belongs to it, byte for byte, into another store."""
        stored = next(s for s in self.of(id) if s.content == content)
        timings = stored.path.parent.glob(f"{content}.*.alone")
        for path in (stored.path.parent / f"{stored.record.side}.side.gz", *timings, stored.path):
            whole = whole_side(path) if path.suffix == ".gz" else path.read_bytes()
            write_safely(other.root / "records" / id / path.name, whole)

    def sweep(self, id: str) -> None:
        """Remove what writers left that were killed while writing. Only the holder of the cell's lease may do this."""
        run, mine = self.run_folder(id), (".checkpoint-*.tmp", ".now.*.tmp")
        torn = [*(path for pattern in mine for path in run.glob(pattern)), *(self.root / "records" / id).glob(".*.tmp")]
        others = (*run.glob(".*.tmp"), *self.weights("").parent.glob(".*.tmp"))  # of a launcher or another cell
        with suppress(OSError):  # gone already; or a folder that refuses, which the next write there will report
            a_day_ago = time.time() - 86400
            for path in (*torn, *(each for each in others if each.stat().st_mtime < a_day_ago)):
                path.unlink(missing_ok=True)

    def of(self, id: str) -> list[Stored]:
        """The replicates of one cell, newest last."""
        folder = f"{self.root}/records/{id}"  # of ten thousand: a string takes a tenth of the time of a Path
        try:
            names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith((".json", ".alone")))
        except (FileNotFoundError, NotADirectoryError):
            return []
        timings = [name for name in names if name.endswith(".alone")]
        found = [stored for name in names if name.endswith(".json") and (stored := self._stored(folder, name))]
        if timings:
            found = [replace(stored, alone=self._alone(stored, timings)) for stored in found]
        if any("start" in stored.record.parents for stored in found):
            found = [replace(stored, start=self._start(stored)) for stored in found]
        return sorted(found, key=lambda stored: (stored.record.finished, stored.content)) if found[1:] else found

    def all(self) -> Iterator[Stored]:
        for folder in sorted((self.root / "records").glob("*")):
            yield from self.of(folder.name)

    def side(self, stored: Stored) -> dict[str, Any]:
        return unpack_side(self._side_path(stored))

    def side_or_none(self, stored: Stored) -> dict[str, Any] | None:
        """For figures, which can do without it. A damaged file is reported once."""
        return self._spared(stored, unpack_side)

    def packed_side_or_none(self, stored: Stored) -> bytes | None:
        return self._spared(stored, whole_side)

    def _spared(self, stored: Stored, read: Callable[[Path], T]) -> T | None:
        return self._unless_damaged(f"{stored.record.id}/{stored.record.side}", lambda: read(self._side_path(stored)))

    def _unless_damaged(self, key: str, read: Callable[[], T]) -> T | None:
        if key not in self.left_out:
            try:
                return read()
            except Damaged as error:
                self._leave_out(key, error)
        return None

    def _side_path(self, stored: Stored) -> Path:
        path = stored.path.parent / f"{stored.record.side}.side.gz"
        if not path.is_file():
            raise Damaged(f"{path}: missing; {stored.path.name} names it")
        return path

    def _stored(self, folder: str, name: str) -> Stored | None:
        key = f"{folder.rpartition('/')[2]}/{name}"
        if key not in self._known and (
            found := self._unless_damaged(key, lambda: self._read(Path(f"{folder}/{name}")))
        ):
            self._known[key] = found
        return self._known.get(key)

    def _start(self, stored: Stored) -> Stored | None:
        named = stored.record.parents.get("start")
        parents = self.of(stored.record.cell.parents["start"]) if named else []
        return next((parent for parent in parents if parent.content == named), None)

    def _alone(self, stored: Stored, timings: list[str]) -> Alone | None:
        """Its newest timing."""
        found = []
        for name in (each for each in timings if each.startswith(f"{stored.content}.")):
            read = partial(_read_alone, stored.path.parent / name, stored.content)
            found.append(self._unless_damaged(f"{stored.record.id}/{name}", read))
        return max(filter(None, found), key=lambda alone: alone.finished, default=None)

    def _leave_out(self, key: str, error: Damaged) -> None:
        self.left_out[key] = str(error)
        print(f"prunebench: left out: {error}", file=sys.stderr)

    def _read(self, path: Path) -> Stored:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise Damaged(f"{path}: cannot be read ({error.strerror})") from None
        if hashlib.sha256(data).hexdigest()[:16] != path.stem:
            raise Damaged(f"{path}: its bytes are not those it is named after (edited or damaged); move it away")
        try:
            found = from_json(data)
            if found.get("format") != FORMAT or found["format"] is True:
                raise Damaged(f"{path}: format {found.get('format')!r}, this version reads {FORMAT}")
            record = Record.model_validate_json(data)
        except (ValidationError, ValueError, AttributeError) as error:
            raise Damaged(f"{path}: not a record: {str(error).splitlines()[0]}") from None
        if record.cell.protocol != PROTOCOL:
            raise Damaged(f"{path}: made under protocol {record.cell.protocol}, this version's is {PROTOCOL}")
        if not digest(found["cell"]) == record.id == path.parent.name:
            raise Damaged(f"{path}: its id is not that of the cell it holds")
        return Stored(record, path)


def _read_alone(path: Path, content: str) -> Alone:
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest()[:16] != path.name.split(".")[1]:
            raise Damaged(f"{path}: its bytes are not those it is named after (edited or damaged)")
        alone = Alone.model_validate_json(data)
    except (OSError, ValidationError) as error:
        raise Damaged(f"{path}: not the hours of a record: {str(error).splitlines()[0]}") from None
    if alone.record != content:
        raise Damaged(f"{path}: it is of another record")
    return alone


def pack_side(side: Side) -> tuple[str, bytes]:
    """(name, bytes). Equal content gives equal bytes, so there is no time stamp in it."""
    packed = gzip.compress(canonical(side).encode(), compresslevel=9, mtime=0)
    return hashlib.sha256(packed).hexdigest()[:16], packed


def whole_side(path: Path) -> bytes:
    if not path.is_file():
        raise Damaged(f"{path}: missing; a record names it")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Damaged(f"{path}: cannot be read ({error.strerror})") from None
    if hashlib.sha256(data).hexdigest()[:16] != path.name.partition(".")[0]:
        raise Damaged(f"{path}: its bytes are not those it is named after")
    return data


def unpack_side(path: Path) -> dict[str, Any]:
    try:
        return opened(whole_side(path))
    except (zlib.error, ValueError) as error:
        raise Damaged(f"{path}: not the side of a record ({error})") from None


def write_safely(path: Path, data: bytes) -> None:
    """Write all of it or nothing: temp → fsync → rename, on the same disk."""
    partial = path.with_name(f".{path.name}.{uuid4().hex}.tmp")  # in containers that share a folder, many are process 1
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):  # a read-only folder refuses this as well
            partial.unlink(missing_ok=True)
        raise UserError(f"{path}: cannot be written ({error.strerror}); what was there before is intact") from error
    try:
        _sync_folder(path.parent)
    except OSError as error:
        why = f"its folder cannot be synced ({error.strerror}); a power cut may undo it"
        raise UserError(f"{path}: written, but {why}") from error


def _sync_folder(folder: Path) -> None:
    """Make the rename survive a power cut. Where folders cannot be opened (not Linux), do nothing."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
