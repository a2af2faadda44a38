"""Data sets: official archives are made small here, in their own layout, with their own checksum."""

import hashlib
import io
import os
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.data import archive, caltech101, cifar10_jpeg
from benchmark.data.archive import Archive, extract, md5_of
from benchmark.data.digits import digits
from benchmark.data.folder import folder
from benchmark.data.images import Place
from benchmark.errors import Damaged, UserError


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (20, 16)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    Image.fromarray(draw.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)


def test_what_a_killed_maker_left_is_swept_after_a_week(tmp_path: Path) -> None:
    final = tmp_path / "tree"
    old, young = (tmp_path / f".tree.{name}{archive.WORKSHOP}" for name in ("old", "young"))
    for left in (old, young):
        (left / "inside").mkdir(parents=True)
    os.utime(old, (time.time() - 8 * 86400,) * 2)
    with archive.aside(final) as made:
        made.mkdir()
    assert final.is_dir()
    assert not old.exists()
    assert young.exists(), "somebody may be making it"


def test_digits_need_nothing() -> None:
    images = digits(Place(Path("/nowhere")))
    assert images.train.shape == (1437, 3, 16, 16)
    assert len(images.test) == 360
    assert images.hash == "6b6a985ab80b81f0"


def test_no_file_and_no_network_says_which_file_goes_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive.time, "sleep", lambda seconds: None)
    nowhere = Archive("some.tar.gz", "http://127.0.0.1:9/some.tar.gz", "0" * 32)
    with pytest.raises(UserError, match=rf"no some.tar.gz in {tmp_path} .* fetch http\S+ and put it there"):
        nowhere.fetch(tmp_path)
    with pytest.raises(UserError, match="--prepare fetches it"):
        nowhere.fetch(tmp_path, offline=True)


class Flaky(BaseHTTPRequestHandler):
    """Serves a file, but breaks off the first answers in the middle; it knows ranges."""

    def __init__(self, content: bytes, log: list[str], *args: object) -> None:
        self.content, self.log = content, log
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.log.append(self.headers.get("Range", "all"))
        rest = self.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: len(rest) // 2] if len(self.log) < 3 else rest)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, bytes, list[str]]]:
    content, log = bytes(range(256)) * 400, list[str]()
    http = HTTPServer(("127.0.0.1", 0), partial(Flaky, content, log))
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}/file.bin", content, log
    http.shutdown()
    thread.join()
    http.server_close()


