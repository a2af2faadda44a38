"""npz and batch files of CIFAR and checkpoints, damaged or made up: refused in a line, and nothing they name is run."""

import io
import os
import pickle
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.data import batches, cifar, npz
from benchmark.data.images import Images, Place
from benchmark.data.proof import Proof, four_arrays
from benchmark.errors import UserError
from benchmark.runs import checkpoint
from tests.attack.common import cases, soon, told
from tests.attack.lies import Trap, arrays, flipped
from tests.data.cifar_files import batch_files, put_archive, put_npz

pytestmark = pytest.mark.slow


def test_npz_files(tmp_path: Path) -> None:
    put_npz(tmp_path)
    path, trap = tmp_path / "cifar10.npz", tmp_path / "ran"
    whole, before = path.read_bytes(), ten(path)
    proof = Proof("CIFAR-10", len(before.train), len(before.test), before.sha256, "", "")
    for number, chance in cases("npz", 300, 3000):
        if chance.random() < 0.7:
            at = chance.choice((0, whole.rindex(b"PK\x01\x02") - 200, len(whole) - 300, *heads(whole)))
            part = whole[at : at + 300]
            path.write_bytes(whole[:at] + flipped(part, chance) + whole[at + 300 :])
        else:
            with zipfile.ZipFile(path, "w") as pack:
                for name in npz.NAMES:
                    pack.writestr(f"{name}.npy", arrays(chance, trap) if chance.random() < 0.9 else b"no array")
        with told(number) as said:
            images = ten(path)
            proof.check(images, path)  # which decides: not every byte of an npz has a sum
        assert not trap.exists(), "a pickle was run"
        assert said or images.sha256 == proof.sha256, number


def ten(path: Path) -> Images:
    return Images(*four_arrays(path, *npz.read(path)), cifar.TEN_NAMES, cifar.CIFAR10, "none")


def heads(whole: bytes) -> list[int]:
    return [at for at in range(len(whole)) if whole.startswith(b"PK\x03\x04", at)]


def test_npz_bombs_and_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cifar10.npz"
    put_npz(tmp_path)
    raw = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(mark) + flags] |= 1
    path.write_bytes(raw)
    with pytest.raises(UserError, match="encrypted"):
        npz.read(path)
    monkeypatch.setattr(npz, "LARGEST", 2**20)
    np.savez_compressed(path, **dict.fromkeys(npz.NAMES, np.zeros(2**21, np.uint8)))
    with pytest.raises(UserError, match="more than 1048576 bytes"):
        npz.read(path)
    path.unlink()
    os.mkfifo(path)
    with soon("a fifo"), pytest.raises(UserError, match="not a file"):
        npz.read(path)


def laughs() -> list[Any]:
    inner: list[Any] = [1]
    for _ in range(40):
        inner = [inner] * 10
    return inner


def looping() -> list[Any]:
    inner: list[Any] = []
    inner.append(inner)
    return inner


BOMBS: dict[str, Callable[[], bytes]] = {
    "memo": lambda: b"\x80\x02}r" + struct.pack("<I", 0x08000000) + b".",
    "length": lambda: b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
    "frame": lambda: b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"x.",
    "laughs as labels": lambda: pickle.dumps({b"data": np.zeros((4, 3072), np.uint8), b"labels": laughs()}),
    "laughs as data": lambda: pickle.dumps({b"data": laughs(), b"labels": [1]}),
    "a loop": lambda: pickle.dumps({b"data": looping(), b"labels": looping()}),
    "a key of a loop": lambda: pickle.dumps(laughs()),
    "huge numbers": lambda: pickle.dumps({b"data": np.zeros((4, 3072), np.uint8), b"labels": [2**99] * 4}),
    "deep": lambda: b"\x80\x02" + b"(" * 10**5 + b"t" * 10**5 + b".",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_batch_file_bombs(bomb: str, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with told(bomb) as said:
        part = batches.joined([batches.contents(BOMBS[bomb], tmp_path)], b"labels", tmp_path)
        four_arrays(tmp_path, *part, *part)
    assert said, "it was read"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000, "kilobytes"


def test_batch_files(tmp_path: Path) -> None:
    whole, trap = batch_files()["data_batch_1"], tmp_path / "ran"
    spliced = (
        pickle.dumps(Trap(trap)),
        b"cos\nmkdir\n",
        b"cbuiltins\neval\n(S'1'\ntR",
        b"R",
        b"b",
        b"\x81",
        b"0",
        b"2",
        b".",
    )
    for number, chance in cases("batch files", 400, 4000):
        at = chance.randrange(200) if chance.random() < 0.7 else len(whole) - 1 - chance.randrange(100)
        content = whole[:at] + flipped(whole[at:], chance)
        if chance.random() < 0.5:
            content = whole[:at] + chance.choice(spliced) + whole[at:]
        found = None
        with told(number):
            found = batches.joined([batches.contents(lambda content=content: content, tmp_path)], b"labels", tmp_path)  # type: ignore[misc]
        assert not trap.exists(), "a pickle was run"
        assert found is None or found[0].dtype == np.uint8, number


@pytest.mark.parametrize("name", [cifar.TEN.file, "cifar-10-batches-py", cifar.HUNDRED.file, "cifar-100-python"])
@pytest.mark.parametrize("spoil", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere"), "a tar"])
def test_what_lies_under_the_name_of_cifar(
    name: str, spoil: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tar under the folder's name was taken for CIFAR-100, unchecked."""
    monkeypatch.setattr("benchmark.data.archive.download", lambda *_: pytest.fail("it wants to fetch something"))
    path = tmp_path / name
    if spoil == "a tar":
        put_archive(tmp_path)
        (tmp_path / cifar.TEN.file).rename(path)
    else:
        spoil(path)
    with told((name, spoil)) as said:
        (cifar.cifar100 if "100" in name else cifar.cifar10)(Place(tmp_path, offline=path.is_symlink()))
    assert said
    assert os.path.lexists(path)


def test_a_checkpoint_runs_nothing(tmp_path: Path) -> None:
    out = io.BytesIO()
    torch.save({"progress": "{}", "trap": Trap(tmp_path / "ran")}, out)
    for payload in (out.getvalue(), pickle.dumps(Trap(tmp_path / "ran"), protocol=2)):
        assert checkpoint.opened(payload) is None
    assert not (tmp_path / "ran").exists()
