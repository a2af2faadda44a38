"""What the attacks share. A small default for CI; `PRUNEBENCH_ATTACK=full` for the big run, or a number to scale the
default by. `PRUNEBENCH_ATTACK_SEED` sets the seed; each failure prints it."""

import hashlib
import json
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from benchmark.errors import UserError
from benchmark.records.store import pack_side

SEED = int(os.environ.get("PRUNEBENCH_ATTACK_SEED", "0"))
SIZE = os.environ.get("PRUNEBENCH_ATTACK", "1")
HANG = 30  # seconds; nothing may take longer to say that it cannot be done

RLO, LRI = "\u202e", "\u2066"  # right-to-left override, left-to-right isolate
NASTY = (
    *("=cmd|'/c calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1+1", "a\n=1", "<script>alert(1)</script>"),
    *("\"'><img src=x onerror=alert(1)>", "</script><b>", r"\input{/etc/passwd}", r"$x$ & y % z # _ ^ ~ {}", "a|b"),
    *(f"a{RLO}b", f"{LRI}c", "a\nb", "a\r\nb", "a\u2028b", "`code`", "[x](javascript:1)", "a\x00b", "a\x1b[31mb", ""),
)


def times(default: int, full: int) -> int:
    return full if SIZE == "full" else max(1, round(default * float(SIZE)))


def cases(what: str, default: int, full: int) -> Iterator[tuple[int, random.Random]]:
    """Numbered cases, each with its own draw. The seed stands in what pytest shows of a failure."""
    count = times(default, full)
    print(f"{what}: {count} cases, PRUNEBENCH_ATTACK_SEED={SEED}")
    for number in range(count):
        yield number, random.Random(f"{SEED} {what} {number}")


class Hang(BaseException):
    """No `except Exception`, and no `except OSError` as for a TimeoutError, may take it for an answer."""


@contextmanager
def soon(what: object, seconds: int = HANG) -> Iterator[None]:
    """Whatever takes longer is a hang, and a failure."""

    def late(signum: int, frame: FrameType | None) -> None:
        raise Hang(f"more than {seconds} s: {what}")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def told(what: object) -> Iterator[list[str]]:
    """It works, or it is refused in one line: any other exception is a finding. What was said comes back."""
    said: list[str] = []
    try:
        with soon(what):
            yield said
    except UserError as error:
        said.append(str(error))
        assert "\n" not in str(error).strip(), f"more than one line: {what}: {error}"  # noqa: PT017
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}; of {what}") from error


def put_record(root: Path, whole: dict[str, Any], side: bytes | None = None) -> Path:
    """Under the name that its bytes give it, as somebody who knows the format would."""
    folder = root / "records" / whole["id"]
    folder.mkdir(parents=True, exist_ok=True)
    if side is not None:
        whole = whole | {"side": hashlib.sha256(side).hexdigest()[:16]}
        (folder / f"{whole['side']}.side.gz").write_bytes(side)
    text = (json.dumps(whole, indent=1) + "\n").encode()
    path = folder / f"{hashlib.sha256(text).hexdigest()[:16]}.json"
    path.write_bytes(text)
    return path


def put_side(root: Path, whole: dict[str, Any], side: Any) -> Path:
    return put_record(root, whole, pack_side(side)[1])