def test_a_broken_download_goes_on_where_it_stopped(
    server: tuple[str, bytes, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive.time, "sleep", lambda seconds: None)
    url, content, log = server
    path = Archive("file.bin", url, hashlib.md5(content).hexdigest()).fetch(tmp_path)
    assert path.read_bytes() == content
    assert log == ["all", "bytes=51200-", "bytes=76800-"]


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_cannot_write_outside(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"evil.{kind}"
    if kind == "tar":
        with tarfile.open(path, "w") as tar:
            add(tar, "fine.txt", b"x")
            add(tar, "../outside.txt", b"x")
    else:
        with zipfile.ZipFile(path, "w") as pack:
            pack.writestr("fine.txt", "x")
            pack.writestr("../outside.txt", "x")
    with pytest.raises(Damaged, match="outside"):
        extract(path, tmp_path / "to")
    assert not (tmp_path / "outside.txt").exists()
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("kind", ["xz", "gz"])
def test_a_corrupt_archive_is_named(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"pets.tar.{kind}"
    with tarfile.open(path, f"w:{kind}") as tar:
        add(tar, "train/cat/noise.bin", np.random.default_rng(0).bytes(50_000))
    whole = path.read_bytes()
    path.write_bytes(whole[:20_000] + bytes(20) + whole[20_020:])
    with pytest.raises(Damaged, match=rf"{path.name}: cannot be unpacked"):
        extract(path, tmp_path / "to")


def test_a_symlink_in_an_archive_cannot_lead_outside(tmp_path: Path) -> None:
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
    with pytest.raises(Damaged, match="cannot be unpacked"):
        extract(path, tmp_path / "to")


def tree(root: Path) -> None:
    for part, count in (("train", 3), ("val", 2)):
        for label, name in enumerate(("cat", "dog")):
            for i in range(count):
                picture(root / part / name / f"{i}.png", seed=10 * label + i, size=(20 + i, 16))


def test_any_tree_of_class_folders_is_a_data_set(tmp_path: Path) -> None:
    tree(tmp_path / "pets")
    images = folder(Place(tmp_path, "pets", size=12))
    assert images.train.shape == (6, 3, 12, 12)
    assert images.test.shape == (4, 3, 12, 12)
    assert images.classes == ("cat", "dog")
    assert images.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(UserError, match="give the recipe a size"):
        folder(Place(tmp_path, "pets"))


def test_a_tree_may_come_as_an_archive(tmp_path: Path) -> None:
    tree(tmp_path / "source")
    with tarfile.open(tmp_path / "pets.tar.xz", "w:xz") as tar:
        for part in ("train", "val"):
            tar.add(tmp_path / "source" / part, part)
    assert len(folder(Place(tmp_path, "pets", size=12)).train) == 6


def test_of_two_processes_that_unpack_at_once_both_go_on_with_one_whole_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import benchmark.data.folder as module

    tree(tmp_path / "source" / "pets")
    root = tmp_path / "root"
    root.mkdir()
    with tarfile.open(root / "pets.tar", "w") as tar:
        tar.add(tmp_path / "source" / "pets", "pets")
    whole = module.extract
    asked: list[Path] = []

    def while_another_is_faster(archive: Path, to: Path) -> None:
        whole(archive, to)
        asked.append(to)
        if len(asked) == 1:
            assert len(folder(Place(root, "pets", size=12)).train) == 6

    monkeypatch.setattr(module, "extract", while_another_is_faster)
    assert len(folder(Place(root, "pets", size=12)).train) == 6
    assert asked[0] != asked[1], "each in a place of its own"
    assert {path.name for path in root.iterdir()} == {"pets.tar", "pets", "decoded"}, "nothing half-made is left"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/x\.bin: cannot be made \(.*[Ee]xists|Not a directory"):
        Archive("x.bin", "http://127.0.0.1:9/", "").fetch(tmp_path / "file")


def test_a_changed_tree_is_decoded_again(tmp_path: Path) -> None:
    tree(tmp_path / "pets")
    before = folder(Place(tmp_path, "pets", size=12)).hash
    picture(tmp_path / "pets" / "train" / "cat" / "9.png", seed=99)
    assert folder(Place(tmp_path, "pets", size=12)).hash != before


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda root: (root / "val" / "dog").rename(root / "val" / "god"), "do not hold the same classes"),
        (lambda root: (root / "val").rename(root / "vals"), r"needs train/<class>"),
        (lambda root: (root / "train" / "cat" / "0.png").write_bytes(b"no picture"), r"0.png: cannot be decoded"),
    ],
)
def test_a_wrong_tree_says_what_is_wrong(tmp_path: Path, spoil, says: str) -> None:  # type: ignore[no-untyped-def]
    tree(tmp_path / "pets")
    spoil(tmp_path / "pets")
    with pytest.raises(UserError, match=says):
        folder(Place(tmp_path, "pets", size=12))


def test_a_missing_folder_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"no pets.tar.xz or .* in {tmp_path}"):
        folder(Place(tmp_path, "pets"))
    with pytest.raises(UserError, match="folder:NAME"):
        folder(Place(tmp_path))


def test_a_tree_that_is_not_cifar10_jpeg_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "cifar10-jpeg" / "train" / "cat" / "0000.jpg")
    with pytest.raises(Damaged, match=r"manifest .* not used, not deleted"):
        cifar10_jpeg.cifar10_jpeg(Place(tmp_path))


def test_the_manifest_knows_every_byte_and_name(tmp_path: Path) -> None:
    picture(tmp_path / "t" / "train" / "a" / "0000.jpg")
    before = cifar10_jpeg.manifest(tmp_path / "t")
    (tmp_path / "t" / "train" / "a" / "0000.jpg").rename(tmp_path / "t" / "train" / "a" / "0001.jpg")
    assert cifar10_jpeg.manifest(tmp_path / "t") != before


def test_caltech_keeps_every_fifth_image_of_a_class_for_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, count in (("ant", 7), ("bee", 11), ("BACKGROUND_Google", 3)):
        for i in range(count):
            picture(tmp_path / "make" / "101_ObjectCategories" / name / f"image_{i:04}.jpg", seed=i)
    inner = tmp_path / "101_ObjectCategories.tar.gz"
    with tarfile.open(inner, "w:gz") as tar:
        tar.add(tmp_path / "make" / "101_ObjectCategories", "101_ObjectCategories")
    outer = tmp_path / "caltech-101.zip"
    with zipfile.ZipFile(outer, "w") as pack:
        pack.write(inner, "caltech-101/101_ObjectCategories.tar.gz")
    monkeypatch.setattr(caltech101, "ARCHIVE", replace(caltech101.ARCHIVE, md5=md5_of(outer)))
    images = caltech101.caltech101(Place(tmp_path, size=12))
    assert images.classes == ("ant", "bee")
    assert np.bincount(images.test_labels).tolist() == [1, 2]
    assert np.bincount(images.train_labels).tolist() == [6, 9]
