"""CIFAR-10 saved as JPEG: real images where the official bytes cannot be had. It has its own
name, because quality-75 JPEG is not the original. Compare its accuracies with nothing else.

The tree is `cifar10-jpeg/{train,test}/<class>/NNNN.jpg`: every official image saved by Pillow 8.4.0
as `Image.fromarray(x).save(f, "JPEG")`. NNNN is its index within the class in official order. One hash
over all 60 000 files decides whether a tree is this one; docs/DATA.md says how to derive it.
"""

import hashlib
from pathlib import Path

from benchmark import dataset
from benchmark.data.folder import find_tree
from benchmark.data.images import CIFAR10, Images, Place, cached
from benchmark.data.tree import SUFFIXES, classes_in, decode, decoder, listing
from benchmark.errors import Damaged

MANIFEST = "f10d4c9e536a564f17fa5e8d68ba087d1235e60cd1f21700e11ff43f0647bbb0"


@dataset(shape=(3, 32, 32), classes=10)
def cifar10_jpeg(place: Place) -> Images:
    def build() -> Images:
        tree = find_tree(Place(place.root, "cifar10-jpeg"))
        if (found := manifest(tree)) != MANIFEST:
            raise Damaged(f"{tree}: manifest {found[:12]}…, expected {MANIFEST[:12]}…; not used, not deleted")
        classes = classes_in(tree / "train")
        train, train_labels = decode(listing(tree / "train", classes), None)
        test, test_labels = decode(listing(tree / "test", classes), None)
        return Images(train, train_labels, test, test_labels, classes, CIFAR10, decoder())

    return cached(place, {"data": "cifar10-jpeg", "manifest": MANIFEST, "decoder": decoder()}, build)


def manifest(tree: Path) -> str:
    """sha256 over the sorted lines `sha256(file)  path`."""
    images = (path for path in tree.rglob("*") if path.suffix.lower() in SUFFIXES)  # all files that would be read
    files = sorted(images, key=lambda path: path.relative_to(tree).as_posix())
    lines = (f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(tree).as_posix()}\n" for p in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
