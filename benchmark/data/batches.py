"""The batch files of CIFAR's official archives: pickles, read without running anything they name.

They hold dicts, lists, strings, numbers and one uint8 array. The few names that an array needs mean
the classes below; every other name is refused.
"""

import io
import pickle
import struct
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.errors import Damaged

# The errors that the unpickler raises for a damaged or foreign pickle.
BROKEN = (
    *(pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError),
    *(TypeError, ValueError, OverflowError, MemoryError, OSError, struct.error),
    *(AssertionError, NameError, RecursionError),
)


class _Dtype:
    def __init__(self, name: str | bytes = b"", *_: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        """Ignore byte order and the like, which one-byte numbers do not have."""


class _Array:
    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, self.fortran, self.raw = state

    def array(self) -> npt.NDArray[np.uint8]:
        if not isinstance(self.dtype, _Dtype) or self.dtype.name not in ("u1", b"u1"):
            raise ValueError("its array is not of uint8")
        return np.frombuffer(self.raw, np.uint8).reshape(self.shape, order="F" if self.fortran else "C")


def _reconstruct(*_: object) -> _Array:
    return _Array()


class _Unpickler(pickle._Unpickler):
    """The unpickler in Python. In the one in C, ten bytes can write gigabytes of memo."""

    allowed: dict[tuple[str, str], Any] = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no batch file needs") from None


def contents(read: Callable[[], bytes], source: Path) -> dict[bytes, Any]:
    """The dict of one file, with its array as a numpy array."""
    try:
        found = _Unpickler(io.BytesIO(read()), encoding="bytes").load()
        return {key: value.array() if isinstance(value, _Array) else value for key, value in found.items()}
    except BROKEN as error:
        raise Damaged(f"{source}: cannot be read as a batch file ({error}); not used, not deleted") from error


def joined(batches: list[dict[bytes, Any]], labels: bytes, source: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Images and labels of several batches, one after the other."""
    try:
        arrays, numbers = ([batch[key] for batch in batches] for key in (b"data", labels))
        whole = [label for batch in numbers for label in batch]
        if not all(isinstance(array, np.ndarray) for array in arrays) or {*map(type, whole)} != {int}:
            raise ValueError("its images are no array, or its labels no numbers")
        return np.concatenate(arrays).reshape(-1, 3, 32, 32), np.array(whole)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Damaged(f"{source}: not batches of images and labels ({error}); not used, not deleted") from error


@contextmanager
def files(source: Path, folder: str) -> Iterator[Callable[[str], dict[bytes, Any]]]:
    """A reader of the batch files in the archive `source`, or in the folder that it was unpacked to."""
    if source.is_dir():

        def unpacked(name: str) -> dict[bytes, Any]:
            path = source / name
            if not path.is_file():
                raise Damaged(f"{source}: {name} is not in it")
            return contents(path.read_bytes, path)

        yield unpacked
        return
    with tarfile.open(source) as tar:

        def packed(name: str) -> dict[bytes, Any]:
            member = tar.extractfile(f"{folder}/{name}")
            if member is None:
                raise Damaged(f"{source}: {folder}/{name} is not a file")
            return contents(member.read, source)

        yield packed
