"""Archives, class folders and images that somebody made to harm: read as they are, or refused in a line. Nothing is
written outside, nothing hangs, and no image is left out without a word."""

import io
import os
import random
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.data import archive as module
from benchmark.data.folder import folder
from benchmark.data.images import Images, Place
from benchmark.errors import UserError
from tests.attack.common import cases, told
from tests.attack.packs import ANYWHERE, HARMLESS, IN_A_TAR, KINDS, NAMES, Entry, entries, png, put, put_tree, put_zip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore:.*:UserWarning:PIL"),
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    (tmp_path / "out.png").write_bytes(b"was here before")
    return tmp_path


def everything(home: Path) -> dict[str, bytes]:
    """What lies there, but for the tree and its decoded arrays."""
    ours = (home / "root" / "pets", home / "root" / "decoded")
    found = (path for path in home.rglob("*") if not any(path.is_relative_to(our) for our in ours))
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in found}


def reds(content: list[Entry], part: str, names: tuple[str, ...]) -> list[tuple[int, int]]:
    """Label and red of each image."""
    images = (entry for entry in content if entry[0].removeprefix("./").startswith(f"{part}/"))
    paths = ((name.removeprefix("./").split("/")[1], data) for name, data, _ in images if name.endswith(".png"))
    return sorted((names.index(name), Image.open(io.BytesIO(data)).getpixel((0, 0))[0]) for name, data in paths)  # type: ignore[index]


def accepted(home: Path, content: list[Entry], what: object, pixels: bool = True) -> bool:
    """Then it is the whole set. Whatever else lies there is as it was."""
    before, images = everything(home), None
    with told(what):
        images = folder(Place(home / "root", "pets", 8))
    assert everything(home) == before, what
    if images is not None:
        for part, x, y in (("train", images.train, images.train_labels), ("val", images.test, images.test_labels)):
            assert isinstance(x, np.ndarray)
            expected = reds(content, part, images.classes)
            found = sorted(zip(y.tolist(), x[:, 0, 0, 0].tolist(), strict=True))
            if not pixels:
                expected, found = ([(label, 0) for label, _ in pairs] for pairs in (expected, found))
            assert found == expected, f"images left out or of wrong labels: {what}"
    for name in ("pets", "decoded"):
        shutil.rmtree(home / "root" / name, ignore_errors=True)
    return images is not None


def test_archives_with_one_evil_member(home: Path) -> None:
    for number, chance in cases("evil members", 90, 900):
        kind = chance.choice(KINDS)
        evil = chance.choice(ANYWHERE if kind == "zip" else (*ANYWHERE, *IN_A_TAR))
        content, path = entries(), home / "root" / f"pets.{kind}"
        content.insert(chance.randrange(len(content) + 1), evil)
        put(path, content)
        what = number, kind, evil[0][:99], str(evil[2])[:99]
        assert not accepted(home, content, what), what
        path.unlink()


def test_every_evil_member(home: Path) -> None:
    for kind, evils in (("tar", (*ANYWHERE, *IN_A_TAR)), ("zip", ANYWHERE)):
        for number, evil in enumerate(evils):
            path = home / "root" / f"pets.{kind}"
            put(path, [*entries(), evil])
            assert not accepted(home, entries(), (kind, number)), (kind, number, evil[0][:99], str(evil[2])[:99])
            path.unlink()


def test_archives_that_only_look_evil(home: Path) -> None:
    """Names of classes with anything in them, headers with nonsense that does not matter."""
    for number, chance in cases("odd names", 60, 500):
        kind = chance.choice(KINDS)
        names = sorted({chance.choice(NAMES) for _ in range(3)} | {"cat"})
        if kind != "zip" and chance.random() < 0.3:
            names.append(os.fsdecode(b"\xff\xfe not UTF-8"))
        content = [(name, data, chance.choice((*HARMLESS, {}))) for name, data, _ in entries(*names)]
        if chance.random() < 0.5:
            content = [(f"./{name}", data, more) for name, data, more in content]
            content[:0] = [("./", b"", {"type": tarfile.DIRTYPE}), ("./train/", b"", {"type": tarfile.DIRTYPE})] * 2
        path = home / "root" / f"pets.{kind}"
        put(path, content)
        assert accepted(home, content, (number, kind, names)), (number, kind, names, [more for *_, more in content])
        path.unlink()


def test_damaged_archives(home: Path) -> None:
    for number, chance in cases("damage", 150, 1500):
        kind = chance.choice(KINDS)
        path = home / "root" / f"pets.{kind}"
        put(path, entries())
        path.write_bytes(damaged(path.read_bytes(), chance))
        accepted(home, entries(), (number, kind), pixels=kind != "tar")  # which has no sum of what is in it
        path.unlink()


def damaged(whole: bytes, chance: random.Random) -> bytes:
    at, blocks = chance.randrange(len(whole)), len(whole) // 512
    match chance.randrange(5):
        case 0:
            return whole[:at]
        case 1:
            return whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :]
        case 2:  # a hole, as a broken download leaves it
            at = 512 * chance.randrange(max(1, blocks))
            return whole[:at] + bytes(len(whole[at : at + 512])) + whole[at + 512 :]
        case 3:
            return whole[: 512 * chance.randrange(blocks + 1)]
        case _:
            return whole[:at] + chance.randbytes(chance.randrange(1, 9)) + whole[at + chance.randrange(9) :]


