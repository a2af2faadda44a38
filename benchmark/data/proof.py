"""Checks that images are those of a data set. One sha256 over pixels and labels decides, not the file they are in."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data.images import Bytes, Images, Labels, sha256_of
from benchmark.errors import Damaged

Four = tuple[Bytes, Labels, Bytes, Labels]


@dataclass(frozen=True)
class Proof:
    """`sha256` decides. The two other hashes are used only to say what is wrong."""

    name: str
    train: int
    test: int
    sha256: str  # `Images.sha256`: training pixels and labels, then test pixels and labels
    pixels: str  # of the pixels alone, training then test
    any_order: str  # of the sorted hashes of the single images

    def check(self, images: Images, source: Path) -> None:
        if wrong := self._what_differs(images):
            raise Damaged(f"{source}: not {self.name}: {wrong}; not used, not deleted")

    def _what_differs(self, images: Images) -> str:
        found, expected = (len(images.train), len(images.test)), (self.train, self.test)
        if found != expected:
            return "{} training and {} test images, expected {} and {}".format(*found, *expected)
        if images.sha256 == self.sha256:
            return ""
        if sha256_of(images.train, images.test) == self.pixels:
            return "the labels differ; the pixels are right"
        if any_order(images.train, images.test) == self.any_order:
            return "the same images in another order"
        return "the pixels differ"


def any_order(*parts: Any) -> str:
    """One hash of the images of each part that does not depend on their order."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(b"".join(sorted(hashlib.sha256(image).digest() for image in np.ascontiguousarray(part))))
    return whole.hexdigest()


def four_arrays(source: Path, x_train: Any, y_train: Any, x_test: Any, y_test: Any) -> Four:
    """Images as n × 3 × 32 × 32 of uint8 and labels as n of int64, each with one label."""
    try:
        train, test = _images("training", x_train), _images("test", x_test)
        return train, _labels("training", y_train, len(train)), test, _labels("test", y_test, len(test))
    except ValueError as error:
        raise Damaged(f"{source}: {error}; not used, not deleted") from error


def _images(part: str, x: npt.NDArray[Any]) -> Bytes:
    if x.dtype != np.uint8:
        raise ValueError(f"the {part} images are {x.dtype}, expected uint8")
    if x.ndim == 4 and x.shape[1:] == (32, 32, 3):
        x = x.transpose(0, 3, 1, 2)
    if x.ndim != 4 or x.shape[1:] != (3, 32, 32):
        raise ValueError(f"the {part} images have shape {_by(x)}, expected n×32×32×3 or n×3×32×32")
    return np.ascontiguousarray(x)


def _labels(part: str, y: npt.NDArray[Any], count: int) -> Labels:
    if y.dtype.kind not in "iu":
        raise ValueError(f"the {part} labels are {y.dtype}, expected integers")
    if y.shape not in ((count,), (count, 1)):
        raise ValueError(f"the {part} labels have shape {_by(y)}, expected {count} or {count}×1")
    return y.reshape(-1).astype(np.int64)


def _by(array: npt.NDArray[Any]) -> str:
    return "×".join(map(str, array.shape)) or "()"
