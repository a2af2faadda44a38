"""`folder:NAME`: any tree NAME/train/<class>/… with NAME/val/<class>/… or NAME/test/<class>/….

A NAME.tar.xz (or .tar, .tar.gz, .zip) beside where the tree should be is unpacked once.
"""

import hashlib
from pathlib import Path

from benchmark import dataset
from benchmark.data.archive import aside, extract
from benchmark.data.images import IMAGENET, Images, Place, cached
from benchmark.data.tree import changed, classes_in, decode, decoder, in_files, listing, signature
from benchmark.errors import UserError
from benchmark.plan.canonical import canonical

ARCHIVES = (".tar.xz", ".tar.gz", ".tgz", ".tar", ".zip")


@dataset()
def folder(place: Place) -> Images:
    if not place.argument:
        raise UserError("folder: say which: folder:NAME, for a tree NAME/train/<class>/… under the data root")
    tree = find_tree(place)
    train_tree, test = parts_of(tree)
    classes = classes_in(train_tree)
    train_files, test_files = listing(train_tree, classes), listing(test, classes)
    listed = hashlib.sha256(canonical([signature(train_files), signature(test_files)]).encode()).hexdigest()
    if place.stream:
        train, test_part = in_files(tree, train_files), in_files(tree, test_files)
        return Images(*train, *test_part, classes, IMAGENET, decoder(), listed=f"files {listed[:16]}")

    def build() -> Images:
        train, train_labels = decode(train_files, place.size)
        images, labels = decode(test_files, place.size)
        return Images(train, train_labels, images, labels, classes, IMAGENET, decoder())

    when = hashlib.sha256(canonical([changed(train_files), changed(test_files)]).encode()).hexdigest()
    key = {"data": place.argument, "size": place.size, "decoder": decoder(), "files": listed, "changed": when}
    return cached(place, key, build)


def parts_of(tree: Path) -> tuple[Path, Path]:
    """The folders of the training and the test images."""
    test = next((tree / name for name in ("val", "test") if (tree / name).is_dir()), None)
    if test is None or not (tree / "train").is_dir():
        raise UserError(f"{tree}: needs train/<class>/… and val/<class>/… or test/<class>/…")
    if classes_in(test) != classes_in(tree / "train"):
        raise UserError(f"{tree}: train and {test.name} do not hold the same classes")
    return tree / "train", test


def find_tree(place: Place) -> Path:
    tree = place.root / place.argument
    if not tree.is_dir():
        names = [place.argument + suffix for suffix in ARCHIVES]
        archive = place.require(*names, help=f"put the tree or one of these archives there as {place.argument}")
        with aside(tree) as made:
            unpacked = made.with_name("unpacked")
            extract(archive, unpacked)
            inner = unpacked / place.argument
            (inner if inner.is_dir() else unpacked).replace(made)
    return tree
