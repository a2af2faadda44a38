"""CIFAR-10 and CIFAR-100: a small set in the layout of the official archives, and the same pixels in other files."""

import os
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.commands.data import look_at_data
from benchmark.data import archive, cifar
from benchmark.data.archive import md5_of
from benchmark.data.images import Images, Place, sha256_of
from benchmark.data.proof import Proof, any_order
from benchmark.errors import Damaged, UserError
from tests.conftest import finish, make_context, recipe
from tests.data.cifar_files import (
    EACH,
    FORMS,
    Arrays,
    batch,
    batch_files,
    pixels,
    put_archive,
    put_folder,
    put_npz,
    text,
)


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small set is CIFAR-10, and nothing is fetched."""
    (tmp_path / "made").mkdir()
    put_archive(tmp_path / "made")
    monkeypatch.setattr(cifar, "TEN", replace(cifar.TEN, md5=md5_of(tmp_path / "made" / cifar.TEN.file)))
    four = pixels()
    train, test = (np.ascontiguousarray(four[f"x_{part}"].transpose(0, 3, 1, 2)) for part in ("train", "test"))
    labels = [four[f"y_{part}"].astype(np.int64) for part in ("train", "test")]
    hashes = sha256_of(train, labels[0], test, labels[1]), sha256_of(train, test), any_order(train, test)
    monkeypatch.setattr(cifar, "TEN_PROOF", Proof("CIFAR-10", len(train), len(test), *hashes))
    monkeypatch.setattr(archive.Archive, "_download", lambda *_: pytest.fail("it wants to fetch something"))
    root = tmp_path / "root"
    root.mkdir()
    return root


def load(root: Path) -> Images:
    return cifar.cifar10(Place(root))


def refused(root: Path, what: str) -> None:
    with pytest.raises(Damaged, match=what) as caught:
        load(root)
    assert "\n" not in str(caught.value)
    assert "not used, not deleted" in str(caught.value)
    assert not (root / "decoded").exists()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_images_and_the_same_cache(form: str, small: Path) -> None:
    FORMS[form](small)
    images, four = load(small), pixels()
    assert np.array_equal(images.train, four["x_train"].transpose(0, 3, 1, 2))
    assert np.array_equal(images.test, four["x_test"].transpose(0, 3, 1, 2))
    assert images.train_labels.tolist() == four["y_train"].tolist()
    assert images.test_labels.tolist() == four["y_test"].tolist()
    assert images.hash == cifar.TEN_PROOF.sha256[:16]
    assert (images.decoder, images.classes[3], images.normalise) == ("none", "cat", cifar.CIFAR10)

    other = small.parent / "other"
    other.mkdir()
    put_archive(other)
    load(other)
    cache = {path.relative_to(small): path.read_bytes() for path in small.glob("decoded/*/*")}
    assert len(cache) == 5
    assert cache == {path.relative_to(other): path.read_bytes() for path in other.glob("decoded/*/*")}

    (source,) = (path for path in small.iterdir() if path.name != "decoded")
    source.rename(small.parent / "away")
    assert look_at_data("cifar10", True, False, None, 0, small)["hash of the pixels"] == images.hash, "from the cache"


def test_every_form_trains_to_equal_weights(tmp_path: Path, environment: Any) -> None:
    ended = []
    for form, put in FORMS.items():
        context = make_context(tmp_path / form, environment)
        context.data_root.mkdir(parents=True)
        put(context.data_root)
        short = recipe(epochs=1, batch=4, validation=4, epoch_images=None)
        record = finish("dense", context, data="cifar10", recipe=short).record
        ended.append((record.id, record.how.data_hash, record.how.decoder, record.network.weights_hash))
    assert len(set(ended)) == 1


def test_an_archive_is_taken_first_and_nothing_else_when_it_is_damaged(small: Path) -> None:
    put_npz(small)
    put_archive(small)
    path = small / cifar.TEN.file
    path.write_bytes(path.read_bytes()[:-10])
    refused(small, rf"{path.name}: md5 ")
    assert path.exists()


def test_a_damaged_cache_is_named(small: Path) -> None:
    put_npz(small)
    load(small)
    (file,) = (small / "decoded").rglob("train.npy")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(Damaged, match=r"train\.npy"):
        load(small)


def test_nothing_there_names_every_form(small: Path) -> None:
    with pytest.raises(UserError, match=r"no cifar-10-python.tar.gz \(or cifar10.npz or cifar-10-batches-py/\) in "):
        cifar.cifar10(Place(small, offline=True))


def changed() -> Arrays:
    x = pixels()["x_train"].copy()
    x[7, 3, 3, 1] ^= 1
    return {"x_train": x}


def swapped() -> Arrays:
    four, order = pixels(), [1, 0, *range(2, 5 * EACH)]
    return {"x_train": four["x_train"][order], "y_train": four["y_train"][order]}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (swapped, "not CIFAR-10: the same images in another order"),
        (changed, "not CIFAR-10: the pixels differ"),
        (lambda: {"y_test": (pixels()["y_test"] + 1) % 10}, "not CIFAR-10: the labels differ; the pixels are right"),
        (
            lambda: {"x_train": pixels()["x_train"][1:], "y_train": pixels()["y_train"][1:]},
            "not CIFAR-10: 19 training and 4 test images, expected 20 and 4",
        ),
        (lambda: {"y_train": pixels()["y_train"][1:]}, "the training labels have shape 19, expected 20 or 20×1"),
        (lambda: {"x_test": pixels()["x_test"] / np.float32(255)}, "the test images are float32, expected uint8"),
        (lambda: {"y_test": pixels()["y_test"].astype(float)}, "the test labels are float64, expected integers"),
        (lambda: {"x_test": pixels()["x_test"][:, :28]}, "the test images have shape 4×28×32×3, expected n×32×32×3"),
        (lambda: {"x_train": pixels()["x_train"].reshape(-1, 3072)}, "the training images have shape 20×3072"),
    ],
)
def test_a_wrong_npz_is_told_by_what_differs(changes: Callable[[], Arrays], says: str, small: Path) -> None:
    put_npz(small, **changes())
    refused(small, f"cifar10.npz: {says}")


class Trap:
    """A pickle of it makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_an_npz_with_a_pickle_inside_is_refused_and_not_run(small: Path) -> None:
    put_npz(small, x_train=np.array([Trap(small / "ran")], dtype=object))
    refused(small, "cifar10.npz: cannot be read as an npz file .*allow_pickle=False")
    assert not (small / "ran").exists()


