"""Caltech-101 (Li, Andreeto, Ranzato, Perona 2022 release): 101 categories, no background class.

It has no official split. Here every fifth image of a category, in the order of names, is a test image.
"""

from pathlib import Path

from benchmark import dataset
from benchmark.data.archive import Archive, aside, extract
from benchmark.data.images import IMAGENET, Images, Place, cached
from benchmark.data.tree import classes_in, decode, decoder, in_files, listing

ARCHIVE = Archive(
    "caltech-101.zip",
    "https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",
    "3138e1922a9193bfa496528edbbc45d0",
)


@dataset(classes=101)
def caltech101(place: Place) -> Images:
    def build() -> Images:
        tree = _tree(place)
        classes = tuple(name for name in classes_in(tree) if name != "BACKGROUND_Google")
        files = listing(tree, classes)
        firsts = {label: next(i for i, (_, at) in enumerate(files) if at == label) for label in range(len(classes))}
        place_in_class = [i - firsts[label] for i, (_, label) in enumerate(files)]
        test_files = [f for f, i in zip(files, place_in_class, strict=True) if i % 5 == 4]
        train_files = [f for f, i in zip(files, place_in_class, strict=True) if i % 5 != 4]
        if place.stream:
            parts = (*in_files(tree, train_files), *in_files(tree, test_files))
            return Images(*parts, classes, IMAGENET, decoder(), listed=f"files {ARCHIVE.md5[:16]}")
        train, train_labels = decode(train_files, place.size)
        test, test_labels = decode(test_files, place.size)
        return Images(train, train_labels, test, test_labels, classes, IMAGENET, decoder())

    if place.stream:
        return build()
    return cached(place, {"data": "caltech101", "md5": ARCHIVE.md5, "size": place.size, "decoder": decoder()}, build)


def _tree(place: Place) -> Path:
    tree = place.root / "caltech101-unpacked"
    if not tree.is_dir():
        archive = ARCHIVE.fetch(place.root, offline=place.offline)
        with aside(tree) as made:
            unpacked = made.with_name("unpacked")
            extract(archive, unpacked)
            extract(unpacked / "caltech-101" / "101_ObjectCategories.tar.gz", unpacked)
            (unpacked / "101_ObjectCategories").replace(made)
    return tree
