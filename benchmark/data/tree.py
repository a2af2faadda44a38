"""Image files in class folders -> arrays. Decoded by Pillow; the decoder's name goes into the record."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import psutil
from PIL import Image, features

from benchmark.data.files import UNREADABLE, Files, Tree
from benchmark.data.images import Bytes, Labels
from benchmark.errors import Damaged, UserError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
Listed = list[tuple[Path, int]]


def decoder() -> str:
    turbo = "libjpeg-turbo" if features.check_feature("libjpeg_turbo") else "libjpeg"
    version = features.version_feature("libjpeg_turbo") or features.version_codec("jpg")
    return f"pillow/{turbo} {version}"


def classes_in(folder: Path) -> tuple[str, ...]:
    names = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    if not names:
        raise UserError(f"{folder}: no class folders in it")
    return names


def listing(folder: Path, classes: tuple[str, ...]) -> Listed:
    files = [
        (path, label)
        for label, name in enumerate(classes)
        for path in sorted((folder / name).rglob("*"))
        if path.suffix.lower() in SUFFIXES
    ]
    if not files:
        raise UserError(f"{folder}: no images ({', '.join(sorted(SUFFIXES))}) in its class folders")
    return files


def decode(files: Listed, size: int | None) -> tuple[Bytes, Labels]:
    """All of it in memory: short side to `size`, then the centre square; without `size`, as they are."""
    width, height = (size, size) if size else _open(files[0][0]).size
    need = len(files) * 3 * width * height
    if need > psutil.virtual_memory().available * 0.6:
        raise UserError(
            f"{len(files)} images of {width} × {height} need {need / 2**30:.1f} GiB of memory; there is less"
        )
    out = np.empty((len(files), 3, height, width), dtype=np.uint8)
    for i, (path, _) in enumerate(files):
        out[i] = _one(path, size, (width, height))
    return out, np.array([label for _, label in files], dtype=np.int64)


def in_files(root: Path, files: Listed) -> tuple[Files, Labels]:
    """The same, left where it is until a step wants it."""
    names = tuple(path.relative_to(root).as_posix() for path, _ in files)
    labels = np.array([label for _, label in files], dtype=np.int64)
    return Files(Tree(root, names), np.arange(len(files))), labels


def _one(path: Path, size: int | None, expected: tuple[int, int]) -> Bytes:
    image = _open(path)
    if size:
        image = square(image, size)
    elif image.size != expected:
        raise UserError(f"{path}: {image.size} where the first image is {expected}; give the recipe a size")
    return np.asarray(image).transpose(2, 0, 1)


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as file:
            return file.convert("RGB")
    except UNREADABLE as error:
        raise Damaged(f"{path}: cannot be decoded ({error})") from error


def square(image: Image.Image, size: int) -> Image.Image:
    """The short side becomes `size`, the middle of the long side stays."""
    scale = size / min(image.size)
    width, height = max(size, round(image.width * scale)), max(size, round(image.height * scale))
    left, top = (width - size) // 2, (height - size) // 2
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))


def signature(files: Iterable[tuple[Path, int]]) -> list[list[str | int]]:
    """What a cached decode depends on: names, lengths, labels."""
    return [["/".join(path.parts[-2:]), path.stat().st_size, label] for path, label in files]