def test_bombs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FREELY", 2**21)
    many = [(f"train/cat/{i}.txt", b"", {}) for i in range(700)]
    large = [("train/cat/a.png", bytes(2**25), {})]
    for kind, bomb in (("tar.gz", large), ("tar.xz", large), ("zip", large), ("tar.gz", many), ("tar.xz", many)):
        path = home / "root" / f"pets.{kind}"
        put(path, [*entries(), *bomb])
        with pytest.raises(UserError, match="over 100 times its size"):
            folder(Place(home / "root", "pets", 8))
        path.unlink()


def test_archives_that_are_none(home: Path) -> None:
    path = home / "root" / "pets.tar"
    inner = home / "inner.zip"
    put_zip(inner, entries("wrong", "set"))
    content = [*entries(), ("train/cat/in.zip", inner.read_bytes(), {})]
    put(path, content)
    path.write_bytes(path.read_bytes()[:-1024] + bytes(1024))
    assert accepted(home, content, "a tar that ends in a zip"), "it is a tar"
    for bad in (b"", b"PK\x05\x06" + bytes(18), bytes(10240), b"<html>404</html>", b"\x1f\x8b", b"\xfd7zXZ\x00" * 9):
        for kind in KINDS:
            path = home / "root" / f"pets.{kind}"
            path.write_bytes(bad)
            assert not accepted(home, [], (kind, bad[:9])), (kind, bad[:9])
            path.unlink()
    path.mkdir()
    assert not accepted(home, [], "a folder")
    path.rmdir()
    for spoil in (os.mkfifo, lambda path: path.symlink_to("/proc/self/mem"), lambda path: path.symlink_to(path)):
        spoil(path)
        before = os.lstat(path)
        with told(spoil):
            folder(Place(home / "root", "pets", 8))
        assert os.lstat(path).st_ino == before.st_ino
        path.unlink()
    put(path, entries())
    (home / "root" / "pets").write_text("mine")
    with pytest.raises(UserError, match="what is there was left"):
        folder(Place(home / "root", "pets", 8))
    assert (home / "root" / "pets").read_text() == "mine"


def test_zips_that_are_locked_or_packed_in_another_way(home: Path) -> None:
    path = home / "root" / "pets.zip"
    for at, value in ((6, 1), (8, 99), (8, 9), (8, 97)):
        put_zip(path, entries())
        raw = bytearray(path.read_bytes())
        for mark, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
            raw[raw.index(mark) + at + shift] = value
        path.write_bytes(raw)
        assert not accepted(home, entries(), (at, value)), (at, value)


# ---- class folders -------------------------------------------------------------------------------


SPOILERS: dict[str, Callable[[Path], Any]] = {
    "a folder": lambda cat: (cat / "x.jpg").mkdir(),
    "a fifo": lambda cat: os.mkfifo(cat / "x.jpg"),
    "a link to nowhere": lambda cat: (cat / "x.jpg").symlink_to("nowhere"),
    "a link to itself": lambda cat: (cat / "x.jpg").symlink_to("x.jpg"),
    "a class that leads to itself": lambda cat: (cat.parent / "bee").symlink_to("bee"),
    "a class that leads nowhere": lambda cat: (cat.parent / "bee").symlink_to("nowhere"),
    "a linked folder": lambda cat: (cat / "more").symlink_to(cat.parent / "dog"),
    "a loop of folders": lambda cat: (cat / "more").symlink_to(cat),
    "unreadable": lambda cat: (cat / "x.jpg").symlink_to("/proc/self/mem"),
    "a device": lambda cat: (cat / "x.jpg").symlink_to("/dev/zero"),
    "empty": lambda cat: (cat / "x.jpg").write_bytes(b""),
    "another kind": lambda cat: (cat / "x.TIFF").write_bytes(b""),
    "no class": lambda cat: (cat.parent / "x.jpg").write_bytes(png(1)),
    "no images": lambda cat: [path.unlink() for path in cat.iterdir()],
}


@pytest.mark.parametrize("spoiler", SPOILERS)
@pytest.mark.parametrize("stream", [False, True])
def test_what_has_the_name_of_an_image_is_read_or_named(spoiler: str, stream: bool, home: Path) -> None:
    SPOILERS[spoiler](put_tree(home / "root"))
    with told(spoiler) as said:
        images = folder(Place(home / "root", "pets", 8, stream=stream))
        for place in range(len(images.train) if stream else 0):
            images.train.middle(place, 8)  # type: ignore[union-attr]
    assert said, "it was read"


def test_a_folder_that_may_not_be_read_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner, look = put_tree(home / "root") / "inner", os.scandir
    inner.mkdir()

    def refused(path: Any = ".") -> Any:
        if Path(path) == inner:
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(UserError, match=r"inner: cannot be read \(Permission denied\)"):
        folder(Place(home / "root", "pets", 8))


def test_another_picture_of_the_same_length_is_seen(home: Path) -> None:
    cat = put_tree(home / "root")
    before: Images = folder(Place(home / "root", "pets", 8))
    assert len(png(3)) == (cat / "0.png").stat().st_size
    (cat / "0.png").write_bytes(png(3))
    after: Images = folder(Place(home / "root", "pets", 8))
    assert after.hash != before.hash
