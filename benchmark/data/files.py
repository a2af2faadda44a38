"""Images that stay on disk and are decoded when a step needs them: files in a tree, or JPEGs in shards.

An image is requested at a size: `middle` for evaluation (short side to 256/224 of the size, then the
centre), `crop` for training (Inception's: 8 to 100 % of the area, sides 3:4 to 4:3). A JPEG is decoded at
the smallest scale of its format that is still large enough (Pillow's `draft`).
"""

import io
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmark.errors import Damaged

Pixels = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]
# The errors that Pillow raises for broken files.
UNREADABLE = (
    *(OSError, SyntaxError, ValueError, Image.DecompressionBombError, EOFError, LookupError, TypeError),
    *(AttributeError, ArithmeticError, struct.error, zlib.error, NotImplementedError),
)
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF")  # by content, not by name; an EPS would start another program
MARGIN = 256 / 224  # what evaluation decodes around the square that it uses
AREA, SIDES, TRIES = (0.08, 1.0), (3 / 4, 4 / 3), 10


class Source(Protocol):
    """The source of the bytes of an image."""

    def read(self, index: int) -> bytes: ...
    def name(self, index: int) -> str: ...


@dataclass(frozen=True)
class Tree:
    root: Path
    names: tuple[str, ...]

    def read(self, index: int) -> bytes:
        return (self.root / self.names[index]).read_bytes()

    def name(self, index: int) -> str:
        return str(self.root / self.names[index])


@dataclass(frozen=True)
class Shards:
    """Files that hold many JPEGs each, one after the other."""

    paths: tuple[Path, ...]
    where: npt.NDArray[np.int64]  # for each image: shard, offset, length, CRC-32

    def read(self, index: int) -> bytes:
        shard, offset, length, crc = (int(number) for number in self.where[index])
        with self.paths[shard].open("rb") as file:
            file.seek(offset)
            data = file.read(length)
        if zlib.crc32(data) != crc:
            raise OSError("not the bytes that were written")
        return data

    def name(self, index: int) -> str:
        shard, offset, *_ = self.where[index]
        return f"{self.paths[int(shard)]} at byte {offset}"


@dataclass(frozen=True)
class Files:
    """Some of a source's images, in an order of their own."""

    source: Source
    chosen: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, some: npt.NDArray[np.int64]) -> "Files":
        return Files(self.source, self.chosen[some])

    def shard_of(self) -> npt.NDArray[np.int64] | None:
        """For each image the shard that it is in; None if every image is a file."""
        return self.source.where[self.chosen, 0] if isinstance(self.source, Shards) else None

    def middle(self, place: int, size: int) -> Pixels:
        image = self._open(place)
        short = round(size * MARGIN)
        scale = min(image.size) / short
        self._draft(image, scale)
        width, height = image.size
        side = min(width, height) * size / short
        box = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
        return self._resized(place, image, box, size)

    def crop(self, place: int, size: int, draw: np.random.Generator) -> Pixels:
        image = self._open(place)
        left, top, right, bottom = window(*image.size, draw)
        width = image.width
        self._draft(image, min(right - left, bottom - top) / size)
        shrunk = image.width / width
        return self._resized(place, image, (left * shrunk, top * shrunk, right * shrunk, bottom * shrunk), size)

    def _open(self, place: int) -> Image.Image:
        index = int(self.chosen[place])
        try:
            return Image.open(io.BytesIO(self.source.read(index)), formats=FORMATS)
        except UNREADABLE as error:
            raise Damaged(f"{self.source.name(index)}: cannot be decoded ({error})") from error

    def _draft(self, image: Image.Image, scale: float) -> None:
        """Ask a JPEG for the smallest of its own scales at which no used part is enlarged."""
        if scale >= 2:
            image.draft("RGB", (math.ceil(image.width / scale), math.ceil(image.height / scale)))

    def _resized(self, place: int, image: Image.Image, box: Box, size: int) -> Pixels:
        left, top, right, bottom = box
        inside = (max(0.0, left), max(0.0, top), min(float(image.width), right), min(float(image.height), bottom))
        try:
            resized = rgb(image).resize((size, size), Image.Resampling.BILINEAR, box=inside)
        except UNREADABLE as error:  # only here a file that ends early is noticed
            name = self.source.name(int(self.chosen[place]))
            raise Damaged(f"{name}: cannot be decoded ({error})") from error
        return np.asarray(resized).transpose(2, 0, 1)


def rgb(image: Image.Image) -> Image.Image:
    """Refuse greys of more than 8 bits: Pillow turns every grey above 255 white."""
    if image.mode[0] in "IF":
        raise ValueError("more than 8 bits a pixel in one channel; save it with 8")
    return image.convert("RGB")


def window(width: int, height: int, draw: np.random.Generator) -> Box:
    """A random part of the image. If none of ten draws fits: the largest allowed part in the middle."""
    for _ in range(TRIES):
        area = width * height * draw.uniform(*AREA)
        ratio = math.exp(draw.uniform(math.log(SIDES[0]), math.log(SIDES[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(draw.integers(0, width - w + 1)), int(draw.integers(0, height - h + 1))
            return left, top, left + w, top + h
    w = min(width, round(height * SIDES[1]))
    h = min(height, round(width / SIDES[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h