@pytest.mark.parametrize("make", [lambda trap: pickle.dumps(trap), lambda trap: pickle.dumps({b"data": trap})])
def test_a_batch_file_that_would_run_something_is_refused_and_not_run(
    make: Callable[[Trap], bytes], small: Path
) -> None:
    put_folder(small)
    (small / "cifar-10-batches-py" / "data_batch_2").write_bytes(make(Trap(small / "ran")))
    refused(small, r"data_batch_2: cannot be read as a batch file \(it names (posix|nt)\.mkdir")
    assert not (small / "ran").exists()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def replace_by_one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [cut, flip, lambda path: path.write_bytes(b""), replace_by_one_array])
def test_a_damaged_npz_is_one_line(spoil: Callable[[Path], None], small: Path) -> None:
    put_npz(small)
    spoil(small / "cifar10.npz")
    refused(small, r"cifar10.npz: cannot be read as an npz file \(")


def test_an_npz_that_lacks_an_array_says_which(small: Path) -> None:
    four = pixels()
    np.savez(small / "cifar10.npz", x_train=four["x_train"], y_train=four["y_train"])
    refused(small, "it has no x_test, y_test")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (Path.unlink, "data_batch_3 is not in it"),
        (cut, "data_batch_3: cannot be read as a batch file"),
        (lambda path: path.write_bytes(pickle.dumps([1])), "data_batch_3: cannot be read as a batch file"),
        (lambda path: path.write_bytes(pickle.dumps({b"labels": [1]})), "not batches of images and labels"),
        (lambda path: path.write_bytes(batch_files()["data_batch_4"]), "the pixels differ"),
    ],
)
def test_a_wrong_folder_is_one_line(spoil: Callable[[Path], None], says: str, small: Path) -> None:
    put_folder(small)
    spoil(small / "cifar-10-batches-py" / "data_batch_3")
    with pytest.raises(Damaged, match=says) as caught:
        load(small)
    assert "\n" not in str(caught.value)


