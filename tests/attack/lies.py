"""Files of arrays that no cache of ours would hold, and bytes with one thing changed."""

import io
import os
import random
from pathlib import Path
from typing import Any

import numpy as np


class Trap:
    """A pickle of it makes a folder when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def flipped(whole: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(whole))
    match chance.randrange(4):
        case 0:
            return whole[:at]
        case 1:
            return whole[:at] + chance.randbytes(chance.randrange(1, 5)) + whole[at + chance.randrange(5) :]
        case _:
            return whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :]


def arrays(chance: random.Random, trap: Path) -> bytes:
    """An array as no cache of ours holds it."""
    made: Any = chance.choice(
        (
            np.array([Trap(trap)], dtype=object), np.zeros(3), np.zeros((4, 3, 8, 8), np.float32), np.array(1),
            np.zeros((4, 3, 8), np.uint8), np.zeros((0, 3, 8, 8), np.uint8), np.full(6, 2), np.full(6, -1),
            np.full(6, 2**62), np.zeros(6, np.int32), np.zeros((6, 1), np.int64), np.array(["x"]),
            np.zeros(6, [("a", np.int64)]), np.zeros((6, 5), np.int64), np.full((6, 5), 2**62), np.full((6, 5), -1),
            np.zeros((6, 4), np.int64),
        )
    )  # fmt: skip
    out = io.BytesIO()
    np.save(out, made)
    return out.getvalue().replace(b"(6, 5)", chance.choice((b"(6, 5)", b"(6, 5)", b"(-1,5)", b"999999", b"(9**9)")))
