"""Checkpoints: one atomic file with its own checksum; the newest two are kept.

A file is a line `prunebench checkpoint <sha256>` and a torch payload, loaded with weights_only.
If the newest file is torn or damaged, it is reported and the one before it is used.
"""

import hashlib
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from benchmark.records.store import write_safely
from benchmark.training.environment import lacks_memory

MAGIC = b"prunebench checkpoint "
State = dict[str, Any]
# the errors that torch.load raises for bytes that are no checkpoint
NOT_ONE = (
    *(UnpicklingError, RuntimeError, EOFError, ValueError, LookupError),
    *(TypeError, AttributeError, AssertionError, OverflowError, struct.error),
)


def save(folder: Path, state: State) -> None:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    number = max((_number(path) for path in _files(folder)), default=0) + 1
    head = MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n"
    write_safely(folder / f"checkpoint-{number:06d}", head + payload)
    for path in _files(folder)[:-2]:
        path.unlink()


def load(folder: Path, say: Callable[[str], None]) -> State | None:
    """The newest complete checkpoint, or None."""
    for path in reversed(_files(folder)):
        head, _, payload = path.read_bytes().partition(b"\n")
        if head != MAGIC + hashlib.sha256(payload).hexdigest().encode():
            say(f"{path}: damaged or truncated; using the one before it")
        elif (state := opened(payload)) is None:
            say(f"{path}: whole, but not as this version writes them; using the one before it")
        else:
            return state
    return None


def opened(payload: bytes) -> State | None:
    """The state; None if another version of torch or of this suite wrote it and it cannot be read here."""
    try:
        state: State = torch.load(io.BytesIO(payload), weights_only=True, map_location="cpu")
        progress = json.loads(state.get("progress", "{}"))
        whole = isinstance(progress.get("seconds", {}), dict)
    except NOT_ONE as error:
        if lacks_memory(error):  # says nothing about the checkpoint
            raise
        return None
    return state if whole else None


def newest(folder: Path) -> str:
    """The name of the newest checkpoint, complete or not; empty if there is none."""
    return max((path.name for path in _files(folder)), default="")


def discard(folder: Path) -> None:
    for path in _files(folder):
        path.unlink()


def _files(folder: Path) -> list[Path]:
    """The checkpoint files. Other files in the folder are ignored."""
    found = folder.glob("checkpoint-*")
    return sorted((path for path in found if path.name[11:].isdecimal() and path.is_file()), key=_number)


def _number(path: Path) -> int:
    return int(path.name[11:])
