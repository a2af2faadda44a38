"""A small CIFAR-10 in every form that is read. The batch files are written opcode by opcode, as Python 2 wrote them."""

import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data import cifar
from tests.data.test_data import add

Arrays = dict[str, np.ndarray[Any, Any]]
BATCHES = [*cifar.TEN_BATCHES, "test_batch"]
EACH = 4  # images a batch


def pixels() -> Arrays:
    draw = np.random.default_rng(1)
    x, y = draw.integers(0, 256, (6 * EACH, 32, 32, 3), dtype=np.uint8), draw.integers(0, 10, 6 * EACH, dtype=np.uint8)
    return {"x_train": x[:-EACH], "y_train": y[:-EACH], "x_test": x[-EACH:], "y_test": y[-EACH:]}


def text(value: bytes) -> bytes:
    return b"U" + bytes([len(value)]) + value  # a str of Python 2


def whole(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def batch(x: np.ndarray[Any, Any], labels: list[int], key: bytes = b"labels") -> bytes:
    raw = x.transpose(0, 3, 1, 2).tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + whole(0) + b"\x85" + text(b"b") + b"tR"
    kind = b"cnumpy\ndtype\n(" + text(b"u1") + whole(0) + whole(1) + b"tR"
    kind += b"(" + whole(3) + text(b"|") + b"NNN" + whole(-1) + whole(-1) + whole(0) + b"tb"
    state = b"(" + whole(1) + whole(len(x)) + whole(3072) + b"\x86" + kind + b"\x89"
    state += b"T" + struct.pack("<i", len(raw)) + raw + b"tb"
    numbers = b"](" + b"".join(map(whole, labels)) + b"e"
    name = text(b"batch_label") + text(b"training batch 1 of 5")
    return b"\x80\x02}(" + name + text(key) + numbers + text(b"data") + array + state + b"u."


def batch_files() -> dict[str, bytes]:
    all_four = pixels()
    x, y = (np.concatenate([all_four[f"{kind}_train"], all_four[f"{kind}_test"]]) for kind in "xy")
    return {
        name: batch(x[i * EACH : (i + 1) * EACH], y[i * EACH : (i + 1) * EACH].tolist())
        for i, name in enumerate(BATCHES)
    }


def put_archive(root: Path) -> None:
    """No file of a tar has a time here: its md5 is always the same."""
    with tarfile.open(root / cifar.TEN.file, "w") as tar:
        for name, content in batch_files().items():
            add(tar, f"cifar-10-batches-py/{name}", content)


def put_npz(root: Path, **changes: Any) -> None:
    np.savez(root / "cifar10.npz", **(pixels() | changes))


def put_folder(root: Path) -> None:
    (root / "cifar-10-batches-py").mkdir()
    for name, content in batch_files().items():
        (root / "cifar-10-batches-py" / name).write_bytes(content)


def put_other_npz(root: Path) -> None:
    """Channels first, labels in a column, compressed."""
    four = pixels()
    images = {name: four[name].transpose(0, 3, 1, 2) for name in ("x_train", "x_test")}
    labels = {name: four[name].astype(np.int32)[:, None] for name in ("y_train", "y_test")}
    np.savez_compressed(root / "cifar10.npz", **images, **labels)


FORMS: dict[str, Callable[[Path], None]] = {
    "archive": put_archive,
    "npz": put_npz,
    "npz, channels first": put_other_npz,
    "folder": put_folder,
}