def test_batches_that_a_newer_python_wrote_are_read(small: Path) -> None:
    put_folder(small)
    four = pixels()
    again = {b"data": four["x_test"].transpose(0, 3, 1, 2).reshape(EACH, -1), b"labels": four["y_test"].tolist()}
    (small / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps(again, protocol=4))
    assert load(small).hash == cifar.TEN_PROOF.sha256[:16]


@pytest.fixture
def hundred(small: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of CIFAR-100, and the folder that it unpacks to."""
    four, folder = pixels(), small / "cifar-100-python"
    folder.mkdir()
    for part in ("train", "test"):
        content = batch(four[f"x_{part}"], four[f"y_{part}"].tolist(), b"fine_labels")
        (folder / part).write_bytes(content)
    names = text(b"fine_label_names") + b"](" + text(b"apple") + text(b"bear") + b"e"
    (folder / "meta").write_bytes(b"\x80\x02}(" + names + b"u.")
    with tarfile.open(small / cifar.HUNDRED.file, "w:gz") as tar:
        tar.add(folder, folder.name)
    monkeypatch.setattr(cifar, "HUNDRED", replace(cifar.HUNDRED, md5=md5_of(small / cifar.HUNDRED.file)))
    monkeypatch.setattr(cifar, "HUNDRED_FILES", {name: md5_of(folder / name) for name in ("train", "test", "meta")})
    return small


def test_cifar100_is_read_from_its_archive_or_the_folder(hundred: Path, tmp_path: Path) -> None:
    packed = cifar.cifar100(Place(hundred))
    assert packed.classes == ("apple", "bear")
    assert packed.train_labels.tolist() == pixels()["y_train"].tolist()
    (hundred / "cifar-100-python").rename(tmp_path / "cifar-100-python")
    unpacked = cifar.cifar100(Place(tmp_path))
    assert unpacked.sha256 == packed.sha256
    assert [p.name for p in (hundred / "decoded").iterdir()] == [p.name for p in (tmp_path / "decoded").iterdir()]


def test_an_unpacked_file_of_cifar100_with_another_md5_is_refused(hundred: Path) -> None:
    (hundred / cifar.HUNDRED.file).unlink()
    flip(hundred / "cifar-100-python" / "train")
    with pytest.raises(Damaged, match=r"cifar-100-python/train: md5 .* not used, not deleted"):
        cifar.cifar100(Place(hundred))


def test_an_npz_of_cifar100_is_refused(small: Path) -> None:
    np.savez(small / "cifar100.npz", **pixels())
    says = r"cifar100.npz: cannot be shown to be CIFAR-100.*put cifar-100-python.tar.gz \(or cifar-100-python/\) there"
    with pytest.raises(UserError, match=says):
        cifar.cifar100(Place(small))


REAL = Path(os.environ.get("PRUNEBENCH_DATA", "nowhere"))


@pytest.mark.skipif(not (REAL / "cifar10.npz").is_file(), reason="no cifar10.npz in PRUNEBENCH_DATA")
def test_the_real_npz_has_the_committed_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (tmp_path / "cifar10.npz").symlink_to(REAL / "cifar10.npz")
    images = load(tmp_path)
    proof = cifar.TEN_PROOF
    assert np.bincount(images.train_labels).tolist() == [5000] * 10
    assert sha256_of(images.train, images.test) == proof.pixels
    assert any_order(images.train, images.test) == proof.any_order
