"""CIFAR-10 and CIFAR-100 from their official archives (Krizhevsky 2009)."""

import pickle
import tarfile
from typing import Any

import numpy as np

from benchmark import dataset
from benchmark.data.archive import Archive
from benchmark.data.images import CIFAR10, CIFAR100, Images, Place, cached
from benchmark.errors import Damaged

HOME = "https://www.cs.toronto.edu/~kriz"
TEN = Archive("cifar-10-python.tar.gz", f"{HOME}/cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a")
HUNDRED = Archive("cifar-100-python.tar.gz", f"{HOME}/cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85")


@dataset(shape=(3, 32, 32), classes=10)
def cifar10(place: Place) -> Images:
    def build() -> Images:
        train = [f"cifar-10-batches-py/data_batch_{i}" for i in range(1, 6)]
        names = "cifar-10-batches-py/batches.meta", b"label_names"
        return _read(place, TEN, train, "cifar-10-batches-py/test_batch", b"labels", names, CIFAR10)

    return cached(place, {"data": "cifar10", "md5": TEN.md5}, build)


@dataset(shape=(3, 32, 32), classes=100)
def cifar100(place: Place) -> Images:
    def build() -> Images:
        names = "cifar-100-python/meta", b"fine_label_names"
        train = ["cifar-100-python/train"]
        return _read(place, HUNDRED, train, "cifar-100-python/test", b"fine_labels", names, CIFAR100)

    return cached(place, {"data": "cifar100", "md5": HUNDRED.md5}, build)


def _read(
    place: Place,
    archive: Archive,
    train: list[str],
    test: str,
    labels: bytes,
    names: tuple[str, bytes],
    normalise: tuple[tuple[float, ...], tuple[float, ...]],
) -> Images:
    path = archive.fetch(place.root, offline=place.offline)
    with tarfile.open(path) as tar:

        def member(name: str) -> dict[bytes, Any]:
            file = tar.extractfile(name)
            if file is None:
                raise Damaged(f"{path}: {name} is not in it")
            # A pickle, and safe: the archive's checksum, checked above, is its publisher's.
            content: dict[bytes, Any] = pickle.load(file, encoding="bytes")
            return content

        parts, last = [member(name) for name in train], member(test)
        classes = tuple(name.decode() for name in member(names[0])[names[1]])
    return Images(
        train=np.concatenate([part[b"data"] for part in parts]).reshape(-1, 3, 32, 32),
        train_labels=np.array([label for part in parts for label in part[labels]], dtype=np.int64),
        test=last[b"data"].reshape(-1, 3, 32, 32),
        test_labels=np.array(last[labels], dtype=np.int64),
        classes=classes,
        normalise=normalise,
        decoder="none",
    )
