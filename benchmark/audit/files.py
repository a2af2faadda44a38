"""A file of somebody else's network as named tensors: safetensors, what torch.save wrote, or HDF5 of Keras."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from benchmark.audit import keras
from benchmark.audit.unpickle import BYTES, Lazy, Refused, Storage, Stub, load
from benchmark.data.batches import BROKEN
from benchmark.errors import UserError

LARGEST = 2**30  # bytes of a file, unpacked
DEEPEST = 64  # tables or modules in each other
HDF5 = b"\x89HDF\r\n\x1a\n"
MAGIC = 0x1950A86A20F9469CFC6C  # of torch.save before 1.6
DTYPES = {
    "Half": torch.float16, "BFloat16": torch.bfloat16, "Float": torch.float32, "Double": torch.float64,
    "Byte": torch.uint8, "Char": torch.int8, "Bool": torch.bool, "Short": torch.int16, "Int": torch.int32,
    "Long": torch.int64,
}  # fmt: skip
FIRST = ("state_dict", "model_state_dict", "net", "model", "network", "state")  # where authors put the weights
Numbers = Callable[[Storage], bytes]


@dataclass(frozen=True)
class Opened:
    """The tensors of one network, in the order of the file."""

    tensors: dict[str, Tensor]
    place: str  # where in the file they were
    kind: str  # safetensors, a state_dict, a pickled module
    noted: dict[str, Any]  # single numbers and words that lie beside them, such as an accuracy


def sha256_of(path: Path) -> str:
    whole = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(2**20):
                whole.update(piece)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return whole.hexdigest()


def open_network(path: Path, key: str = "") -> Opened:
    """`key` chooses among several tables of tensors. Nothing in the file is run."""
    try:
        if not path.is_file():
            raise UserError(f"{path}: no such file")
        if path.stat().st_size > LARGEST:
            raise Refused(f"more than {LARGEST // 2**20} MiB")
        data = path.read_bytes()
        if data[:8] == HDF5:
            return Opened(keras.read(path, LARGEST), "", "weights of Keras", {})
        if path.suffix == ".safetensors":
            return Opened(dict(load_safetensors(data)), "", "safetensors", {})
        found, numbers = _zipped(data) if data[:4] == b"PK\3\4" else _legacy(data)
        tables = dict(_tables(found))
        place = _chosen(tables, key)
        kind = "a pickled module" if isinstance(_at(found, place), Stub) else "a state_dict"
        return Opened({n: _read(lazy, numbers) for n, lazy in tables[place].items()}, place, kind, _noted(found))
    except (
        Refused,
        SafetensorError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        *BROKEN,
    ) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not read: {why}") from error


# ---- the container: where the pickle is, and where the numbers are ---------------------------------


def _zipped(data: bytes) -> tuple[Any, Numbers]:
    archive = zipfile.ZipFile(io.BytesIO(data))
    if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
        raise Refused(f"more than {LARGEST // 2**20} MiB when unpacked")
    pickles = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise Refused("a zip archive that torch.save did not write")
    root = pickles[0].removesuffix("data.pkl")
    found, _ = load(io.BytesIO(_entry(archive, pickles[0])))
    return found, lambda storage: _entry(archive, f"{root}data/{storage.key}")


def _entry(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        with archive.open(name) as file:
            return file.read(LARGEST)
    except KeyError:
        raise Refused(f"{name} is missing in it") from None


def _legacy(data: bytes) -> tuple[Any, Numbers]:
    """Five pickles (a magic number, a version, the system, the object, the order of the storages), then the numbers."""
    file = io.BytesIO(data)
    magic, _ = load(file)
    if magic != MAGIC:
        raise Refused("no file of torch.save, and no safetensors")
    load(file), load(file)
    found, storages = load(file)
    order, _ = load(file)
    if not isinstance(order, list) or len(order) > len(storages):
        raise Refused("its list of storages is damaged")
    places: dict[str, tuple[int, int]] = {}
    for key in map(str, order):
        if key not in storages:
            raise Refused("its list of storages is damaged")
        count, size = int.from_bytes(file.read(8), "little"), storages[key].length * BYTES[storages[key].kind]
        if count != storages[key].length:
            raise Refused("it ends early, or its storages have other lengths")
        places[key] = (file.tell(), size)
        file.seek(size, io.SEEK_CUR)

    def numbers(storage: Storage) -> bytes:
        if storage.key not in places:
            raise Refused("the numbers of a tensor are missing")
        start, size = places[storage.key]
        return data[start : start + size]

    return found, numbers


def _read(lazy: Lazy, numbers: Numbers) -> Tensor:
    storage, raw = lazy.storage, numbers(lazy.storage)
    if len(raw) < storage.length * BYTES[storage.kind]:
        raise Refused("it ends early: the numbers of a tensor are cut off")
    if not storage.length:
        return torch.empty(lazy.size, dtype=DTYPES[storage.kind])
    whole = torch.frombuffer(bytearray(raw), dtype=DTYPES[storage.kind], count=storage.length)
    return whole.as_strided(lazy.size, lazy.stride, lazy.offset).clone()


# ---- the object: which of its tables is the network ------------------------------------------------


def _children(thing: Any) -> list[tuple[str, Any]]:
    """The named parts of a table, or of a stub that was a module."""
    if isinstance(thing, dict):
        return [(str(key), value) for key, value in thing.items()]
    if isinstance(thing, Stub) and isinstance(thing.state, dict):
        parts = (thing.state.get(name) for name in ("_parameters", "_buffers", "_modules"))
        inner = [pair for part in parts if isinstance(part, dict) for pair in _children(part)]
        return inner or [(str(key), value) for key, value in thing.state.items()]
    return []


def _tables(found: Any) -> Iterator[tuple[str, dict[str, Lazy]]]:
    """Every place of the object that holds a network: its name, and its tensors by name."""
    waiting, seen = [("", found, 0)], {id(found)}
    while waiting:
        place, thing, depth = waiting.pop(0)
        if tensors := _flat(thing):
            yield place, tensors
            continue
        for name, inner in _children(thing) if depth < DEEPEST else ():
            if isinstance(inner, dict | Stub) and id(inner) not in seen:
                seen.add(id(inner))
                waiting.append((f"{place}.{name}".lstrip("."), inner, depth + 1))


def _flat(thing: Any) -> dict[str, Lazy]:
    """The tensors of a state_dict (a table of tensors, most of its entries) or of a module, by their whole names."""
    if isinstance(thing, dict):
        tensors = {str(key): value for key, value in thing.items() if isinstance(value, Lazy)}
        return tensors if len(tensors) > 1 and 2 * len(tensors) > len(thing) else {}
    found: dict[str, Lazy] = {}
    if not isinstance(thing, Stub) or not isinstance(thing.state, dict) or "_modules" not in thing.state:
        return found
    waiting: list[tuple[str, Any, int]] = [("", thing, 0)]
    seen: set[int] = set()
    while waiting:
        prefix, module, depth = waiting.pop(0)
        if depth > DEEPEST or id(module) in seen:
            raise Refused("modules that contain each other")
        seen.add(id(module))
        inner = []
        for name, value in _children(module):
            if isinstance(value, Lazy):
                found[f"{prefix}{name}"] = value
            elif isinstance(value, Stub):
                inner.append((f"{prefix}{name}.", value, depth + 1))
        waiting[:0] = inner  # in the order of the modules
    return found


def _chosen(tables: dict[str, dict[str, Lazy]], key: str) -> str:
    if not tables:
        raise Refused("no table of tensors in it")
    if key:
        if key not in tables:
            raise Refused(f"no tensors under {key!r}; there are some under {', '.join(map(repr, tables))}")
        return key
    named = [place for place in tables if place.rpartition(".")[2] in FIRST]
    if len(tables) == 1 or len(named) == 1:
        return (named or list(tables))[0]
    likely = [place for place in named or tables if "optim" not in place]
    if len(likely) == 1:
        return likely[0]
    raise Refused(f"several networks in it; name one: --key {', --key '.join(likely or tables)}")


def _at(found: Any, place: str) -> Any:
    for name in place.split(".") if place else ():
        found = dict(_children(found)).get(name)
    return found


def _noted(found: Any) -> dict[str, Any]:
    """Numbers and words beside the weights."""
    if not isinstance(found, dict):
        return {}
    return {
        str(key)[:40]: value if not isinstance(value, str) else value[:80]
        for key, value in list(found.items())[:100]
        if isinstance(value, bool | int | float | str)
    }
