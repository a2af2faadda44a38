"""`x_train, y_train, x_test, y_test` from an .npz file, the form in which CIFAR-10 is most often passed on."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.errors import Damaged

NAMES = ("x_train", "y_train", "x_test", "y_test")
BROKEN = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, MemoryError, NotImplementedError)


def read(path: Path) -> tuple[npt.NDArray[Any], ...]:
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)  # a pickle would run what it holds
            if not isinstance(found, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array")
            if missing := [name for name in NAMES if name not in found.files]:
                raise ValueError(f"it has no {', '.join(missing)}")
            return tuple(found[name] for name in NAMES)
    except BROKEN as error:
        raise Damaged(f"{path}: cannot be read as an npz file ({error}); not used, not deleted") from error
