"""`x_train, y_train, x_test, y_test` from an .npz file, a form in which CIFAR-10 is often passed on."""

import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.errors import Damaged

NAMES = ("x_train", "y_train", "x_test", "y_test")
LARGEST = 2**30  # bytes of one array; CIFAR-10 has 154 million
BROKEN = (
    *(zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, MemoryError),
    *(RuntimeError, LookupError, TypeError, SyntaxError, OverflowError, tokenize.TokenError),
)


def read(path: Path) -> tuple[npt.NDArray[Any], ...]:
    try:
        if not path.is_file():
            raise ValueError("not a file")
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)  # a pickle would run code
            if not isinstance(found, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array")
            if missing := [name for name in NAMES if name not in found.files]:
                raise ValueError(f"it has no {', '.join(missing)}")
            if max(member.file_size for member in found.zip.infolist()) > LARGEST:  # type: ignore[union-attr]
                raise ValueError(f"an array of more than {LARGEST} bytes")
            arrays = tuple(found[name] for name in NAMES)
            if not all(isinstance(array, np.ndarray) for array in arrays):  # a member that is no array is read as bytes
                raise ValueError("not all in it are arrays")
            return arrays
    except BROKEN as error:
        raise Damaged(f"{path}: cannot be read as an npz file ({error}); not used, not deleted") from error
