"""Reads a pickle of tensors and runs nothing that it names.

Tensors and tables of tensors become data. Every other class or function becomes an inert stub that keeps its state: a
pickled network is then a tree of stubs, with its tensors in it. Nothing of torch is imported by name here.
"""

import pickle
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from benchmark.data.batches import BROKEN

LONGEST = 64 * 2**20  # bytes of a pickle, its tensors not counted; a network of 1 000 layers has 0.2 million
MOST = 10**7  # entries that tables may be given, all together: a pickle can hand one list to many
BYTES = {
    "Half": 2, "BFloat16": 2, "Float": 4, "Double": 8, "Byte": 1, "Char": 1, "Bool": 1, "Short": 2, "Int": 4, "Long": 8,
}  # fmt: skip
WIDE = (pickle.BYTEARRAY8[0], pickle.NEXT_BUFFER[0], pickle.READONLY_BUFFER[0])  # no file of tensors has them


class Refused(ValueError):
    """Why a file is not read."""


class Storage(NamedTuple):
    """Where the numbers of some tensors lie in the file. A tuple, because a pickle cannot change one."""

    key: str
    kind: str  # of BYTES
    length: int


class Lazy(NamedTuple):
    """A tensor that was named and not read yet. It has no more numbers than its storage."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class Table(dict[Any, Any]):
    """An OrderedDict or defaultdict of the pickle."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        """Attributes of a table (torch keeps versions there) are not needed."""


class Stub:
    """What stands for a class, a function or an object of the pickle."""

    state: object = None

    def __new__(cls, *given: object, **named: object) -> "Stub":
        return super().__new__(cls)

    def __init__(self, *given: object, **named: object) -> None:
        """What it was given is of no use here."""

    def __call__(self, *given: object, **named: object) -> "Stub":
        return self

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        """Entries of a list or table of a foreign class are not needed."""

    def append(self, value: object) -> None: ...

    def extend(self, values: list[object]) -> None: ...


class _Call:
    """A function that a pickle may call. It has nothing that a pickle could set."""

    __slots__ = ()


def _calls(function: Callable[..., Any]) -> _Call:
    made: _Call = type(function.__name__, (_Call,), {"__slots__": (), "__call__": staticmethod(function)})()
    return made


class _Kind(NamedTuple):
    """A class of storages; only its name matters."""

    name: str


class Unpickler(pickle._Unpickler):
    """The unpickler in Python. In the one in C, ten bytes can write gigabytes of memo."""

    dispatch = {code: step for code, step in pickle._Unpickler.dispatch.items() if code not in WIDE}

    def __init__(self, file: BinaryIO) -> None:
        self.left, self.entries = LONGEST, MOST
        self.stubs: dict[str, type[Stub]] = {}
        self.storages: dict[str, Storage] = {}
        self.known: dict[str, Any] = {
            "collections.OrderedDict": _calls(self._table),
            "collections.defaultdict": _calls(self._table),
            "torch._utils._rebuild_tensor": _calls(self._tensor),
            "torch._utils._rebuild_tensor_v2": _calls(self._tensor),
            "torch._utils._rebuild_parameter": _calls(self._first),
            "torch._utils._rebuild_parameter_with_state": _calls(self._first),
            "torch.Size": _calls(self._first),
        }
        super().__init__(_Counted(self, file), encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        whole = f"{module}.{name}"
        if whole in self.known:
            return self.known[whole]
        if module in ("torch", "torch.storage", "torch.cuda") and name.removesuffix("Storage") in BYTES:
            return _Kind(name.removesuffix("Storage"))
        if whole not in self.stubs:  # a class of its own, because a pickle may set what a class has
            self.stubs[whole] = type("Stub", (Stub,), {"__module__": __name__})
        return self.stubs[whole]

    def persistent_load(self, pid: Any) -> Any:
        """('storage', class, key, device, count), and in old files a view; there also ('module', class, its source)."""
        if isinstance(pid, tuple) and len(pid) > 1 and pid[0] == "module":
            return pid[1]
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] not in ("storage", b"storage"):
            raise Refused("it refers to something that is no storage of numbers")
        _, kind, key, _, count, *view = pid
        if view and view[0] is not None:
            raise Refused("a storage that is a view of another")
        if not isinstance(kind, _Kind) or type(count) is not int or count < 0:
            raise Refused("a storage of unknown numbers")
        return self.storages.setdefault(str(key), Storage(str(key), kind.name, count))

    def _table(self, *given: Any) -> Table:
        found = Table()
        for pairs in given:
            if isinstance(pairs, list | tuple | dict):
                self.entries -= len(pairs)
                if self.entries < 0:
                    raise Refused(f"tables of more than {MOST:,} entries")
                found.update(pairs)
        return found

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *_: object) -> Lazy:
        if not isinstance(storage, Storage):
            raise Refused("a tensor without a storage")
        numbers = (offset, *size, *stride)
        if any(type(number) is not int or number < 0 for number in numbers) or len(size) != len(stride):
            raise Refused("a tensor with an impossible shape")
        last, count = offset, 1
        for length, step in zip(size, stride, strict=True):
            last += (length - 1) * step
            count *= length
        if count and (last >= storage.length or count > storage.length):
            raise Refused("a tensor larger than its storage")
        return Lazy(storage, offset, tuple(size), tuple(stride))

    def _first(self, value: Any = None, *_: object) -> Any:
        return value


class _Counted:
    """The file, as far as a pickle may go."""

    def __init__(self, unpickler: Unpickler, file: BinaryIO) -> None:
        self.unpickler, self.file = unpickler, file

    def read(self, count: int = -1) -> bytes:
        return self._spend(self.file.read(self._room(count)), count)

    def readline(self) -> bytes:
        return self._spend(self.file.readline(self.unpickler.left + 1), -1)

    def _room(self, count: int) -> int:
        return count if 0 <= count <= self.unpickler.left else self.unpickler.left + 1

    def _spend(self, data: bytes, wanted: int) -> bytes:
        self.unpickler.left -= len(data)
        if self.unpickler.left < 0 or wanted > LONGEST:
            raise Refused(f"a pickle of more than {LONGEST // 2**20} MiB")
        return data


def load(file: BinaryIO) -> tuple[Any, dict[str, Storage]]:
    """The object, and the storages it refers to. Refused says why not."""
    unpickler = Unpickler(file)
    try:
        return unpickler.load(), unpickler.storages
    except Refused:
        raise
    except BROKEN as error:
        raise Refused(f"its pickle is damaged ({type(error).__name__}: {error})") from None
