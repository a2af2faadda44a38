"""Files that somebody might release by mistake or in bad faith: what each is called, and its bytes."""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

P = pickle


def call(module: str, name: str, argument: bytes) -> bytes:
    """A pickle that calls a function with one argument."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + argument + P.TUPLE1 + P.REDUCE + P.STOP


def text(value: str) -> bytes:
    data = value.encode()
    return P.BINUNICODE + struct.pack("<I", len(data)) + data


def storage(count: int, key: str = "0") -> bytes:
    """The persistent id of a storage of fp32."""
    return (
        P.MARK + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + P.BININT
        + struct.pack("<i", count) + P.TUPLE + P.BINPERSID
    )  # fmt: skip


def tensor(count: int, size: bytes, stride: bytes, offset: int = 0) -> bytes:
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    whole = (
        P.MARK + storage(count) + P.BININT + struct.pack("<i", offset) + size + stride + P.NEWFALSE + P.NONE + P.TUPLE
    )
    return rebuild + whole + P.REDUCE


def one(number: int) -> bytes:
    return P.BININT + struct.pack("<i", number) + P.TUPLE1


def table(*values: bytes) -> bytes:
    """A state_dict with these tensors."""
    items = b"".join(text(f"layer{k}.weight") + value for k, value in enumerate(values))
    return b"\x80\x02" + P.EMPTY_DICT + P.MARK + items + P.SETITEMS + P.STOP


def pickles(marker: Path) -> Iterator[tuple[str, bytes]]:
    """`marker` is a file that a pickle would make if anything in it were run."""
    touch = text(f"touch {marker}")
    python = text(f"open({str(marker)!r}, 'w').close()")
    yield "a shell", call("os", "system", touch)
    yield "a shell by its other name", call("posix", "system", touch)
    yield "a process", call("subprocess", "check_output", P.MARK + text("touch") + text(str(marker)) + P.LIST)
    yield "eval", call("builtins", "eval", python)
    yield "exec in Python 2", call("__builtin__", "exec", python)
    yield "a module's loader", call("torch", "load", text(str(marker)))
    yield "runpy", call("runpy", "run_path", text(str(marker)))
    yield "a call of what torch names", call("torch._utils._rebuild_tensor_v2.__globals__", "get", touch)
    yield "an old class", b"(i" + b"os\nsystem\n" + P.STOP
    yield "an object of an old class", P.MARK + b"cos\nsystem\n" + touch + P.OBJ + P.STOP
    yield "code for a function that may be called", (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n" + P.NONE + P.EMPTY_DICT + text("__code__") + P.NONE + P.SETITEM
        + P.TUPLE2 + P.BUILD + P.STOP
    )  # fmt: skip
    yield (
        "a state for a class",
        b"\x80\x02cos\nsystem\n" + P.EMPTY_DICT + text("x") + touch + P.SETITEM + P.BUILD + P.STOP,
    )
    yield "a registered extension", b"\x80\x02" + P.EXT1 + b"\x01" + P.STOP
    yield "a list in itself", b"\x80\x02" + P.EMPTY_LIST + P.BINPUT + b"\0" + P.BINGET + b"\0" + P.APPEND + P.STOP
    yield (
        "a table in itself",
        (b"\x80\x02" + P.EMPTY_DICT + P.BINPUT + b"\0" + text("model") + P.BINGET + b"\0" + P.SETITEM + P.STOP),
    )
    yield "tuples, a hundred thousand deep", b"\x80\x02" + P.EMPTY_TUPLE + 100_000 * P.TUPLE1 + P.STOP
    doubled = b"".join(P.BINPUT + bytes([k]) + 10 * (P.BINGET + bytes([k])) + P.LIST + P.MARK for k in range(40))
    yield "lists of lists, ten times each", b"\x80\x02" + P.MARK + P.NONE + P.LIST + P.MARK + doubled + P.STOP
    many = P.EMPTY_LIST + P.BINPUT + b"\0" + P.MARK + 50_000 * (P.NONE + P.NONE + P.TUPLE2) + P.APPENDS
    copy = b"ccollections\nOrderedDict\n" + P.BINGET + b"\0" + P.TUPLE1 + P.REDUCE
    yield "one list copied into many tables", b"\x80\x02" + many + 400 * copy + P.STOP
    yield "a memo of four billion", b"\x80\x02" + P.NONE + P.LONG_BINPUT + b"\xff\xff\xff\xff" + P.STOP
    yield "an array of an exabyte", b"\x80\x05" + P.BYTEARRAY8 + struct.pack("<Q", 2**60) + P.STOP
    yield "bytes of an exabyte", b"\x80\x04" + P.BINBYTES8 + struct.pack("<Q", 2**60) + P.STOP
    yield "a number of a million digits", b"\x80\x02" + P.INT + 1_000_000 * b"9" + b"\n" + P.STOP
    yield "a frame larger than the file", b"\x80\x04" + P.FRAME + struct.pack("<Q", 2**40) + P.NONE + P.STOP
    yield "a tensor larger than its storage", table(tensor(2, one(10**9), one(1)), tensor(2, one(2), one(1)))
    yield "a number shown a billion times", table(tensor(1, one(10**9), one(0)), tensor(1, one(1), one(1)))
    yield "a tensor of negative length", table(tensor(2, one(-5), one(1)), tensor(2, one(2), one(1)))
    yield "a tensor that begins before its storage", table(tensor(2, one(1), one(1), -1), tensor(2, one(2), one(1)))
    yield "a tensor with half a shape", table(tensor(2, one(1), P.EMPTY_TUPLE), tensor(2, one(2), one(1)))
    yield "a tensor without numbers", table(tensor(2, one(2), one(1)), tensor(2, one(2), one(1)))
    small = P.EMPTY_DICT + text("size") + one(10**9) + P.SETITEM + text("stride") + one(0) + P.SETITEM + P.BUILD
    yield "a tensor that is made larger afterwards", table(tensor(1, one(1), one(1)) + small, tensor(1, one(1), one(1)))
    longer = P.EMPTY_DICT + text("length") + P.BININT + struct.pack("<i", 10**9) + P.SETITEM + P.BUILD
    yield "a storage that is made longer afterwards", b"\x80\x02" + storage(1) + longer + P.STOP
    yield "a storage that is text", b"\x80\x02" + text("storage") + P.BINPERSID + P.STOP
    yield "a storage of negative length", b"\x80\x02" + storage(-1) + P.STOP
    yield "no tensors", b"\x80\x02" + P.EMPTY_DICT + P.STOP
    yield "nothing", b"\x80\x02" + P.NONE + P.STOP
    yield "a stack with nothing on it", b"\x80\x02" + P.STOP
    yield "no end", b"\x80\x02" + P.EMPTY_DICT
    yield "no pickle", b"hello, world"


def zipped(content: bytes, **more: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        for name, data in more.items():
            archive.writestr(f"archive/data/{name.lstrip('_')}", data)
    return file.getvalue()


def legacy(content: bytes) -> bytes:
    head = b"".join(pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    return head + content + pickle.dumps([], 2)


def containers(good: bytes) -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "text", b"not a network\n" * 100
    yield "a picture", b"\x89PNG\r\n\x1a\n" + bytes(1000)
    yield "a zip archive of something else", _archive({"readme.txt": b"hello"})
    yield "two pickles in one archive", _archive({"a/data.pkl": b"N.", "b/data.pkl": b"N."})
    yield "an archive that is mostly zeros", _archive({"a/data.pkl": b"N.", "a/data/0": bytes(2**20)}, claim=2**31)
    for share in (0.1, 0.5, 0.9, 0.999):
        yield f"cut off at {share:g}", good[: int(share * len(good))]
    yield "another magic number", pickle.dumps(7, 2) + pickle.dumps(1001, 2)


def _archive(entries: dict[str, bytes], claim: int = 0) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    whole = bytearray(file.getvalue())
    if claim:  # in the directory at the end, where the sizes are read
        place = whole.rfind(b"PK\1\2")
        whole[place + 24 : place + 28] = struct.pack("<I", claim)
    return bytes(whole)


def networks(right: Callable[[], nn.Module]) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """State dicts that are read and do not fit."""
    whole = right().state_dict()

    def with_(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
        return {**whole, **{key.replace("__", "."): value for key, value in changes.items()}}

    yield "weights that are not numbers", with_(conv1__weight=whole["conv1.weight"] * float("nan"))
    yield "infinite weights", with_(fc__bias=whole["fc.bias"] + float("inf"))
    yield "another number of classes", with_(fc__weight=torch.zeros(7, 32), fc__bias=torch.zeros(7))
    yield "a narrower layer in the middle", with_(conv1__weight=whole["conv1.weight"][:3])
    yield "a kernel of another size", with_(conv1__weight=torch.zeros(8, 3, 5, 5))
    yield "a layer too many", with_(conv9__weight=torch.zeros(8, 8, 3, 3))
    yield "a layer too few", {key: value for key, value in whole.items() if not key.startswith("blocks.0.conv1")}
    yield "norms without statistics", {key: value for key, value in whole.items() if "running" not in key}
    yield "a bias of another width", with_(fc__bias=torch.zeros(3))
    yield "a mask of another shape", with_(fc__weight_orig=whole["fc.weight"], fc__weight_mask=torch.zeros(2, 2))
    yield "one layer", {"fc.weight": whole["fc.weight"], "fc.bias": whole["fc.bias"]}
