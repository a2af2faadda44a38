"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): the official archive, or the same images in another file.

CIFAR-10 is recognised by its pixels and labels (`TEN_PROOF`), in any of these files. For CIFAR-100 this
repository has only the checksums of the official files, so nothing else is accepted.
"""

from pathlib import Path

from benchmark import dataset
from benchmark.data.archive import Archive, md5_of
from benchmark.data.images import CIFAR10, CIFAR100, Images, Place, cached
from benchmark.errors import Damaged, UserError

from . import npz  # relative: these files count to the data set's code
from .batches import files, joined
from .proof import Four, Proof, four_arrays

HOME = "https://www.cs.toronto.edu/~kriz"
TEN = Archive(
    "cifar-10-python.tar.gz",
    f"{HOME}/cifar-10-python.tar.gz",
    "c58f30108f718f92721af3b95e74349a",
    instead=("cifar10.npz", "cifar-10-batches-py/"),
)
HUNDRED = Archive(
    "cifar-100-python.tar.gz",
    f"{HOME}/cifar-100-python.tar.gz",
    "eb9058c3a382ffc7106e4002c42a8d85",
    instead=("cifar-100-python/",),
)
TEN_PROOF = Proof(
    name="CIFAR-10",
    train=50_000,
    test=10_000,
    sha256="9048fcbac9c08a64d57a7c5a5a66750a974ad4eab380914df129f7e223d823df",
    pixels="2ae5d6db0453753867541f0ccce0b648fcd0aaf596c0ca67c33dc03b3deaf283",
    any_order="f2c662927e8ec4af877b90b75b5ca03b26e8d1888077fc29b646bce7ffe57542",
)
TEN_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TEN_BATCHES = [f"data_batch_{i}" for i in range(1, 6)]
# The files in the official archive, with the md5 that torchvision checks them by.
HUNDRED_FILES = {
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "meta": "7973b15100ade9c7d40fb424638fde48",
}


@dataset(shape=(3, 32, 32), classes=10)
def cifar10(place: Place) -> Images:
    def build() -> Images:
        source = _source(place, TEN, TEN.instead)
        arrays = four_arrays(source, *npz.read(source)) if source.suffix == ".npz" else _ten_batches(source)
        images = Images(*arrays, TEN_NAMES, CIFAR10, "none")
        TEN_PROOF.check(images, source)
        return images

    return cached(place, {"data": "cifar10", "sha256": TEN_PROOF.sha256}, build)


@dataset(shape=(3, 32, 32), classes=100)
def cifar100(place: Place) -> Images:
    def build() -> Images:
        source = _source(place, HUNDRED, (*HUNDRED.instead, "cifar100.npz"))
        if source.suffix == ".npz":
            raise UserError(
                f"{source}: cannot be shown to be CIFAR-100, of which only the official files' checksums are known; "
                f"put {HUNDRED.wanted} there"
            )
        if source.is_dir():
            _check_files(source, HUNDRED_FILES)
        with files(source, "cifar-100-python") as read:
            train, test = (joined([read(name)], b"fine_labels", source) for name in ("train", "test"))
            classes = tuple(name.decode() for name in read("meta")[b"fine_label_names"])
        return Images(*four_arrays(source, *train, *test), classes, CIFAR100, "none")

    return cached(place, {"data": "cifar100", "md5": HUNDRED.md5}, build)


def _source(place: Place, archive: Archive, instead: tuple[str, ...]) -> Path:
    """The archive, else the first of the other forms that is there. If nothing is there, the archive is fetched."""
    if not (place.root / archive.file).is_file():
        for name in instead:
            path = place.root / name
            if path.exists():
                if name.endswith("/") and not path.is_dir():
                    raise Damaged(f"{path}: not a folder; not used, not deleted")
                return path
    return archive.fetch(place.root, offline=place.offline)


def _ten_batches(source: Path) -> Four:
    with files(source, "cifar-10-batches-py") as read:
        train = joined([read(name) for name in TEN_BATCHES], b"labels", source)
        test = joined([read("test_batch")], b"labels", source)
    return four_arrays(source, *train, *test)


def _check_files(folder: Path, md5s: dict[str, str]) -> None:
    for name, expected in md5s.items():
        path = folder / name
        if not path.is_file():
            raise Damaged(f"{folder}: {name} is not in it")
        if (found := md5_of(path)) != expected:
            raise Damaged(f"{path}: md5 {found}, expected {expected}; not used, not deleted")
